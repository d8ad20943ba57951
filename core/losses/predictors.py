"""What the losses with a learned predictor share: the network, and the cosines of what it foretells."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from core.losses.banks import exactly
from core.losses.moments import standardised
from core.losses.registry import Companion
from core.losses.scores import similarity
from core.paid import Pairs, diagonal_roles

SHORTEST = 1e-3
NO_NEGATIVES = "there are no negatives: a predictor and a gradient that stops keep embeddings apart"


def width() -> Any:
    """A field for the hidden layer of the predictor."""
    return Field(
        64, ge=2, le=1024, title="Width of the predictor", description="Of its hidden layer; it learns along in a run."
    )


def standardise(description: str) -> Any:
    """A field for whether what is foretold is standardised over the batch."""
    return Field(True, title="Standardise", description=description)


class Predictor(nn.Module):
    """Two layers, the hidden one normalised over the batch as it comes: nothing is kept from batch to batch."""

    def __init__(self, dimensions: int, hidden: int, holds: bool | None) -> None:
        """`holds`: whether it also hands on what is foretold, without its gradient or with it; None for neither."""
        super().__init__()
        self.holds = holds
        self.layers = nn.Sequential(
            nn.Linear(dimensions, hidden, bias=False),
            nn.BatchNorm1d(hidden, track_running_stats=False),
            nn.ReLU(),
            nn.Linear(hidden, dimensions),
        )

    def forward(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`predicted` and `other_predicted` of a and b, (B, D) each, B >= 2; `fixed` and `other_fixed` where held."""
        a, b = given["a"], given["b"]
        made = {"predicted": self.layers(a), "other_predicted": self.layers(b)}
        if self.holds is None:
            return made
        return made | {"fixed": a.detach() if self.holds else a, "other_fixed": b.detach() if self.holds else b}


def _build(p: Any, sizes: Mapping[str, int]) -> nn.Module:
    return Predictor(sizes["D"], p.hidden, getattr(p, "stop_gradient", None))


PREDICTIONS = ("predicted", "other_predicted")
PREDICTOR = Companion(_build, makes=PREDICTIONS, eats=("a", "b"), twins=True)
HOLDING_PREDICTOR = Companion(_build, (*PREDICTIONS, "fixed", "other_fixed"), eats=("a", "b"), twins=True)


def foretold(predicted: Tensor, target: Tensor, standard: bool) -> Pairs:
    """(B, B) cosines of what is predicted, (B, D), with what is foretold, (B, D); a row's own is its positive.

    `standard`: whether the dimensions of what is foretold are standardised over the batch first. Vectors shorter than
    1e-3 are divided by 1e-3.
    """
    asked = standardised(target) if standard else exactly(target)
    x, y = (F.normalize(z, dim=1, eps=SHORTEST) for z in (exactly(predicted), asked))
    return Pairs(similarity(x, y), diagonal_roles(len(x), len(y), x.device))
