"""Who is near whom in one space, computed once and shared: neighbours by cosine, hubs, and rows that nobody is near.

All pairs are passed over in square blocks, each once for both of its sides; no matrix of all pairs is ever held.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, resolution, share, unit_rows
from core.diagnostics.registry import diagnostic
from core.streams import stream

NEAR = 10
Near = Annotated[int, Field(ge=1, le=1000, title="Neighbours k", description="How many neighbours each item has.")]


@dataclass(frozen=True)
class Neighbours:
    """The k nearest others of each of N items by cosine.

    `indices` (N, k) int64, the nearest first; `cosines` (N, k) in [-1, 1]; `tied` (N,) bool: the k-th is no nearer than
    one that was left out, by more than rounding.
    """

    indices: Tensor
    cosines: Tensor
    tied: Tensor

    @property
    def k(self) -> int:
        return self.indices.shape[1]


@dataclass(frozen=True)
class Hubness:
    """How unevenly neighbours are shared out: the skewness of the k-occurrence and the share of anti-hubs.

    `occurrences` (N,): how often each item is among the k nearest of another, k on average; where neighbours tie, the
    expectation over a random order.
    """

    skewness: float
    antihubs: float
    k: int
    occurrences: Tensor


def cosine_blocks(x: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Every pair of different unit rows (N, D) once, in blocks.

    Returns:
        (i, j, block) with i <= j: the cosines of the rows from i on with those from j on, both `CHUNK` at most. In a
        block with i == j each pair stands twice, and -inf on the diagonal. A block may be overwritten.
    """
    for i in range(0, len(x), CHUNK):
        for j in range(i, len(x), CHUNK):
            block = x[i : i + CHUNK] @ x[j : j + CHUNK].T
            if i == j:
                block.fill_diagonal_(-torch.inf)
            yield i, j, block


def neighbours(z: Array, k: int = NEAR, visit: Callable[[int, int, Tensor], None] | None = None) -> Neighbours:
    """The k nearest others of each item, exact.

    Args:
        z: (N, D) unit rows, N at least 2.
        k: how many, cut to N - 1.
        visit: called with every block of `cosine_blocks` in the same pass, after its neighbours were read off it.

    Raises:
        ValueError: if rows are not of length 1, or there is no pair.
    """
    x = unit_rows(z)
    n = len(x)
    if n < 2 or k < 1:
        raise ValueError(f"got {n} items and k = {k} where each item needs a neighbour; give two items and a k above 0")
    k = min(k, n - 1)
    m = min(k + 1, n - 1)
    best, who = x.new_full((n, m), -torch.inf), torch.zeros(n, m, dtype=torch.int64, device=x.device)
    for i, j, block in cosine_blocks(x):
        _keep(best, who, block, i, j)
        if i != j:
            _keep(best, who, block.T, j, i)
        if visit is not None:
            visit(i, j, block)
    tied = best[:, k - 1] - best[:, k] <= resolution(x) if m > k else torch.zeros_like(best[:, 0], dtype=torch.bool)
    return Neighbours(who[:, :k].contiguous(), best[:, :k].clamp(-1, 1), tied)


def _keep(best: Tensor, who: Tensor, cosines: Tensor, row: int, column: int) -> None:
    """Let a block's nearest take their places among the best so far of its rows."""
    m, rows = best.shape[1], slice(row, row + len(cosines))
    found = cosines.topk(min(m, cosines.shape[1]), dim=1)
    best[rows], order = torch.cat([best[rows], found.values], dim=1).topk(m, dim=1)
    who[rows] = torch.cat([who[rows], found.indices + column], dim=1).gather(1, order)


def membership(x: Tensor, found: Neighbours, items: Tensor) -> Tensor:
    """(m, N) probability that each item is among the k nearest of `items` (m,), equals ordered at random.

    Args:
        x: (N, D) the unit rows that `found` is of.
        found: from `neighbours`.
        items: (m,) int64; all memory that is taken is m by N.
    """
    cosines = x[items] @ x.T
    cosines.scatter_(1, items[:, None], -torch.inf)
    edge = found.cosines[items, -1:]
    above = cosines > edge + resolution(x)
    level = (cosines >= edge - resolution(x)) & ~above
    room = found.k - above.sum(dim=1, keepdim=True)
    return above.to(x) + level.to(x) * (room / level.sum(dim=1, keepdim=True))


def is_one_point(x: Tensor) -> bool:
    """Whether all cosines of the unit rows (N, D) tie: every row lies within rounding of the centroid."""
    return bool((x - x.mean(dim=0)).square().sum(dim=1).max() <= resolution(x) / 2)


def occurrences(z: Array, found: Neighbours) -> Tensor:
    """(N,) how often each item is among the k nearest of another; equals share a place evenly."""
    x = unit_rows(z)
    if is_one_point(x):
        return x.new_full((len(x),), found.k)
    counts = torch.bincount(found.indices[~found.tied].flatten(), minlength=len(x)).to(x)
    for items in found.tied.nonzero().squeeze(1).split(CHUNK):
        counts += membership(x, found, items).sum(dim=0)
    return counts


def hubness_of(z: Array, found: Neighbours) -> Hubness:
    """As `hubness`, of neighbours that are known already."""
    counts = occurrences(z, found)
    off = counts.double() - found.k
    variance = off.square().mean()
    skewness = float(off.pow(3).mean() / variance.pow(1.5)) if bool(variance > 1e-12) else 0.0
    return Hubness(skewness, share(counts < 1e-6), found.k, counts)


@diagnostic(
    "hubness",
    title="Hubness",
    source="Radovanovic et al. 2010, JMLR 11, eq. 1: skewness of the k-occurrence; anti-hubs: nobody's neighbour",
    values="skewness 0 (all alike) upwards, below 0 where few are left out; anti-hubs 0 to 1 - (k + 1) / N",
    chance="by simulation: random directions of the same number and width; above 0, falling as N / D grows",
)
def hubness(z: Array, *, k: Near = NEAR) -> Hubness:
    """Whether a few items are everybody's neighbours and others nobody's.

    Args:
        z: (N, D) unit rows, N at least 2.
        k: how many neighbours, cut to N - 1.

    Raises:
        ValueError: if rows are not of length 1, or there is no pair.
    """
    return hubness_of(z, neighbours(z, k))


@functools.lru_cache(maxsize=64)
def chance_hubness(n: int, dim: int, k: int = NEAR, seed: int = 0) -> tuple[float, float]:
    """Skewness and share of anti-hubs of n random directions: mean of 8 seeded draws, or of 1 large one."""
    draws = 8 if n < 2_000 else 1
    found = [hubness(_random(n, dim, seed, draw), k=k) for draw in range(draws)]
    return sum(each.skewness for each in found) / draws, sum(each.antihubs for each in found) / draws


def _random(n: int, dim: int, seed: int, draw: int) -> Tensor:
    return F.normalize(torch.randn(n, dim, generator=stream(seed, "hubness", n, dim, draw)), dim=1)
