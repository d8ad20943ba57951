"""Multi-similarity: an anchor's positives in one soft maximum and its negatives in another, about one similarity."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.two_views import all_pairs
from core.paid import Paid, Role, Term
from core.params import Params, only


class MultiSimilarity(Params):
    kind: Literal["multi_similarity"] = "multi_similarity"
    alpha: float = Field(
        2, ge=0.1, le=100, title="Sharpness of the positives α", description="Larger pulls the farthest alone."
    )
    beta: float = Field(
        50, ge=0.1, le=100, title="Sharpness of the negatives β", description="Larger pushes the nearest alone."
    )
    base: float = Field(
        1, ge=-1, le=1, title="Base λ", description="Similarity that positives are to exceed and negatives to miss."
    )
    mine: bool = Field(
        False,
        title="Mine",
        description="Only pairs that stand in the wrong order with the anchor's worst are paid for.",
    )
    epsilon: float = Field(
        0.1,
        ge=0,
        le=1,
        title="Slack ε",
        description="How far a pair may be in the right order and still be taken.",
        json_schema_extra=only(mine=True),
    )


def informative(scores: Tensor, positive: Tensor, negative: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Which positives (A, C) exceed the anchor's nearest negative by less than ε, and which negatives are less than ε
    below its farthest positive: the miner of the paper.
    """
    farthest = scores.masked_fill(~positive, torch.inf).amin(dim=1, keepdim=True)
    nearest = scores.masked_fill(~negative, -torch.inf).amax(dim=1, keepdim=True)
    return positive & (scores < nearest + epsilon), negative & (scores > farthest - epsilon)


@loss(
    MultiSimilarity,
    title="Multi-similarity (MS loss)",
    source="Wang et al. 2019, arXiv:1904.06627, weighting and miner; the base is 1 as in the paper, 1/2 in its code",
    family="softmax",
    formula=r"\tfrac1\alpha\log\Big[1+\sum_{q\in P(i)}e^{-\alpha(s_{iq}-\lambda)}\Big]"
    r"+\tfrac1\beta\log\Big[1+\sum_{k\in N(i)}e^{\beta(s_{ik}-\lambda)}\Big]",
    relations={
        "siglip": "each anchor's positives together, and its negatives together; with one of each it is τ times SigLIP",
        "contrastive": "over similarities, with soft hinges and the hardest pairs first",
        "circle": "with positives and negatives each in a logarithm of their own",
    },
    claims=Claims(margin="its base moves what both kinds of pairs are asked for, so it is no lead of the positive"),
    variants=({}, {"alpha": 10, "beta": 20, "base": 0.5}, {"base": 0.5, "mine": True}),
    work="Both views of N items are anchors among both: (2N)² scores, in two sums.",
)
def multi_similarity(
    a: Tensor, b: Tensor, labels: Tensor, p: MultiSimilarity, *, exclude: Tensor | None = None
) -> Paid:
    """Pulls the least similar of each anchor's class most, and pushes the most similar of the other classes most.

    Args:
        a: (B, D) unit embeddings, first view of each item.
        b: (B, D) second view.
        labels: (B,) class of each item.
        p: sharpness of either side, base, and whether the paper's miner drops pairs, with which slack.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        Two terms per anchor, `attraction` and `repulsion`, (2B,) each: first all of a, then all of b; one (2B, 2B)
        matrix of pairs. Pairs that are not mined keep their role and cost nothing.
    """
    pairs = all_pairs(a, b, labels, exclude)
    positive, negative = (pairs.role == role for role in (Role.POSITIVE, Role.NEGATIVE))
    if p.mine:
        positive, negative = informative(pairs.scores, positive, negative, p.epsilon)
    far = log_sum(-pairs.scores, positive, 1 / p.alpha) + p.alpha * p.base
    near = log_sum(pairs.scores, negative, 1 / p.beta) - p.beta * p.base
    terms = {"attraction": Term(F.softplus(far) / p.alpha), "repulsion": Term(F.softplus(near) / p.beta)}
    return Paid(terms, (pairs,))
