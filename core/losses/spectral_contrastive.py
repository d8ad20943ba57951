"""The spectral contrastive loss: positives are pulled by their cosine, negatives pushed to a right angle."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params


class SpectralContrastive(Params):
    kind: Literal["spectral_contrastive"] = "spectral_contrastive"
    mu: float = Field(
        1, ge=0.1, le=10, title="Squared length μ", description="Of every embedding; longer ones pay more for overlap."
    )


@loss(
    SpectralContrastive,
    title="Spectral contrastive",
    source="HaoChen et al. 2021, arXiv:2106.04156, eq. 6; embeddings of squared length μ, as most are in the code",
    family="none",
    formula=r"-2\mu s_{ii}+\frac{\mu^2}{B-1}\sum_{j\neq i}s_{ij}^2",
    claims=Claims(
        pushes="a negative whose cosine is below 0 is pulled up to 0",
        margin="it takes no margin: a lead would only add a constant",
    ),
    relations={
        "simple_contrastive": "with the squares of the negatives' scores, which are to be 0 and not as low as can be",
        "barlow_twins": "asks of items what that one asks of dimensions: that different ones share nothing",
    },
    variants=({}, {"mu": 3}),
)
def spectral_contrastive(a: Tensor, b: Tensor, p: SpectralContrastive, *, exclude: Tensor | None = None) -> Paid:
    """Pulls each pair together and asks different items for no overlap: their inner products are to be 0.

    Args:
        a: (B, D) unit anchors.
        b: (B, D) unit positives.
        p: squared length that the embeddings are given.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does.

    Returns:
        One term per anchor, not below -2μ; one (B, B) matrix of pairs, of unit vectors.
    """
    scores = similarity(a, b)
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    negative = role == Role.NEGATIVE
    overlap = scores.masked_fill(~negative, 0).square().sum(dim=1) / negative.sum(dim=1).clamp_min(1)
    return Paid({"": Term(p.mu**2 * overlap - 2 * p.mu * scores.diagonal())}, (Pairs(scores, role),))
