"""Ragged bags as tensors: members with a mask, and both packed into the one tensor that a network eats."""

from typing import NamedTuple

import torch
from torch import Tensor

from core.data.registry import Modality
from core.params import Params


class Bag(NamedTuple):
    """The members of n bags: `members` (n, k, D), zeros where `mask` (n, k) bool says that there is none."""

    members: Tensor
    mask: Tensor

    def packed(self) -> Tensor:
        """(n, k, 1 + D) presence, 1 or 0, before the numbers of each member; `unpacked` takes it apart."""
        present = self.mask[..., None].to(self.members.dtype)
        return torch.cat([present, self.members * present], dim=-1)

    def mean(self) -> Tensor:
        """(n, D) mean over the members that are there; zeros for an empty bag."""
        return self.members.sum(dim=1) / self.mask.sum(dim=1, keepdim=True).clamp(min=1)


def unpacked(x: Tensor) -> Bag:
    """The bags in (n, k, 1 + D)."""
    return Bag(x[..., 1:], x[..., 0] > 0)


def with_mask(modality: Modality, p: Params) -> Tensor:
    """(N, n, 1 + F) float32: the members of each bag, packed."""
    assert isinstance(modality.values, Tensor)
    assert modality.mask is not None
    return Bag(modality.values, modality.mask).packed()
