"""Where what is paid stands: the collapse level, the floor, and what is paid as the positives come close."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.diagnostics.levels import chance_level, floor_level
from core.diagnostics.loss_lens import Sample, pay, sample
from core.losses.registry import LOSSES
from core.vocabulary import VOCABULARY

POINTS = 21


@dataclass(frozen=True)
class Marks:
    """`paid` (T,) at each `closeness` (T,) of the positives, spread 0; None where it is not known.

    `collapse`: every embedding the same; `floor`: evenly spaced, perfectly aligned; `unrelated`: at closeness 0, where
    a positive is as far from its anchor as any stranger.
    """

    closeness: Tensor
    paid: Tensor
    collapse: float
    floor: float | None
    unrelated: float


def marks(p: Any, s: Sample, points: int = POINTS) -> Marks | None:
    """The levels of a loss on batches like this one, the same anchors and directions at every closeness.

    None for a loss that is handed no embeddings, whose inputs know no closeness.
    """
    if not any(VOCABULARY[name].meaning.startswith("embedding") for name in LOSSES.of(p).needed):
        return None
    closeness = torch.linspace(0, 0.99, points, dtype=torch.float64)
    with torch.no_grad():
        paid = [float(pay(p, sample(p, s._replace(closeness=c, spread=0)), s.seed).total()) for c in closeness.tolist()]
    labels = torch.arange(s.n) // 2
    return Marks(
        closeness,
        torch.tensor(paid, dtype=torch.float64),
        chance_level(p, s.n, labels),
        floor_level(p, s.n, s.dim, labels),
        paid[0],
    )
