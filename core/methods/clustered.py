"""Batches of one cluster: what the networks tell apart already is alike in them, so that the rest is learned."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from core.methods.looking import Looking, LookingBatches, side_by_side
from core.methods.registry import method
from core.procedures.cluster_batches import ClusterBatches, cluster_batches
from core.procedures.k_means import KMeans, k_means
from core.streams import stream


class Clustered(Looking):
    kind: Literal["clustered"] = "clustered"
    clusters: int = Field(5, ge=1, le=1000, title="Clusters", description="By k-means on the present embeddings.")


@method(
    Clustered,
    title="Batches of one cluster",
    source="Zhang et al. 2024, arXiv:2402.11816; with clusters that are renewed in place of stages",
    papers=("mcl_multistage",),
)
class ClusteredBatches(LookingBatches):
    """Batches from one cluster each; what fills none of its own cluster comes last, put together."""

    def fault(self, n: int, classes: int, p: Any) -> str:
        size = min(p.batch, n)
        if p.clusters * size <= n:
            return ""
        return (
            f"{p.clusters} clusters of {n} training items need not hold a batch of {size}; choose at most "
            f"{n // size} clusters, or a smaller batch"
        )

    def keep(self, z: Mapping[str, Tensor], labels: Tensor, p: Any, seed: int, epoch: int) -> dict[str, Tensor]:
        draws = torch.rand(p.clusters, generator=stream(seed, "clusters", epoch))
        return {"cells": k_means(side_by_side(z), draws, KMeans(clusters=p.clusters))}

    def epoch(self, n: int, p: Any, seed: int, epoch: int, kept: Mapping[str, Tensor]) -> Tensor:
        order = torch.randperm(n, generator=stream(seed, "batches", epoch))
        return cluster_batches(kept["cells"], order, ClusterBatches(batch=min(p.batch, n), rest="gather"))
