"""What the losses with a bank share: the positive's score beside those of the bank, and the softmax over them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.scores import less_margin, similarity, without
from core.paid import Pairs, Role, diagonal_roles


def beside(a: Tensor, positive: Tensor, bank: Tensor) -> Pairs:
    """(B, 1 + K) scores of each anchor (B, D) with its positive (B, D), which comes first, and with a bank (K, D)."""
    exact = exactly(a)
    own = (exact * positive.to(exact.dtype)).sum(dim=1, keepdim=True)
    return first_positive(torch.cat([own, similarity(exact, bank.to(exact.dtype))], dim=1))


def first_positive(scores: Tensor) -> Pairs:
    """The scores (A, C) with the first candidate of each anchor as its positive and the others as negatives."""
    role = torch.full(scores.shape, Role.NEGATIVE, dtype=torch.int8, device=scores.device)
    role[:, 0] = Role.POSITIVE
    return Pairs(scores, role)


def exactly(x: Tensor) -> Tensor:
    """The same numbers, in float32 at least."""
    return x if x.dtype == torch.float64 else x.float()


def log_share(pairs: Pairs, temperature: Tensor | float, margin: Tensor | float = 0) -> Tensor:
    """(A, C) logarithm of the softmax over the candidates that take part, the margin taken off every positive."""
    asked = less_margin(pairs.scores, pairs.role == Role.POSITIVE, margin) / temperature
    return F.log_softmax(without(asked, pairs.role == Role.EXCLUDED), dim=1)


def first_cost(pairs: Pairs, temperature: Tensor | float, margin: Tensor | float = 0) -> Tensor:
    """(A,) cross entropy of the first candidate of each anchor."""
    return -log_share(pairs, temperature, margin)[:, 0]


def among_keys(a: Tensor, keys: Tensor, bank: Tensor | None) -> Pairs:
    """(B, B + K) scores of each anchor (B, D) with all keys (B, D), of which its own is its positive, then a bank."""
    every = keys if bank is None else torch.cat([keys, bank.to(keys.dtype)])
    return Pairs(similarity(a, every.to(a.dtype)), diagonal_roles(len(a), len(every), a.device))


def softened_cost(
    pairs: Pairs, taught: Tensor, share: float, temperature: Tensor | float, sharpness: Tensor | float
) -> Tensor:
    """(A,) cross entropy of the candidates with targets of which `share` is the teacher's and the rest the positive's.

    Args:
        pairs: the student's scores (A, C), with one positive for each anchor.
        taught: (A, C) the teacher's scores of the same candidates, without gradient.
        share: of the teacher's softmax in the target, 0 to 1.
        temperature: of the student's softmax.
        sharpness: () temperature of the teacher's softmax, without gradient.
    """
    own = (pairs.role == Role.POSITIVE).to(taught.dtype)
    target = torch.lerp(own, F.softmax(taught / sharpness, dim=1), share)
    return -(target * log_share(pairs, temperature)).sum(dim=1)
