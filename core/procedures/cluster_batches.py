"""Batches of one cluster: every negative shares what earlier stages of training have already learned to tell."""

from itertools import zip_longest
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure

_SOURCE = "Zhang et al. 2024, arXiv:2402.11816, and the released code"


class CumulativeLabels(Params):
    kind: Literal["cumulative_labels"] = "cumulative_labels"
    clusters: int = Field(10, ge=1, le=1000, title="Clusters", description="Of every stage.")
    as_released: bool = Field(
        False, title="As released", description="The newest stage stands in for each earlier one."
    )


class ClusterBatches(Params):
    kind: Literal["cluster_batches"] = "cluster_batches"
    batch: int = Field(128, ge=2, le=4096, title="Batch", description="Items in a batch.")
    rest: Literal["drop", "gather"] = Field(
        "drop", title="Left over", description="What fills no batch of its own cluster: left out, or put together."
    )


@procedure(
    CumulativeLabels,
    title="Clusters of all stages",
    source=_SOURCE,
    formula=r"P_s(i)=\sum_{r\le s}\ell_r(i)\,K^{s-r}",
    origin="code",
    papers=("mcl_multistage",),
)
def cumulative_labels(stages: Tensor, p: CumulativeLabels) -> Tensor:
    """Gives items one number if they shared the cluster of every stage so far, and different ones if not.

    Args:
        stages: (S, N) int64 cluster of each item in each stage, from 0 and below `p.clusters`, the oldest stage first.
        p: clusters of a stage, and whether earlier stages are forgotten as in the released code.

    Returns:
        (N,) int64, from 0 and below clusters^S.

    Raises:
        ValueError: if a cluster is out of range, or the numbers would not fit in 63 bits.
    """
    if stages.numel() and not 0 <= int(stages.min()) <= int(stages.max()) < p.clusters:
        raise ValueError(f"clusters run from 0 to {p.clusters - 1}; got {int(stages.min())} to {int(stages.max())}")
    if p.clusters ** len(stages) > 2**63:
        raise ValueError(f"{len(stages)} stages of {p.clusters} clusters are too many to number; use fewer")
    found = torch.zeros_like(stages[-1])
    for stage in stages:
        found = found * p.clusters + (stages[-1] if p.as_released else stage)
    return found


@procedure(
    ClusterBatches,
    title="Batches of one cluster",
    source=_SOURCE,
    formula=r"\text{one batch of each cluster in turn, as long as it fills one}",
    origin="code",
    papers=("mcl_multistage",),
)
def cluster_batches(clusters: Tensor, order: Tensor, p: ClusterBatches) -> Tensor:
    """Fills each batch from one cluster, and visits the clusters in turn; every item comes at most once.

    Args:
        clusters: (N,) cluster of each item.
        order: (N,) permutation of the items, in which those of a cluster are taken.
        p: size of a batch, and what happens to items that fill no batch of their own cluster. Put together, they make
            batches of as few clusters as may be, after all others, and only what fills no batch at all is left out.

    Returns:
        (batches, batch) items, on the device of `clusters`; with "drop" every batch is of one cluster.
    """
    order = order.to(clusters.device)
    cells = [order[clusters[order] == own] for own in clusters.unique()]
    whole = [len(cell) // p.batch * p.batch for cell in cells]
    turns = zip_longest(*(cell[:size].split(p.batch) for cell, size in zip(cells, whole, strict=True) if size))
    batches = [batch for turn in turns for batch in turn if batch is not None]
    if p.rest == "gather":
        rest = torch.cat([cell[size:] for cell, size in zip(cells, whole, strict=True)])
        batches += [batch for batch in rest.split(p.batch) if len(batch) == p.batch]
    return torch.stack(batches) if batches else order.new_empty(0, p.batch)
