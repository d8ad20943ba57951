"""BPR: the positive is to score higher than each negative, by a soft margin."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.candidates import pairs_of
from core.losses.registry import loss
from core.paid import Paid, Role, Term
from core.params import Params


class BPR(Params):
    kind: Literal["bpr"] = "bpr"
    margin: float = Field(0, ge=0, le=2, title="Margin m", description="Lead, in score, at which half a nat is left.")


@loss(
    BPR,
    title="BPR (Bayesian personalised ranking)",
    source="Rendle et al. 2009, arXiv:1205.2618, BPR-Opt for inner products; the margin is added",
    papers=("dmm",),
    family="logistic",
    formula=r"\frac1{B-1}\sum_{j\neq i}\log\left(1+e^{m+s_{ij}-s_{ii}}\right)",
    relations={"triplet": "over inner products, with a soft hinge", "ranking": "with a soft hinge, in one direction"},
    variants=({}, {"margin": 0.5}),
)
def bpr(
    a: Tensor,
    b: Tensor,
    p: BPR,
    *,
    negatives: Tensor | None = None,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Asks each anchor to score its positive above its negatives, and never falls quite silent.

    Args:
        a: (B, D) anchors: users.
        b: (B, D) positives: an item of each user.
        p: margin.
        negatives: (B, K, D) each anchor's own negatives; without them, the other items' positives.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does, and own negatives are not touched.

    Returns:
        One term per anchor, the mean over its negatives; one matrix of pairs, (B, B) or (B, 1 + K).
    """
    pairs, positive = pairs_of(a, b, negatives, exclude)
    negative = pairs.role == Role.NEGATIVE
    asked = positive - (p.margin if margin is None else margin)
    paid = F.softplus(pairs.scores - asked[:, None]) * negative
    return Paid({"": Term(paid.sum(dim=1) / negative.sum(dim=1).clamp_min(1))}, (pairs,))
