"""BPR: the positive is to score higher than each negative, by a soft margin."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.registry import loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
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
    if negatives is None:
        scores = similarity(a, b)
        role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
        positive = scores.diagonal()
    else:
        exact = a.dtype if a.dtype == torch.float64 else torch.float32
        candidates = torch.cat([b[:, None], negatives], dim=1)
        scores = (candidates.to(exact) @ a.to(exact)[:, :, None]).squeeze(2)
        role = torch.full_like(scores, Role.NEGATIVE, dtype=torch.int8)
        role[:, 0] = Role.POSITIVE
        positive = scores[:, 0]
    negative = role == Role.NEGATIVE
    asked = positive - (p.margin if margin is None else margin)
    paid = F.softplus(scores - asked[:, None]) * negative
    return Paid({"": Term(paid.sum(dim=1) / negative.sum(dim=1).clamp_min(1))}, (Pairs(scores, role),))
