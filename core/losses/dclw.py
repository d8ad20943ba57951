"""DCLW: DCL whose pull is weighted, more where the two views of an item are still far apart."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Role, Term
from core.params import Params


class DCLW(Params):
    kind: Literal["dclw"] = "dclw"
    temperature: float = temperature(0.1)
    sigma: float = Field(
        0.5, ge=0.05, le=5, title="Width σ", description="Smaller weighs the most distant pairs apart from the rest."
    )


@loss(
    DCLW,
    title="DCLW (decoupled, weighted)",
    source="Yeh et al. 2022, arXiv:2110.06848; the weight as in a third-party implementation",
    origin="code",
    papers=("dcl",),
    family="softmax",
    formula=r"-w_i\frac{s_{i,i'}}{\tau}+\log\sum_{k\neq i,i'}e^{s_{ik}/\tau},\quad "
    r"w_i=2-\frac{e^{s_{i,i'}/\sigma}}{\tfrac1B\sum_je^{s_{j,j'}/\sigma}}",
    claims=Claims(
        pulls="the weight carries a gradient, which can turn the pull on the nearest pairs round",
        margin="it takes no margin of its own: a weight below 0 would make a lead cheaper",
    ),
    relations={"dcl": "with a weight on the pull that is larger for distant positives"},
    variants=({}, {"temperature": 0.5, "sigma": 2.0}),
    work="Both views of N items are anchors among both: (2N)² scores.",
)
def dclw(a: Tensor, b: Tensor, p: DCLW, *, exclude: Tensor | None = None) -> Paid:
    """Pulls far positives harder than near ones, and pushes the others as DCL does.

    The weights have mean 1 over the batch and carry a gradient; one below 0 is possible where a pair is far nearer
    than the rest.

    Args:
        a: (B, D) first view of each item, B >= 2.
        b: (B, D) second view.
        p: temperature, width of the weights.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b; may be negative. One (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, None, exclude)
    own = other_view(pairs.scores)
    weight = 2 - len(a) * F.softmax(own.unflatten(0, (2, -1)) / p.sigma, dim=1).flatten()
    others = log_sum(pairs.scores, pairs.role == Role.NEGATIVE, p.temperature)
    return Paid({"": Term(others - weight * own / p.temperature)}, (pairs,))
