"""Batch-hard triplet: of every anchor only its farthest positive and its nearest negative."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.registry import loss
from core.losses.scores import nearness, twice
from core.losses.two_views import all_pairs
from core.paid import Paid, Role, Term
from core.params import Params


class BatchHard(Params):
    kind: Literal["batch_hard"] = "batch_hard"
    margin: float = Field(0.2, ge=0, le=2, title="Margin m", description="Lead, in distance, that is asked for.")
    soft: bool = Field(
        False, title="Soft margin", description="log(1 + e^x) in place of [x]₊: never silent; usual with a margin of 0."
    )
    mining: Literal["hardest", "semi_hard"] = Field(
        "hardest",
        title="Negative",
        description="The nearest of all, or the nearest of those that are farther than the positive.",
    )


@loss(
    BatchHard,
    title="Batch-hard triplet (hard or soft margin)",
    source="Hermans et al. 2017, arXiv:1703.07737, eq. 5; semi-hard mining: Schroff et al. 2015, arXiv:1503.03832",
    origin="recalled",
    family="hinge",
    formula=r"\Big[m+\max_{q\in P(i)}d_{iq}-\min_{k\in N(i)}d_{ik}\Big]_+",
    relations={
        "triplet": "with the farthest of a class as the positive and both views of all items as anchors",
        "lifted_structure": "with one positive and one negative in place of soft maxima over all",
    },
    variants=({}, {"soft": True, "margin": 0}, {"mining": "semi_hard", "margin": 0.5}),
    work="Both views of N items are anchors among both: (2N)² distances.",
)
def batch_hard(
    a: Tensor,
    b: Tensor,
    labels: Tensor,
    p: BatchHard,
    *,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Compares each anchor's hardest positive with its hardest or semi-hard negative, by a hard or a soft margin.

    Args:
        a: (B, D) first view of each item.
        b: (B, D) second view.
        labels: (B,) class of each item.
        p: margin, hard or soft, which negative.
        margin: () or (B,), instead of `p.margin`; entry i belongs to both views of item i.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b, 0 where it has no such negative; one (2B, 2B) matrix
        of pairs, whose scores are minus the distances.
    """
    pairs = all_pairs(a, b, labels, exclude, nearness)
    far = pairs.scores.masked_fill(pairs.role != Role.POSITIVE, torch.inf).min(dim=1).values
    rival = pairs.role == Role.NEGATIVE
    if p.mining == "semi_hard":
        rival = rival & (pairs.scores < far[:, None])
    near = pairs.scores.masked_fill(~rival, -torch.inf).max(dim=1).values
    short = near - far + twice(p.margin if margin is None else margin)
    return Paid({"": Term(F.softplus(short) if p.soft else torch.relu(short))}, (pairs,))
