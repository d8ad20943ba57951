"""DCL: NT-Xent with the positive taken out of the denominator, so that a near positive keeps its full pull."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import twice
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Role, Term
from core.params import Params


class DCL(Params):
    kind: Literal["dcl"] = "dcl"
    temperature: float = temperature(0.1)
    margin: float = Field(
        0, ge=0, le=1, title="Margin m", description="Adds a constant: without the positive below, it asks for no lead."
    )


@loss(
    DCL,
    title="DCL (decoupled)",
    source="Yeh et al. 2022, arXiv:2110.06848, eq. 6",
    papers=("dcl",),
    family="softmax",
    formula=r"-\frac{s_{i,i'}-m}{\tau}+\log\sum_{k\neq i,i'}e^{s_{ik}/\tau}",
    relations={"nt_xent": "without the positive in the denominator"},
    variants=({}, {"temperature": 0.5, "margin": 0.3}),
    work="Both views of N items are anchors among both: (2N)² scores.",
)
def dcl(a: Tensor, b: Tensor, p: DCL, *, margin: Tensor | None = None, exclude: Tensor | None = None) -> Paid:
    """Pulls every positive equally hard, however near it is, and pushes the others as NT-Xent does.

    Args:
        a: (B, D) first view of each item, B >= 2.
        b: (B, D) second view.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`; it shifts what is paid and leaves every gradient as it is.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b; may be negative. One (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, None, exclude)
    asked = (other_view(pairs.scores) - twice(p.margin if margin is None else margin)) / p.temperature
    others = log_sum(pairs.scores, pairs.role == Role.NEGATIVE, p.temperature)
    return Paid({"": Term(others - asked)}, (pairs,))
