"""Retrieval: at which rank does a query find its own item, with ties handled and said.

Scores that differ by rounding only are ties. By default a tie is broken at random and the *expected* result is given,
so that a collapsed encoder, whose scores are all alike, lands on the chance level and not on 0 or 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, integers, resolution, share, tensor, unit_rows
from core.diagnostics.registry import diagnostic


@dataclass(frozen=True)
class Places:
    """Where each query's true item stands in a gallery of `size`.

    `above` (Q,) int64: items with a higher score. `level` (Q,) int64: other items with the same score.
    """

    above: Tensor
    level: Tensor
    size: int

    def rank(self, pessimistic: bool = False) -> Tensor:
        """(Q,) rank from 1: expected under random breaking of ties, or with the true item behind its equals."""
        return 1 + self.above + (self.level if pessimistic else self.level / 2)

    def hit(self, k: int, pessimistic: bool = False) -> Tensor:
        """(Q,) probability in [0, 1] that the true item is among the first k; 0 or 1 where nothing ties."""
        if pessimistic:
            return (self.above + self.level < k).float()
        return ((k - self.above) / (self.level + 1)).clamp(0, 1)


@dataclass(frozen=True)
class Retrieval:
    """Recall at 1, 5, 10 and 50, all shares; the median rank from 1; the share of queries whose true item ties.

    `n` queries searched a gallery of `size`, in which guessing has the recalls `chance1`, `chance5`, `chance10`,
    `chance50`. `mean_rank` is from 1, too.
    """

    r1: float
    r5: float
    r10: float
    median_rank: float
    ties: float
    n: int
    size: int
    r50: float
    mean_rank: float

    @property
    def chance1(self) -> float:
        return chance_recall(1, self.size)

    @property
    def chance5(self) -> float:
        return chance_recall(5, self.size)

    @property
    def chance10(self) -> float:
        return chance_recall(10, self.size)

    @property
    def chance50(self) -> float:
        return chance_recall(50, self.size)


@dataclass(frozen=True)
class AsReleased:
    """What the released retrieval code prints: recalls at 1, 5, 10 and 50, and three numbers of its own making.

    `median_rank` is the median counted from 0, rounded down, plus 1; `mean_rank` is from 1; `total` adds the recalls at
    1, 5 and 50, not at 10.
    """

    r1: float
    r5: float
    r10: float
    r50: float
    median_rank: float
    mean_rank: float
    total: float


def chance_recall(k: int, size: int) -> float:
    """Recall at k of guessing in a gallery of `size`."""
    return min(1.0, k / size)


def places(scores: Array, target: Array | None = None) -> Places:
    """Where the true item stands in each row of scores.

    Args:
        scores: (Q, G), larger is better, of the size of cosines: two closer than 16 units of rounding at 1 tie.
        target: (Q,) index of each query's true item; without it, item i for query i.

    Raises:
        ValueError: if a score is NaN or infinite, or a target is not in the gallery.
    """
    s = tensor(scores)
    if not bool(torch.isfinite(s).all()):
        raise ValueError("got NaN or infinity among the scores where finite numbers are expected; drop those items")
    truth = torch.arange(len(s), device=s.device) if target is None else integers(target, s)
    if len(truth) != len(s) or (len(truth) and not 0 <= int(truth.min()) <= int(truth.max()) < s.shape[1]):
        raise ValueError(
            f"got targets for {len(truth)} queries in scores of shape {tuple(s.shape)}; "
            "give each query one index of a gallery column"
        )
    lead = s - s.gather(1, truth[:, None])
    above = lead > resolution(s)
    level = (lead >= -resolution(s)) & ~above
    return Places(above.sum(dim=1), level.sum(dim=1) - 1, s.shape[1])


def place(queries: Tensor, gallery: Tensor, target: Array | None = None) -> Places:
    """As `places`, for the inner products of queries (Q, D) and a gallery (G, D), in chunks of queries."""
    truth = torch.arange(len(queries), device=queries.device) if target is None else integers(target, queries)
    parts = [places(queries[i : i + CHUNK] @ gallery.T, truth[i : i + CHUNK]) for i in range(0, len(queries), CHUNK)]
    return Places(torch.cat([p.above for p in parts]), torch.cat([p.level for p in parts]), len(gallery))


def place_both(a: Tensor, b: Tensor) -> tuple[Places, Places]:
    """As `place` from a (N, D) to b (N, D) and back, item i for item i, of one pass over the pairs.

    Raises:
        ValueError: if the shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"got embeddings of shapes {tuple(a.shape)} and {tuple(b.shape)}; pair them row by row")
    n, own, rounding = len(a), (a * b).sum(dim=1), resolution(a)
    edges = own + rounding, own - rounding
    beyond = torch.zeros(2, 2, n, dtype=torch.int64, device=a.device)
    for i in range(0, n, CHUNK):
        for j in range(0, n, CHUNK):
            here, there = slice(i, i + CHUNK), slice(j, j + CHUNK)
            block = a[here] @ b[there].T
            mark = torch.empty_like(block)
            for past, (edge, compare) in enumerate(zip(edges, (torch.gt, torch.ge), strict=True)):
                beyond[0, past, here] += compare(block, edge[here, None], out=mark).sum(dim=1).long()
                beyond[1, past, there] += compare(block, edge[None, there], out=mark).sum(dim=0).long()
    forth, back = (Places(above, level - above - 1, n) for above, level in beyond)
    return forth, back


