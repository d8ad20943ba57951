"""What the losses over classes share: sums and means over the candidates that a mask names, empty ones included."""

import torch
from torch import Tensor


def mean_over(values: Tensor, taken: Tensor) -> Tensor:
    """(A,) mean over the `taken` of each row of (A, C), 0 where there are none."""
    return torch.where(taken, values, 0).sum(dim=1) / taken.sum(dim=1, dtype=values.dtype).clamp_min(1)


def share_of(anchors: Tensor, dtype: torch.dtype) -> Tensor:
    """(A,) weights that make a sum the mean over the `anchors` (A,) named, all 0 where there are none."""
    taken = anchors.to(dtype)
    return taken / taken.sum().clamp_min(1)


def same_class(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Two (B, B) masks: the other items of the same class, and all other items."""
    other = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return (labels[:, None] == labels[None, :]) & other, other
