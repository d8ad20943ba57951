"""Scalars that are learned along with the networks."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.registry import Learned


class LearnedScalars(nn.Module):
    """The scalars that a loss and a mixing have learned along, bounded; positive ones are kept as logarithms."""

    def __init__(self, ranges: Mapping[str, Learned]) -> None:
        super().__init__()
        self.ranges = dict(ranges)
        self.kept = nn.ParameterDict({name: nn.Parameter(_start(spec)) for name, spec in self.ranges.items()})

    def forward(self) -> dict[str, Tensor]:
        """Name -> () value within its range."""
        return {
            name: (self.kept[name].exp() if spec.space == "log" else self.kept[name]).clamp(spec.low, spec.high)
            for name, spec in self.ranges.items()
        }


def _start(spec: Learned) -> Tensor:
    initial = torch.tensor(spec.initial)
    return initial.log() if spec.space == "log" else initial
