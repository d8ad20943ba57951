"""Two embeddings of the same items: is the second the first one turned, who kept their neighbours, and who moved?"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, unit_rows
from core.diagnostics.kernel_alignment import cka
from core.diagnostics.neighbours import NEAR, Near, Neighbours, membership, neighbours
from core.diagnostics.registry import diagnostic
from core.streams import stream

Most = Annotated[int, Field(ge=1, le=10_000, title="Most moved", description="How many items are named.")]


@dataclass(frozen=True)
class Comparison:
    """What is left of one space in another, N items in both.

    `cka`: unbiased linear CKA, NaN where one space is a point. `overlap` and `moved`: the means of `overlaps` (N,), the
    Jaccard index of an item's neighbours in the two, 0 to 1, and of `distances` (N,) after alignment, 0 to 2; both with
    what independent spaces give. `most_moved` (m,) int64: the items that moved furthest, the furthest first. `turned`
    (N, D): the second space turned onto the first, in the wider of the two widths. `k`: neighbours.
    """

    cka: float
    overlap: float
    chance_overlap: float
    moved: float
    chance_moved: float
    overlaps: Tensor
    distances: Tensor
    most_moved: Tensor
    turned: Tensor
    k: int


def _pair(a: Array, b: Array) -> tuple[Tensor, Tensor]:
    x, y = unit_rows(a), unit_rows(b)
    if len(x) != len(y) or len(x) < 4:
        raise ValueError(f"got {len(x)} and {len(y)} items; give the same items to both, row by row, at least four")
    if x.dtype != y.dtype:
        x, y = x.double(), y.double()
    return x, y


def _widened(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both as wide as the wider one, by zeros: that changes no length and no cosine."""
    width = max(x.shape[1], y.shape[1])
    return F.pad(x, (0, width - x.shape[1])), F.pad(y, (0, width - y.shape[1]))


@diagnostic(
    "procrustes",
    title="Procrustes alignment",
    source="Schönemann 1966: the orthogonal matrix that brings one set of points nearest to another",
    values="coordinates of unit rows",
    chance="the mean distance that is left, refitted with the items shuffled; sqrt(2) for N much larger than D",
)
def procrustes(a: Array, b: Array) -> Tensor:
    """The second space turned, or mirrored, onto the first about the origin, so that every cosine in it is kept.

    Args:
        a: (N, D1) unit rows, N at least 4.
        b: (N, D2) unit rows of the same items; the narrower space is widened by zeros.

    Returns:
        (N, max(D1, D2)) unit rows: b times the orthogonal R that minimises the sum of |a - b R|^2.

    Raises:
        ValueError: if rows are not of length 1, or the items differ in number.
    """
    x, y = _widened(*_pair(a, b))
    u, _, v = torch.linalg.svd(y.double().T @ x.double())
    return y @ (u @ v).to(y)


def _moved(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    turned = procrustes(x, y)
    return turned, (_widened(x, y)[0] - turned).norm(dim=1)


def _overlaps(x: Tensor, y: Tensor, near_x: Neighbours, near_y: Neighbours) -> Tensor:
    k = near_x.k
    both = (near_x.indices[:, :, None] == near_y.indices[:, None, :]).flatten(1).sum(dim=1).to(x)
    found = both / (2 * k - both)
    for items in (near_x.tied | near_y.tied).nonzero().squeeze(1).split(CHUNK):
        here, there = membership(x, near_x, items), membership(y, near_y, items)
        found[items] = torch.minimum(here, there).sum(dim=1) / torch.maximum(here, there).sum(dim=1)
    return found


@diagnostic(
    "neighbour_overlap",
    title="Neighbour overlap",
    source="Jaccard index of the k nearest neighbours in two spaces, item by item",
    origin="recalled",
    values="0 (no neighbour kept) to 1 (the same neighbours)",
    chance="about k / (2N) for independent spaces, exactly the mean of x / (2k - x) over a hypergeometric x",
)
def neighbour_overlap(a: Array, b: Array, *, k: Near = NEAR) -> Tensor:
    """(N,) share of an item's neighbours in either space that are its neighbours in both.

    Where neighbours tie for the last places, each is in by the probability that a random order gives it, and the index
    is that of fuzzy sets: the sum of the smaller over the sum of the larger memberships.

    Args:
        a: (N, D1) unit rows, N at least 4.
        b: (N, D2) unit rows of the same items.
        k: how many neighbours, cut to N - 1.

    Raises:
        ValueError: if rows are not of length 1, or the items differ in number.
    """
    x, y = _pair(a, b)
    return _overlaps(x, y, neighbours(x, k), neighbours(y, k))


def chance_overlap(n: int, k: int = NEAR) -> float:
    """The expected overlap of n items in two independent spaces."""
    k = min(k, n - 1)
    ways = math.comb(n - 1, k)
    shared = range(max(0, 2 * k - n + 1), k + 1)
    return math.fsum(x / (2 * k - x) * (math.comb(k, x) * math.comb(n - 1 - k, k - x) / ways) for x in shared)


@diagnostic(
    "comparison",
    title="What changed between two spaces",
    source="unbiased linear CKA, neighbour overlap, and distances after Procrustes alignment",
    origin="designed",
    values="CKA about 0 to 1, overlap 0 to 1, distance 0 to 2",
    chance="CKA 0; the overlap of independent neighbours; the distance with the items of one space shuffled",
)
def compare(a: Array, b: Array, *, k: Near = NEAR, most: Most = 50, seed: int = 0) -> Comparison:
    """What is left of one space in another: a turned copy shows no change, a shuffled one shows chance.

    Args:
        a: (N, D1) unit rows, N at least 4.
        b: (N, D2) unit rows of the same items.
        k: how many neighbours, cut to N - 1.
        most: how many of the items that moved furthest are named, cut to N.
        seed: address of the shuffling that chance is measured with.

    Raises:
        ValueError: if rows are not of length 1, or the items differ in number.
    """
    x, y = _pair(a, b)
    n = len(x)
    near_x, near_y = neighbours(x, k), neighbours(y, k)
    overlaps = _overlaps(x, y, near_x, near_y)
    turned, distances = _moved(x, y)
    order = torch.randperm(n, generator=stream(seed, "shuffled items")).to(y.device)
    return Comparison(
        cka=cka(x, y, unbiased=True),
        overlap=float(overlaps.double().mean()),
        chance_overlap=chance_overlap(n, near_x.k),
        moved=float(distances.double().mean()),
        chance_moved=float(_moved(x, y[order])[1].double().mean()),
        overlaps=overlaps,
        distances=distances,
        most_moved=distances.argsort(descending=True, stable=True)[:most],
        turned=turned,
        k=near_x.k,
    )
