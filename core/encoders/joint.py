"""A joint encoder: one embedding of an item from all its modalities together."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from core.encoders.registry import build
from core.params import Params
from core.streams import drawing_from


class Joint(nn.Module):
    """A branch for each modality, side by side, then GELU and one linear map over all of them."""

    def __init__(self, names: Sequence[str], branches: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.names, self.branches, self.head = tuple(names), nn.ModuleList(branches), head

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """(n, dim), not normalised, of the modalities by name."""
        parts = [branch(inputs[name]) for name, branch in zip(self.names, self.branches, strict=True)]
        return self.head(torch.cat(parts, dim=-1))


def build_joint(parts: Mapping[str, tuple[Params, tuple[int, ...]]], dim: int, seed: int) -> Joint:
    """A joint encoder with networks of its own, whose weights depend on the seed and the names alone.

    Args:
        parts: modality -> encoder params and shape of one prepared item.
        dim: size of each branch's output and of the embedding.
        seed: of the recipe.
    """
    branches = [build(p, shape, dim, seed, f"joint {name}") for name, (p, shape) in parts.items()]
    with drawing_from(seed, "weights", "joint"):
        head = nn.Sequential(nn.GELU(), nn.Linear(dim * len(parts), dim))
    return Joint(list(parts), branches, head)
