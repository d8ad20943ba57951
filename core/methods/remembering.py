"""A memory: beside a queue and its teacher, every training item as last seen, in clusters that follow step by step."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.methods.looking import Looking, side_by_side
from core.methods.queue import QueuedBatches
from core.methods.registry import method
from core.procedures.k_means import KMeans, k_means
from core.streams import stream


class Remembering(Looking):
    kind: Literal["memory"] = "memory"
    size: int = Field(512, ge=8, le=8192, title="Bank", description="Embeddings of earlier items that are kept.")
    momentum: float = Field(
        0.99, ge=0, le=1, title="Momentum", description="How slowly the teacher follows: 0 at once, 1 never."
    )
    clusters: int = Field(
        30, ge=2, le=1000, title="Clusters", description="By k-means at each look; between looks items change clusters."
    )


@method(
    Remembering,
    title="Queue, memory and clusters",
    source="Xie et al. 2022, arXiv:2008.11702, and the released code; k-means in place of splitting clusters",
    papers=("interclr",),
)
class RememberingBatches(QueuedBatches):
    """Batches as shuffled, beside a bank, and a memory of all items whose clusters are renewed with every step."""

    looks = True
    gives = (*QueuedBatches.gives, "memory", "memory_clusters", "clusters")

    def fault(self, n: int, classes: int, p: Any) -> str:
        if p.clusters > n // 2:
            return f"{p.clusters} clusters of {n} training items leave some alone; choose at most {n // 2} clusters"
        return super().fault(n, classes, p)

    def keep(self, z: Mapping[str, Tensor], labels: Tensor, p: Any, seed: int, epoch: int) -> dict[str, Tensor]:
        draws = torch.rand(p.clusters, generator=stream(seed, "clusters", epoch))
        return {"memory_clusters": k_means(side_by_side(z), draws, KMeans(clusters=p.clusters))}


def joined_clusters(memory: Tensor, clusters: Tensor, fresh: Tensor, count: int) -> Tensor:
    """(B,) which of `count` clusters each `fresh` item (B, D) joins: that whose mean it has the largest product with.

    Args:
        memory: (M, D) items.
        clusters: (M,) cluster of each; one that is empty is joined by nobody.
        fresh: (B, D) items.
        count: number of clusters.
    """
    member = F.one_hot(clusters, count).to(memory.dtype)
    sizes = member.sum(dim=0)
    means = (member.T @ memory) / sizes.clamp_min(1)[:, None]
    return (fresh @ means.T).masked_fill(sizes == 0, -torch.inf).argmax(dim=1)
