"""What the losses with a centre for each class share: the centres themselves, and the pairs of items and centres."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.losses.registry import Companion
from core.paid import Role


class Centres(nn.Module):
    """A unit vector for each of `classes` classes, learned along; they start in random directions."""

    def __init__(self, classes: int, dimensions: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(classes, dimensions))

    def forward(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`proxies` (P, D)."""
        return {"proxies": F.normalize(self.directions, dim=1)}


def _build(p: Any, sizes: Mapping[str, int]) -> nn.Module:
    return Centres(sizes["P"], sizes["D"])


CENTRES = Companion(_build, makes=("proxies",))


def centre_roles(labels: Tensor, classes: int) -> Tensor:
    """(B, P) int8: the centre of an item's own class is its positive, every other one a negative."""
    roles = torch.full((len(labels), classes), Role.NEGATIVE, dtype=torch.int8, device=labels.device)
    return roles.scatter(1, labels[:, None], int(Role.POSITIVE))
