"""DCL of whole series and their learned augmentation."""

from math import log
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.autotcl import whole
from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import without
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Role, Term
from core.params import Params

ADDED = (1e-5, 1e-6)  # what the released code adds to the positive's exponential, and to the sum of the negatives'


def released() -> Any:
    return Field(
        False, title="As released", description="With the small numbers that the code adds before it takes logarithms."
    )


class SeriesDCL(Params):
    kind: Literal["series_dcl"] = "series_dcl"
    temperature: float = temperature(1.0)
    as_released: bool = released()


@loss(
    SeriesDCL,
    title="Decoupled contrast of series",
    source="Yeh et al. 2022, arXiv:2110.06848, eq. 6; of whole series as in the code of Zheng et al. 2024, "
    "arXiv:2402.10434",
    origin="code",
    papers=("autotcl",),
    family="softmax",
    formula=r"-\frac{s_{i,i'}}{\tau}+\log\sum_{k\neq i,i'}e^{s_{ik}/\tau}",
    relations={"dcl": "of the largest values over time", "autotcl": "without the positive below, and without windows"},
    claims=Claims(margin="it takes no margin of its own: a lead would only add a constant"),
    variants=({}, {"temperature": 0.5}, {"as_released": True}),
)
def series_dcl(sequence: Tensor, other_sequence: Tensor, p: SeriesDCL) -> Paid:
    """Finds each series' other view among both views of all others, and pulls it equally hard however near it is.

    Args:
        sequence: (B, T, D) embedding of each step, of any length, B >= 2; a series counts by its largest values.
        other_sequence: (B, T, D) that of the augmented series.
        p: temperature, and whether small numbers are added as in the code.

    Returns:
        One term per anchor, (2B,): first all of the series, then their augmentations; (2B, 2B) pairs.
    """
    pairs = all_pairs(whole(sequence), whole(other_sequence))
    logits = pairs.scores / p.temperature
    top = without(logits, pairs.role == Role.EXCLUDED).amax(dim=1) if p.as_released else 0
    led = leads_by(other_view(logits) - top, log_sum(logits, pairs.role == Role.NEGATIVE) - top, p)
    return Paid({"": Term(-led)}, (pairs,))


def leads_by(positive: Tensor, negatives: Tensor, p: Any) -> Tensor:
    """(A,) by how much the logit of the positive leads the log sum of the negatives."""
    if not p.as_released:
        return positive - negatives
    own, others = (torch.logaddexp(x, x.new_tensor(log(e))) for x, e in zip((positive, negatives), ADDED, strict=True))
    return own - others
