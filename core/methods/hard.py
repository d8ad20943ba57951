"""Hard batches: items that the networks take for one another at present meet."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from core.methods.looking import Looking, LookingBatches
from core.methods.registry import method
from core.procedures.hard_batches import NearestCounterparts, NeighbourBatches, nearest_counterparts, neighbour_batches
from core.streams import stream


class Hard(Looking):
    kind: Literal["hard"] = "hard"
    every: int = Field(
        1, ge=1, le=1000, title="Looks every", description="Epochs from one look at the embeddings to the next."
    )
    k: int = Field(64, ge=1, le=1000, title="Neighbours", description="How many neighbours of each item are kept.")
    select: int = Field(
        32, ge=2, le=1024, title="Neighbours of a seed", description="Half are its nearest, half are drawn."
    )


@method(
    Hard,
    title="Batches of neighbours",
    source="Deuser et al. 2023, arXiv:2303.11851, dynamic similarity sampling",
    origin="code",
    papers=("sample4geo",),
)
class HardBatches(LookingBatches):
    """Batches of seeds and of the items whose other modality looks most like theirs."""

    def fault(self, n: int, classes: int, p: Any) -> str:
        if p.k < n:
            return ""
        return f"neighbours is {p.k} and each of {n} training items has {n - 1} others; choose at most {n - 1}"

    def keep(self, z: Mapping[str, Tensor], labels: Tensor, p: Any, seed: int, epoch: int) -> dict[str, Tensor]:
        a, b = (torch.cat(side, dim=1) for side in zip(*combinations(z.values(), 2), strict=True))
        return {"neighbours": nearest_counterparts(a, b, NearestCounterparts(k=p.k))}

    def epoch(self, n: int, p: Any, seed: int, epoch: int, kept: Mapping[str, Tensor]) -> Tensor:
        order = torch.randperm(n, generator=stream(seed, "batches", epoch))
        draws = torch.rand(kept["neighbours"].shape, generator=stream(seed, "neighbours", epoch))
        asked = NeighbourBatches(batch=min(p.batch, n), select=p.select)
        return neighbour_batches(kept["neighbours"], order, draws, asked)
