"""Lifted structure: each positive pair against every negative of both its ends."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.classes import mean_over
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import nearness, twice
from core.losses.two_views import all_pairs
from core.paid import Paid, Role, Term
from core.params import Params


class LiftedStructure(Params):
    kind: Literal["lifted_structure"] = "lifted_structure"
    margin: float = Field(1, ge=0, le=2, title="Margin m", description="Distance asked between the classes.")
    form: Literal["pairs", "generalised"] = Field(
        "pairs",
        title="Form",
        description="pairs: each positive pair by itself, squared; generalised: all positives of an anchor together.",
    )


@loss(
    LiftedStructure,
    title="Lifted structure",
    source="Song et al. 2016, Deep metric learning via lifted structured feature embedding, arXiv:1511.06452, eq. 4; "
    "generalised: Hermans et al. 2017, arXiv:1703.07737, eq. 8",
    family="hinge",
    formula=r"\begin{aligned}&\frac1{|P(i)|}\sum_{q\in P(i)}\tfrac12\Big[d_{iq}+\log\Big(\sum_{k\in N(i)}e^{m-d_{ik}}"
    r"+\sum_{l\in N(q)}e^{m-d_{ql}}\Big)\Big]_+^2\\"
    r"&\text{or}\quad\Big[\log\sum_{q\in P(i)}e^{d_{iq}}+\log\sum_{k\in N(i)}e^{m-d_{ik}}\Big]_+\end{aligned}",
    relations={
        "batch_hard": "with soft maxima; generalised and with one positive and one negative it is the same",
        "triplet": "against all negatives of both ends of a pair at once",
    },
    variants=({}, {"margin": 0.5, "form": "generalised"}),
    work="Both views of N items are anchors among both: (2N)² distances.",
)
def lifted_structure(
    a: Tensor,
    b: Tensor,
    labels: Tensor,
    p: LiftedStructure,
    *,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Asks each pair of a class to be nearer than both are to all other classes, by a soft minimum and the margin.

    Args:
        a: (B, D) first view of each item.
        b: (B, D) second view.
        labels: (B,) class of each item.
        p: margin, form.
        margin: () or (B,), instead of `p.margin`; entry i belongs to the negatives of both views of item i.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b. As pairs it is the mean over an anchor's positives,
        weighed so that all pairs of the batch count alike. One (2B, 2B) matrix of pairs, whose scores are minus the
        distances.
    """
    pairs = all_pairs(a, b, labels, exclude, nearness)
    positive = pairs.role == Role.POSITIVE
    rivals = log_sum(pairs.scores, pairs.role == Role.NEGATIVE) + twice(p.margin if margin is None else margin)
    if p.form == "generalised":
        return Paid({"": Term(torch.relu(log_sum(-pairs.scores, positive) + rivals))}, (pairs,))
    alone = rivals.clamp_min(torch.finfo(rivals.dtype).min)
    short = torch.relu(torch.logaddexp(alone[:, None], alone[None, :]) - pairs.scores)
    count = positive.sum(dim=1).to(short.dtype)
    return Paid({"": Term(mean_over(short.square() / 2, positive), weight=count / count.sum())}, (pairs,))
