"""What losses over a query's candidates share: the candidate in front is the positive, all others are negatives."""

import torch
from torch import Tensor

from core.losses.scores import similarity
from core.paid import Pairs, Role, barred, diagonal_roles


def exact(x: Tensor) -> Tensor:
    """`x` in float32 at least."""
    return x if x.dtype == torch.float64 else x.float()


def first_positive(scores: Tensor) -> Tensor:
    """(Q, N) int8 roles of the candidates."""
    role = torch.full_like(scores, Role.NEGATIVE, dtype=torch.int8, requires_grad=False)
    role[:, 0] = Role.POSITIVE
    return role


def own_candidates(a: Tensor, b: Tensor, negatives: Tensor) -> Pairs:
    """(B, 1 + K) inner products of each anchor (B, D) with its positive (B, D) and its own negatives (B, K, D)."""
    candidates = exact(torch.cat([b[:, None], negatives], dim=1))
    scores = (candidates @ exact(a)[:, :, None]).squeeze(2)
    return Pairs(scores, first_positive(scores))


def pairs_of(a: Tensor, b: Tensor, negatives: Tensor | None, exclude: Tensor | None) -> tuple[Pairs, Tensor]:
    """The pairs of anchors (B, D) and positives (B, D), and (B,) the scores of the positives.

    With `negatives` (B, K, D) as `own_candidates`; without, the other items' positives are the negatives, except where
    `exclude` (B, B) bars them.
    """
    if negatives is not None:
        pairs = own_candidates(a, b, negatives)
        return pairs, pairs.scores[:, 0]
    scores = similarity(a, b)
    return Pairs(scores, barred(diagonal_roles(len(a), len(b), a.device), exclude)), scores.diagonal()
