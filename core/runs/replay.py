"""A recorded step, made alive again: the embeddings of the probe items, and what the loss asks of their pairs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.data.registry import DataSet
from core.paid import Paid
from core.recipe import Recipe
from core.runs.payment import pay_all
from core.runs.trainer import Trainer


@dataclass(frozen=True)
class Moment:
    """The probe at one recorded step.

    `items` (P,) rows of the data set; `z` modality -> (P, D) unit embeddings that need gradients; `clean` and `mixed`
    what the loss asks of them, in the graph; `mixed_z` modality -> (P, D); `lam`, `margin` and
    `partner` (P,), as applied.
    """

    step: int
    items: Tensor
    z: dict[str, Tensor]
    clean: Paid
    mixed: Paid | None = None
    mixed_z: Mapping[str, Tensor] | None = None
    lam: Tensor | None = None
    margin: Tensor | None = None
    partner: Tensor | None = None


def moment(recipe: Recipe, data: DataSet, step: int, arrays: Mapping[str, np.ndarray]) -> Moment:
    """The moment that a snapshot recorded.

    Args:
        recipe: of the run.
        data: of the run.
        step: the recorded step.
        arrays: as `Trainer.snapshot` made them.
    """

    def starting_with(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith(prefix)
        }

    items = torch.from_numpy(arrays["items"])
    z = {name: value.requires_grad_() for name, value in starting_with("z.").items()}
    labels, learned = data.labels[items], starting_with("learned.")
    clean = pay_all(recipe, z, labels, learned)
    if "lam" not in arrays:
        return Moment(step, items, z, clean)
    mixed_z, margin = starting_with("mixed."), torch.from_numpy(arrays["margin"])
    mixed_z = {name: value.requires_grad_() for name, value in mixed_z.items()}
    mixed = pay_all(recipe, z, labels, learned, mixed_z, margin)
    lam, partner = torch.from_numpy(arrays["lam"]), torch.from_numpy(arrays["partner"])
    return Moment(step, items, z, clean, mixed, mixed_z, lam, margin, partner)


def untrained(recipe: Recipe, data: DataSet) -> Moment:
    """The moment before any training, for a recipe that has no run yet."""
    return moment(recipe, data, 0, Trainer(recipe, data, torch.device("cpu")).snapshot())
