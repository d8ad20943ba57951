"""How little the tokens of a text point in one direction."""

import math

import torch

from core.diagnostics.arrays import Array, integers, tensor
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
