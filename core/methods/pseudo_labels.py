"""Labels by k-means: clusters of the present embeddings stand in for classes, or cut them into parts."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from core.methods.looking import Looking, LookingBatches, side_by_side
from core.methods.registry import method
from core.procedures.k_means import KMeans, Subclasses, k_means, subclasses
from core.streams import stream


class PseudoLabels(Looking):
    kind: Literal["pseudo_labels"] = "pseudo_labels"
    clusters: int = Field(10, ge=2, le=1000, title="Clusters", description="By k-means on the present embeddings.")
    balanced: bool = Field(False, title="Balanced", description="All clusters of one size, or one more.")


class CutClasses(Looking):
    kind: Literal["cut_classes"] = "cut_classes"
    least: int = Field(
        10, ge=1, le=10_000, title="Least size δ", description="A class is not cut into parts smaller than this."
    )
    balanced: bool = Field(False, title="Balanced", description="All parts of a class of one size, or one more.")


@method(PseudoLabels, title="Pseudo-labels", source="Caron et al. 2018 (DeepCluster), arXiv:1807.05520")
class PseudoLabelled(LookingBatches):
    """Batches as shuffled, with the clusters of the present embeddings for labels, whether there are classes or not."""

    gives = ("labels",)

    def fault(self, n: int, classes: int, p: Any) -> str:
        most = min(p.batch, n // 2)
        if p.clusters <= most:
            return ""
        return (
            f"{p.clusters} clusters of {n} training items in batches of {min(p.batch, n)} leave most items without a "
            f"second of their label; choose at most {most} clusters, a larger batch, or more data"
        )

    def keep(self, z: Mapping[str, Tensor], labels: Tensor, p: Any, seed: int, epoch: int) -> dict[str, Tensor]:
        draws = torch.rand(p.clusters, generator=stream(seed, "clusters", epoch))
        return {"labels": k_means(side_by_side(z), draws, KMeans(clusters=p.clusters, balanced=p.balanced))}


@method(
    CutClasses,
    title="Subclasses",
    source="Hou et al. 2023, arXiv:2306.15925, and the released code",
    origin="code",
    papers=("sbcl",),
)
class SubclassBatches(LookingBatches):
    """Batches as shuffled, with clusters within each class, as many as the smallest class goes into it."""

    gives = ("clusters",)

    def fault(self, n: int, classes: int, p: Any) -> str:
        return (
            "" if classes else "there are no classes to be cut into parts; choose method pseudo_labels, or other data"
        )

    def keep(self, z: Mapping[str, Tensor], labels: Tensor, p: Any, seed: int, epoch: int) -> dict[str, Tensor]:
        draws = torch.rand(len(labels), generator=stream(seed, "clusters", epoch))
        return {"clusters": subclasses(side_by_side(z), labels, draws, Subclasses(least=p.least, balanced=p.balanced))}
