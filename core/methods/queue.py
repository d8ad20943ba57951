"""A queue: shuffled batches, a teacher that follows slowly, and a bank of what it saw last."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from core.methods.registry import method
from core.methods.shuffle import ShuffledBatches
from core.params import Params


class Queue(Params):
    kind: Literal["queue"] = "queue"
    batch: int = Field(128, ge=2, le=4096, title="Batch", description="Items that meet in a step; at most all of them.")
    size: int = Field(512, ge=8, le=8192, title="Bank", description="Embeddings of earlier items that are kept.")
    momentum: float = Field(
        0.99, ge=0, le=1, title="Momentum", description="How slowly the teacher follows: 0 at once, 1 never."
    )


@method(Queue, title="Queue and teacher", source="He et al. 2020 (MoCo), arXiv:1911.05722, sec. 3.2", origin="recalled")
class QueuedBatches(ShuffledBatches):
    """Batches as shuffled, beside a bank of the teacher's embeddings of the items before them."""

    teaches = True
    gives = ("teacher", "bank", "bank_labels", "other_teacher", "other_bank")

    def fault(self, n: int, classes: int, p: Any) -> str:
        if p.size <= n:
            return ""
        return f"the bank has room for {p.size} and there are {n} training items; choose a bank of at most {n}"


def kept(bank: Tensor, fresh: Tensor) -> Tensor:
    """(K, ...) the bank after a step: the batch's `fresh` (B, ...) in front, the oldest gone."""
    return torch.cat([fresh.to(bank), bank])[: len(bank)]
