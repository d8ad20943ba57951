"""Embeddings and pairs that the tests of the diagnostics share."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.paid import Pairs, Role, diagonal_roles
from core.streams import stream


def unit(n: int, dim: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """(n, dim) random unit rows."""
    return F.normalize(torch.randn(n, dim, generator=stream(seed, "cloud", n, dim)).to(dtype), dim=1)


def groups(n: int, dim: int, classes: int, noise: float = 0.05, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(n, dim) unit rows in tight groups, and the group of each."""
    labels = torch.arange(n) % classes
    around = unit(classes, dim, seed)[labels] + noise * torch.randn(n, dim, generator=stream(seed, "noise"))
    return F.normalize(around, dim=1), labels


def square(n: int, seed: int = 0) -> Pairs:
    """(n, n) random scores with the positives on the diagonal."""
    scores = torch.rand(n, n, generator=stream(seed, "scores"), dtype=torch.float64) * 2 - 1
    return Pairs(scores, diagonal_roles(n, n, torch.device("cpu")))


def one_row(scores: list[float], positives: int = 0) -> Pairs:
    """(1, C) scores of one anchor, the first ones its positives and the others its negatives."""
    role = torch.full((1, len(scores)), Role.NEGATIVE, dtype=torch.int8)
    role[0, :positives] = Role.POSITIVE
    return Pairs(torch.tensor([scores], dtype=torch.float64), role)
