"""Triplet: the positive must be nearer than the negatives by the margin."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.registry import loss
from core.losses.scores import distance
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params, only


class Triplet(Params):
    kind: Literal["triplet"] = "triplet"
    margin: float = Field(0.5, ge=0, le=2, title="Margin m", description="Lead, in distance, that silences a triplet.")
    over: Literal["min", "sum"] = Field(
        "min", title="Negatives", description="Compare with the nearest negative, or with the mean over all of them."
    )
    squared: bool = Field(False, title="Squared distance", description="Compare squares, as is often done.")
    as_released: bool = Field(
        False,
        title="As released",
        description="Compare everyone's positive with everyone's nearest negative (DMM code).",
        json_schema_extra=only(over="min"),
    )


@loss(
    Triplet,
    title="Triplet",
    source="Schroff et al. 2015, arXiv:1503.03832, eq. 3; over the nearest negative: Hsieh et al. 2017 (CML), eq. 1",
    papers=("dmm",),
    family="hinge",
    formula=r"[m+d(a_i,b_i)-\min_{j\neq i}d(a_i,b_j)]_+",
    relations={"ranking": "over distances and in one direction"},
    variants=({}, {"over": "sum", "squared": True, "margin": 1.5}, {"margin": 0}, {"as_released": True}),
)
def triplet(
    a: Tensor,
    b: Tensor,
    p: Triplet,
    *,
    negatives: Tensor | None = None,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Asks each anchor to be nearer to its positive than to its negatives by the margin.

    Args:
        a: (B, D) anchors.
        b: (B, D) positives.
        p: margin, min or sum over the negatives, squared or plain distance; as released, min compares each positive
            distance with the nearest negative of every anchor, a broadcast in So et al.'s code, and sum is as it is.
        negatives: (B, K, D) each anchor's own negatives; without them, the other items' positives.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does, and own negatives are not touched.

    Returns:
        One term per anchor, with "sum" the mean over its negatives; one matrix of pairs, (B, B) or (B, 1 + K), whose
        scores are minus the distances.
    """
    if negatives is None:
        scores = -distance(a, b, p.squared)
        role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
        positive = scores.diagonal()
    else:
        scores = -distance(a[:, None], torch.cat([b[:, None], negatives], dim=1), p.squared).squeeze(1)
        role = torch.full_like(scores, Role.NEGATIVE, dtype=torch.int8)
        role[:, 0] = Role.POSITIVE
        positive = scores[:, 0]
    negative = role == Role.NEGATIVE
    asked = positive - (p.margin if margin is None else margin)
    if p.over == "min":
        nearest = scores.masked_fill(~negative, -torch.inf).amax(dim=1)
        paid = torch.relu(nearest - asked[:, None]).mean(dim=1) if p.as_released else torch.relu(nearest - asked)
    else:
        paid = (torch.relu(scores - asked[:, None]) * negative).sum(dim=1) / negative.sum(dim=1).clamp_min(1)
    return Paid({"": Term(paid)}, (Pairs(scores, role),))
