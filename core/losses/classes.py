"""What the losses over classes share: sums and means over the candidates that a mask names, empty ones included."""

import torch
from torch import Tensor

from core.losses.scores import without


def log_sum(logits: Tensor, taken: Tensor) -> Tensor:
    """(A,) log of the sum of exp over the `taken` of each row of (A, C); minus infinity, without gradient, if none."""
    some = taken.any(dim=1)
    safe = torch.where(some[:, None], without(logits, ~taken), 0)
    return torch.where(some, torch.logsumexp(safe, dim=1), -torch.inf)


def mean_over(values: Tensor, taken: Tensor) -> Tensor:
    """(A,) mean over the `taken` of each row of (A, C), 0 where there are none."""
    return values.masked_fill(~taken, 0).sum(dim=1) / taken.sum(dim=1).clamp_min(1)


def share_of(anchors: Tensor, dtype: torch.dtype) -> Tensor:
    """(A,) weights that make a sum the mean over the `anchors` (A,) named, all 0 where there are none."""
    taken = anchors.to(dtype)
    return taken / taken.sum().clamp_min(1)


def same_class(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Two (B, B) masks: the other items of the same class, and all other items."""
    other = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return (labels[:, None] == labels[None, :]) & other, other
