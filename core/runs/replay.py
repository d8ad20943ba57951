"""A recorded step, made alive again: the embeddings of the probe items, and what the loss asks of their pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from core.data.registry import DataSet
from core.encoders.bags import unpacked
from core.paid import Paid
from core.recipe import Recipe
from core.runs.companion import build_companion, fits
from core.runs.mixed_payment import one_sided, pay_mixed
from core.runs.mixture import restored
from core.runs.payment import Embedded, pay_all
from core.runs.trainer import Trainer


@dataclass(frozen=True)
class Moment:
    """The probe at one recorded step.

    `items` (P,) rows of the data set; `z` modality -> (P, D) unit embeddings that need gradients; `clean` and `mixed`
    what the loss asks of them, in the graph; `mixed_z` modality -> (P, D); `lam`, `margin` and
    `partner` (P,), as applied, of the first modality where each has its own; `side` "a" or "b": which side of the first
    pair `mixed` shows as mixed. Where negatives are mixed there is no `mixed_z`; there, where partners come from a
    bank and where the loss takes one side alone there is no `partner`.
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
    side: Literal["a", "b"] = "a"


def moment(recipe: Recipe, data: DataSet, step: int, arrays: Mapping[str, np.ndarray]) -> Moment:
    """The moment that a snapshot recorded, as the recipe pays for it: a branch may mix other than its parent did.

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
    joint = torch.from_numpy(arrays["joint"]).requires_grad_() if "joint" in arrays else None
    bags = {name: unpacked(value.requires_grad_()) for name, value in starting_with("bags.").items()}
    classes, cells = (
        torch.from_numpy(arrays[name]) if name in arrays else None for name in ("bank_labels", "memory_clusters")
    )
    given = starting_with("given.")
    batch = Embedded(
        z,
        given.get("labels", data.labels[items]),
        starting_with("learned."),
        joint,
        bags,
        step,
        starting_with("teacher."),
        starting_with("bank."),
        classes,
        given.get("clusters"),
        starting_with("memory."),
        cells,
        _companion(recipe, data, starting_with("companion.")),
    )
    clean = pay_all(recipe, batch)
    if "lam" not in arrays or recipe.mixing.kind == "none":
        return Moment(step, items, z, clean)
    mixture = restored(recipe, z, step, arrays)
    mixed, plan = pay_mixed(recipe, batch, mixture), mixture.plan
    if not mixture.z:
        return Moment(step, items, z, clean, mixed, lam=plan.lam, margin=plan.margin)
    side = "b" if plan.side == "b" else "a"
    absent = one_sided(recipe) or (plan.from_bank is not None and bool(plan.from_bank.any()))
    partner = None if absent else plan.partner
    return Moment(step, items, z, clean, mixed, mixture.z, plan.lam, plan.margin, partner, side)


def _companion(recipe: Recipe, data: DataSet, state: Mapping[str, Tensor]) -> nn.Module | None:
    """The loss's companion as it was recorded, at rest; as it starts where a branch's parent had none like it."""
    network = build_companion(recipe, data)
    if network is not None and fits(network, state):
        network.load_state_dict(state)
    return None if network is None else network.eval()


def untrained(recipe: Recipe, data: DataSet) -> Moment:
    """The moment before any training, for a recipe that has no run yet."""
    return moment(recipe, data, 0, Trainer(recipe, data, torch.device("cpu")).snapshot())
