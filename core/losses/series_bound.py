"""The leave-one-out bound of what an augmented series says of the series that it came from."""

from math import log
from typing import Literal

from torch import Tensor

from core.losses.autotcl import whole
from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import similarity
from core.losses.series_dcl import leads_by, released
from core.losses.vclub import APART
from core.paid import Paid, Pairs, Role, Term, diagonal_roles
from core.params import Params


class SeriesBound(Params):
    kind: Literal["series_bound"] = "series_bound"
    temperature: float = temperature(1.0)
    as_released: bool = released()


@loss(
    SeriesBound,
    title="Leave-one-out bound (of information)",
    source="Poole et al. 2019, arXiv:1905.06922; of whole series as in the code of Zheng et al. 2024, arXiv:2402.10434",
    origin="code",
    papers=("autotcl",),
    family="none",
    formula=r"\log\frac{e^{s_{ii}/\tau}}{\frac1{B-1}\sum_{j\neq i}e^{s_{ij}/\tau}}",
    relations={
        "series_dcl": "of the other sign, from one side: what a view says of its series is made small",
        "vclub": "with similarities in place of the likelihoods of a Gaussian",
    },
    claims=APART,
    variants=({}, {"temperature": 0.5}, {"as_released": True}),
)
def series_bound(sequence: Tensor, other_sequence: Tensor, p: SeriesBound) -> Paid:
    """Makes it useless to look at an augmented series to tell which series it came from.

    It bounds the information between both from above where the exponential is the density of a view given its series.

    Args:
        sequence: (B, T, D) embedding of each step, of any length, B >= 2; a series counts by its largest values.
        other_sequence: (B, T, D) that of the augmented series.
        p: temperature, and whether small numbers are added as in the code.

    Returns:
        One term per series, (B,), of either sign; one (B, B) matrix of pairs.
    """
    scores = similarity(whole(sequence), whole(other_sequence))
    role = diagonal_roles(*scores.shape, scores.device)
    logits = scores / p.temperature
    led = leads_by(logits.diagonal(), log_sum(logits, role == Role.NEGATIVE), p)
    return Paid({"": Term(led + log(max(len(led) - 1, 1)))}, (Pairs(scores, role),))