def worst(found: Places, most: int) -> tuple[Tensor, Tensor]:
    """(m,) the queries whose true item stands furthest down, the worst first, and (m,) its expected rank from 1."""
    rank = found.rank().double()
    order = rank.argsort(descending=True, stable=True)[:most]
    return order, rank[order]


def median(x: Tensor) -> float:
    """The median of a flat tensor, halfway between the two middle values where their count is even."""
    ordered = x.float().sort().values
    return float(ordered[(len(x) - 1) // 2] + ordered[len(x) // 2]) / 2


def summarise(found: Places, pessimistic: bool = False) -> Retrieval:
    """The recalls, the ranks and the ties of all queries, at least one."""
    rank = found.rank(pessimistic)
    return Retrieval(
        *(share(found.hit(k, pessimistic)) for k in (1, 5, 10)),
        median_rank=median(rank),
        ties=share(found.level > 0),
        n=len(found.above),
        size=found.size,
        r50=share(found.hit(50, pessimistic)),
        mean_rank=float(rank.double().mean()),
    )


def summarise_as_released(found: Places) -> AsReleased:
    """The numbers of the released code, of at least one query; its order among ties is chance, here they are behind."""
    rank = found.rank(pessimistic=True).double()
    r1, r5, r10, r50 = (share(rank <= k) for k in (1, 5, 10, 50))
    middle = math.floor(median(rank - 1)) + 1
    return AsReleased(r1, r5, r10, r50, float(middle), float(rank.mean()), total=r1 + r5 + r50)


@diagnostic(
    "retrieval",
    title="Retrieval",
    source="recall at k as in Faghri et al. 2018, arXiv:1707.05612, sec. 4; ties: expectation over random order",
    values="recalls 0 to 1; median and mean rank 1 to the size of the gallery",
    chance="k over the size of the gallery; median and mean rank half of it",
)
def retrieval(queries: Array, gallery: Array, target: Array | None = None, *, pessimistic: bool = False) -> Retrieval:
    """Recall at 1, 5, 10 and 50, the median and the mean rank of each query's true item by cosine.

    Args:
        queries: (Q, D) unit rows, at least one.
        gallery: (G, D) unit rows.
        target: (Q,) index of each query's true item in the gallery; without it, item i for query i.
        pessimistic: place the true item behind its equals; by default the expectation under random order is given.

    Raises:
        ValueError: if rows are not of length 1, or a target is not in the gallery.
    """
    return summarise(place(unit_rows(queries), unit_rows(gallery), target), pessimistic)


@diagnostic(
    "retrieval_released",
    title="Retrieval as released",
    source="the evaluation of COOT (Ging et al. 2020) and of So et al. 2023 (DMM)",
    origin="code",
    papers=("dmm",),
    values="recalls 0 to 1, their total 0 to 3; median and mean rank 1 to the size of the gallery",
    chance="k over the size of the gallery; median and mean rank half of it",
)
def retrieval_as_released(queries: Array, gallery: Array, target: Array | None = None) -> AsReleased:
    """As `retrieval`, with the released code's median and total; to be set beside its numbers, not beside others'.

    Arguments and errors as for `retrieval`.
    """
    return summarise_as_released(place(unit_rows(queries), unit_rows(gallery), target))


def every_way(modalities: Mapping[str, Array], *, pessimistic: bool = False) -> dict[tuple[str, str], Retrieval]:
    """Retrieval from each modality to each other one, both ways, keyed (from, to).

    Args:
        modalities: name -> (N, D) unit rows, the same item in the same row of each.
        pessimistic: as for `retrieval`.

    Raises:
        ValueError: as `retrieval` does.
    """
    return {
        (source, to): retrieval(modalities[source], modalities[to], pessimistic=pessimistic)
        for source in modalities
        for to in modalities
        if source != to
    }
