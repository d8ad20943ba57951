"""What the losses with a bank share: the positive's score beside those of the bank, and the softmax over them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.scores import less_margin, similarity, without
from core.paid import Pairs, Role


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
