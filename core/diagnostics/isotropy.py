"""How little embeddings point in one direction, or vary along few."""

import math

import torch

from core.diagnostics.arrays import Array, integers, rows, tensor
from core.diagnostics.registry import diagnostic


@diagnostic(
    "isotropy",
    title="Isotropy of tokens",
    source="Su and Collier 2023, arXiv:2210.14140; mean over all pairs of one text, all texts together",
    origin="code",
    papers=("contrastive_search",),
    values="0 (all tokens of a text point one way) to 1 + 1 / (n - 1) at most, for texts of n tokens",
    chance="1 for random directions; 0 where everything has collapsed",
)
def isotropy(sequence: Array, mask: Array | None = None) -> float:
    """One minus the mean cosine of two different tokens of one text; NaN where no text has two.

    Args:
        sequence: (B, T, D) unit embedding of each token.
        mask: (B, T) which tokens are present; all by default.

    Raises:
        ValueError: if the mask does not have an entry for each token.
    """
    z = tensor(sequence).double()
    here = torch.ones_like(z[..., 0], dtype=torch.bool) if mask is None else integers(mask, z).bool()
    if here.shape != z.shape[:2]:
        raise ValueError(f"got a mask of shape {tuple(here.shape)} for tokens {tuple(z.shape[:2])}; give one for each")
    present = z * here[:, :, None]
    counts = here.sum(dim=1)
    pairs = int((counts * (counts - 1)).sum())
    if pairs == 0:
        return math.nan
    return 1 - float(present.sum(dim=1).square().sum() - present.square().sum()) / pairs


@diagnostic(
    "isoscore",
    title="IsoScore",
    source="Rudman et al. 2022, arXiv:2108.07344, algorithm 1",
    values="0 (all variance along one direction) to 1 (the same variance along every direction)",
    chance="(N D / (N + D) - 1) / (D - 1) for random directions: near 1 for N much larger than D",
)
def isoscore(z: Array) -> float:
    """How evenly the variance is spread over all directions, whatever their mean; NaN in one dimension or at one point.

    The published steps (principal components, their variances brought to the length of the vector of ones, the distance
    to it, two rescalings) come to (R - 1) / (D - 1), with R the participation ratio of the covariance's eigenvalues,
    (sum of them)^2 / (sum of their squares), which needs no eigenvalue.

    Args:
        z: (N, D) rows of any length.

    Raises:
        ValueError: if there is NaN or infinity among them.
    """
    x = rows(z).double()
    centred = x - x.mean(dim=0)
    covariance = centred.T @ centred
    total, squares = covariance.trace().square(), covariance.square().sum()
    dim = x.shape[1]
    if dim < 2 or not bool(total > (1e-12 * x.square().sum()) ** 2):
        return math.nan
    return (float(total / squares) - 1) / (dim - 1)


def chance_isoscore(n: int, dim: int) -> float:
    """The IsoScore of n random directions in `dim` dimensions, for large n and dim; NaN in one dimension."""
    return (n * dim / (n + dim) - 1) / (dim - 1) if dim > 1 else math.nan
