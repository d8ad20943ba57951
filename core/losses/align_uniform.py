"""Alignment and uniformity: pairs are pulled together, and each side is spread out over the sphere."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.fields import weight
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.losses.two_views import other_view
from core.paid import Paid, Pairs, Role, Term, barred
from core.params import Params

NEAREST = 1e-12  # squared distance of two embeddings that coincide, where a root is taken of it


class AlignUniform(Params):
    kind: Literal["align_uniform"] = "align_uniform"
    alpha: float = Field(2, ge=1, le=4, title="Power α", description="Of the distance between the two of a pair.")
    t: float = Field(2, ge=0.1, le=10, title="Sharpness t", description="Larger weighs the nearest items more.")
    uniformity: float = weight(1, "Uniformity λ", "the part that spreads each side out")


@loss(
    AlignUniform,
    title="Alignment and uniformity",
    source="Wang and Isola 2020, arXiv:2005.10242, sec. 4.1; both sides' uniformity averaged, as in their code",
    family="none",
    formula=r"\lVert a_i-b_i\rVert^\alpha+\tfrac\lambda2\sum_{z\in\{a,b\}}\log\underset{i\neq j}{\mathrm{mean}}\;"
    r"e^{-t\lVert z_i-z_j\rVert^2},\quad \lVert x-y\rVert^2=2-2\langle x,y\rangle",
    claims=Claims(margin="it takes no margin: the push knows no positive that could lead"),
    relations={
        "alignment": "with a push: each side is spread out as well",
        "nt_xent": "what it tends to with many negatives, but with pull and push weighed by hand",
    },
    variants=({}, {"alpha": 1, "t": 5}, {"alpha": 3, "uniformity": 0.3}),
    work="Both views of N items are set against both: (2N)² scores.",
)
def align_uniform(a: Tensor, b: Tensor, p: AlignUniform, *, exclude: Tensor | None = None) -> Paid:
    """Pulls each pair together and spreads the items of each side out over the sphere.

    Args:
        a: (B, D) unit anchors, B >= 2.
        b: (B, D) unit positives.
        p: power of the distance, sharpness and weight of the uniformity.
        exclude: (B, B) pairs (a_i, b_j) of items that are not spread apart, within either side; a positive always
            takes part.

    Returns:
        "alignment" (2B,), first all of a, then all of b; "uniformity" () of the batch, between -4t and 0 before its
        weight. One (2B, 2B) matrix of pairs, in which different items of different sides take no part.
    """
    pairs = _within_sides(a, b, exclude)
    apart = 2 - 2 * other_view(pairs.scores)
    near = apart if p.alpha == 2 else apart.clamp_min(NEAREST).pow(p.alpha / 2)
    crowded = _crowding(pairs, p.t).mean()
    return Paid({"alignment": Term(near), "uniformity": Term(crowded, "batch").scaled(p.uniformity)}, (pairs,))


def _within_sides(a: Tensor, b: Tensor, exclude: Tensor | None) -> Pairs:
    """(2B, 2B) scores of both sides: the other view is the positive, the other items of the own side are negatives."""
    z, size = torch.cat([a, b]), len(a)
    role = torch.full((len(z), len(z)), Role.EXCLUDED, dtype=torch.int8, device=z.device)
    for side in (slice(None, size), slice(size, None)):
        role[side, side] = Role.NEGATIVE
    role.fill_diagonal_(Role.EXCLUDED)
    for place in (size, -size):
        role.diagonal(place).fill_(Role.POSITIVE)
    return Pairs(similarity(z, z), role if exclude is None else barred(role, (exclude | exclude.T).repeat(2, 2)))


def _crowding(pairs: Pairs, t: float) -> Tensor:
    """(2,) of each side, log of the mean of exp(-t d²) over all pairs of different items; 0 where there are none."""
    negative = pairs.role == Role.NEGATIVE
    each = log_sum(pairs.scores, negative, 1 / (2 * t)).clamp_min(torch.finfo(pairs.scores.dtype).min)
    count = negative.sum(dim=1, dtype=each.dtype).unflatten(0, (2, -1)).sum(dim=1)
    level = each.unflatten(0, (2, -1)).logsumexp(dim=1) - count.clamp_min(1).log() - 2 * t
    return level.masked_fill(count == 0, 0)
