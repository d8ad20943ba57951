"""The contrastive loss: a pair is to coincide, a non-pair to be a margin apart."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.registry import loss
from core.losses.scores import distance
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params


class Contrastive(Params):
    kind: Literal["contrastive"] = "contrastive"
    margin: float = Field(1, ge=0, le=2, title="Margin m", description="Distance at which a non-pair is left alone.")


@loss(
    Contrastive,
    title="Contrastive (pairwise)",
    source="Hadsell et al. 2006, eq. 4, doi 10.1109/CVPR.2006.100; the non-pairs of an anchor are averaged",
    family="contrastive",
    formula=r"\tfrac12d(a_i,b_i)^2+\frac1{B-1}\sum_{j\neq i}\tfrac12[m-d(a_i,b_j)]_+^2",
    relations={
        "alignment": "with non-pairs pushed a margin apart",
        "triplet": "with the margin from the anchor itself",
    },
    variants=({}, {"margin": 1.5}),
)
def contrastive(
    a: Tensor, b: Tensor, p: Contrastive, *, margin: Tensor | None = None, exclude: Tensor | None = None
) -> Paid:
    """Pulls each pair together whatever the others do, and pushes non-pairs until they are a margin apart.

    Args:
        a: (B, D) anchors.
        b: (B, D) positives.
        p: margin, in distance.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does.

    Returns:
        Two terms per anchor: `attraction`, and `repulsion`, the mean over its negatives; one (B, B) matrix of pairs,
        whose scores are minus the distances.
    """
    scores = -distance(a, b, False)
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    negative = role == Role.NEGATIVE
    asked = p.margin if margin is None else margin.reshape(-1, 1)
    near = torch.relu(asked + scores).square() * negative
    attraction = scores.diagonal().square() / 2
    repulsion = near.sum(dim=1) / negative.sum(dim=1).clamp_min(1) / 2
    return Paid({"attraction": Term(attraction), "repulsion": Term(repulsion)}, (Pairs(scores, role),))
