"""k-means: groups of items that lie together, over all of them, or within classes so that no group is large."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class KMeans(Params):
    kind: Literal["k_means"] = "k_means"
    clusters: int = Field(10, ge=1, le=1000, title="Clusters", description="How many groups there are.")
    rounds: int = Field(50, ge=1, le=1000, title="Rounds", description="At most; it ends once nobody moves.")
    balanced: bool = Field(False, title="Balanced", description="All groups of one size, or one more.")


class Subclasses(Params):
    kind: Literal["subclasses"] = "subclasses"
    least: int = Field(
        10, ge=1, le=10_000, title="Least size δ", description="A class is not cut into parts smaller than this."
    )
    rounds: int = Field(50, ge=1, le=1000, title="Rounds", description="At most; it ends once nobody moves.")
    balanced: bool = Field(False, title="Balanced", description="All parts of a class of one size, or one more.")


def _distance(z: Tensor, centres: Tensor) -> Tensor:
    return torch.cdist(z, centres, compute_mode="donot_use_mm_for_euclid_dist")


def _seeds(z: Tensor, draws: Tensor) -> Tensor:
    """Items as first centres: any, then each with a probability that grows with the square of its distance."""
    chosen = [(draws[:1] * len(z)).long()]
    away = _distance(z, z[chosen[0]])
    for draw in draws[1:, None]:
        shares = away[:, 0].square().cumsum(dim=0)
        chosen.append(torch.searchsorted(shares, draw * shares[-1], right=True).clamp(max=len(z) - 1))
        away = torch.minimum(away, _distance(z, z[chosen[-1]]))
    return z[torch.cat(chosen)]


def _nearest(distance: Tensor) -> Tensor:
    """The nearest centre of each item; a centre that nobody is near takes the item that lies farthest from its own."""
    found, count = distance.argmin(dim=1), distance.shape[1]
    for empty in (found.bincount(minlength=count) == 0).nonzero().flatten():
        alone = found.bincount(minlength=count)[found] == 1
        own = distance.gather(1, found[:, None])[:, 0]
        found[own.masked_fill(alone, -torch.inf).argmax()] = empty
    return found


def _evenly(distance: Tensor) -> Tensor:
    """The nearest pair of item and centre first, as long as the centre has room; what is left over, one for each."""
    n, count = distance.shape
    order, found = distance.flatten().argsort(stable=True).tolist(), [-1] * n
    for room in (n // count, 1):
        free = [room] * count
        for item, centre in (divmod(place, count) for place in order):
            if found[item] < 0 and free[centre]:
                found[item], free[centre] = centre, free[centre] - 1
    return torch.tensor(found, device=distance.device)


@procedure(
    KMeans,
    title="k-means",
    source="Lloyd 1982; first centres as in Arthur & Vassilvitskii 2007 (k-means++)",
    formula=r"\min_c\sum_i\Big\lVert z_i-\operatorname{mean}_{c_j=c_i}z_j\Big\rVert^2",
    origin="recalled",
    papers=("sbcl", "mcl_multistage", "interclr"),
)
def k_means(z: Tensor, draws: Tensor, p: KMeans) -> Tensor:
    """Groups items so that each lies nearest to the mean of its own group.

    Args:
        z: (N, D) items.
        draws: (clusters,) or more numbers from 0 up to but not 1; they decide the first centres.
        p: number of groups, rounds, and whether all groups are of one size.

    Returns:
        (N,) int64 group of each item, from 0; no group is empty.

    Raises:
        ValueError: if there are fewer items than groups.
    """
    if len(z) < p.clusters:
        raise ValueError(f"got {len(z)} items for {p.clusters} clusters; choose at most {len(z)} clusters")
    z, assign = z.double(), _evenly if p.balanced else _nearest
    found = assign(_distance(z, _seeds(z, draws[: p.clusters].to(z))))
    for _ in range(p.rounds - 1):
        sums = z.new_zeros(p.clusters, z.shape[1]).index_add(0, found, z)
        before, found = found, assign(_distance(z, sums / found.bincount(minlength=p.clusters)[:, None]))
        if torch.equal(before, found):
            break
    return found


@procedure(
    Subclasses,
    title="Subclasses",
    source="Hou et al. 2023, arXiv:2306.15925, and the released code",
    formula=r"k_c=\max\Big(1,\Big\lfloor\frac{n_c}{\max(\min_cn_c,\ \delta)}\Big\rfloor\Big)",
    origin="code",
    papers=("sbcl",),
)
def subclasses(z: Tensor, labels: Tensor, draws: Tensor, p: Subclasses) -> Tensor:
    """Cuts each class by k-means into as many parts as the smallest class goes into it.

    Args:
        z: (N, D) items; of length 1 where the cosine shall count, as in the paper.
        labels: (N,) class of each item.
        draws: (N,) numbers from 0 up to but not 1; those of a class decide its first centres.
        p: least size of a part, rounds, and whether the parts of a class are of one size.

    Returns:
        (N,) int64 part of each item, from 0; items of different classes are never in one.
    """
    classes, sizes = labels.unique(return_counts=True)
    smallest = max(int(sizes.min()), p.least)
    found, taken = torch.zeros_like(labels, dtype=torch.int64), 0
    for own, size in zip(classes, sizes.tolist(), strict=True):
        inside, count = labels == own, max(1, size // smallest)
        parts = KMeans(clusters=min(count, 1000), rounds=p.rounds, balanced=p.balanced)
        found[inside] = taken + k_means(z[inside], draws.to(z.device)[inside], parts)
        taken += parts.clusters
    return found
