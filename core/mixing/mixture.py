"""The mixture itself: inputs, embeddings and the masks of sequences."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.mixing.options import MaskRule, Renormalise

SHORTEST = 1e-3  # a mixture of opposites has no direction; below this length it shrinks, and its gradient stays finite
STRAIGHT = 1e-4  # squared sine below which an arc is a straight line, or no single arc at all


def between(x: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """(n, ...) lam * x + (1 - lam) * other, item by item, with `lam` (n,)."""
    share = lam.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return share * x + (1 - share) * other


def along_arc(z: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """(n, ..., D) the point that divides the arc from `other` to `z` as `lam` (n,) says; of length 1 for unit vectors.

    Shoemake 1985, sec. 3.3; the geodesic of So et al., arXiv:2203.03897, eq. 4. Where both coincide or are opposite,
    the scaled chord.
    """
    share = lam.to(z.dtype).reshape(-1, *[1] * (z.ndim - 1))
    cosine = (F.normalize(z, dim=-1) * F.normalize(other, dim=-1)).sum(dim=-1, keepdim=True)
    straight = 1 - cosine.square() < STRAIGHT
    angle = torch.acos(cosine.masked_fill(straight, 0.0))
    arc = (torch.sin(share * angle) * z + torch.sin((1 - share) * angle) * other) / torch.sin(angle)
    return torch.where(straight, F.normalize(between(z, other, lam), dim=-1, eps=SHORTEST), arc)


def mixed_embedding(z: Tensor, other: Tensor, lam: Tensor, how: Renormalise) -> Tensor:
    """(n, ..., D) mixed embeddings: of length 1, as short as they come, or from the arc between the two."""
    if how == "geodesic":
        return along_arc(z, other, lam)
    mixed = between(z, other, lam)
    return F.normalize(mixed, dim=-1, eps=SHORTEST) if how == "unit" else mixed


def mixed_mask(mask: Tensor, other: Tensor, how: MaskRule) -> Tensor:
    """(n, T) which steps of each mixed sequence are present.

    Args:
        mask: (n, T) bool, the steps present in each sequence.
        other: (n, T) bool, the steps present in what is mixed in.
        how: "union" of both, "keep" the anchor's own (the released code: a longer partner is cut off, a shorter one
            adds zeros), or "intersect" both.
    """
    if how == "keep":
        return mask
    return mask | other if how == "union" else mask & other
