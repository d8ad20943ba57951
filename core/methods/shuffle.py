"""Shuffled batches: each epoch visits the training items in a fresh order."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from core.methods.registry import method
from core.params import Params
from core.streams import stream


class Shuffle(Params):
    kind: Literal["shuffle"] = "shuffle"
    batch: int = Field(128, ge=2, le=4096, title="Batch", description="Items that meet in a step; at most all of them.")


@method(Shuffle, title="Shuffled batches", source="common practice", origin="recalled")
class ShuffledBatches:
    """Cuts a fresh order of the training items into batches; the few left over wait for the next epoch."""

    teaches = looks = False
    gives: tuple[str, ...] = ()

    def fault(self, n: int, classes: int, p: Any) -> str:
        return ""

    def keep(self, z: Mapping[str, Tensor], labels: Tensor, p: Any, seed: int, epoch: int) -> dict[str, Tensor]:
        return {}

    def steps(self, n: int, p: Any) -> int:
        return max(1, n // p.batch)

    def epoch(self, n: int, p: Any, seed: int, epoch: int, kept: Mapping[str, Tensor]) -> Tensor:
        order = torch.randperm(n, generator=stream(seed, "batches", epoch))
        size = min(p.batch, n)
        return order[: self.steps(n, p) * size].reshape(-1, size)
