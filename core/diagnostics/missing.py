"""Missing modalities: what an item's fused embedding still does when some of its modalities are not there.

The fused embedding of an item is the mean of the unit embeddings of the modalities present, renormalised. What becomes
of an item depends on which of its modalities are present and on nothing else, so every subset is measured once, item by
item, and a drop rate only chooses among those outcomes.
"""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.arrays import Array, class_of, integers, share, unit_rows
from core.diagnostics.probes import baseline, knn_vote
from core.diagnostics.registry import diagnostic
from core.diagnostics.retrieval import Places, Retrieval, place, summarise
from core.streams import stream

NEIGHBOURS = 5
KS = (1, 5, 10)
DRAWS = 20
T_95 = 2.0930240544082634


@dataclass(frozen=True)
class Outcomes:
    """What happens to each of n test items under each subset of its modalities.

    `subsets`: names, in the order of `names`, smaller subsets first. `correct` (S, n) bool: the 5-NN vote is right.
    `places`: for each subset, where its items stand among all complete ones. `across`: with two modalities, (from, to)
    -> where each item stands in the other modality.
    """

    names: tuple[str, ...]
    subsets: tuple[tuple[str, ...], ...]
    correct: Tensor
    places: tuple[Places, ...]
    across: Mapping[tuple[str, str], Places]
    chance: float
    majority: float


@dataclass(frozen=True)
class Subset:
    """One subset of the modalities: 5-NN accuracy, retrieval of the complete item and, with two, across modalities."""

    present: tuple[str, ...]
    accuracy: float
    retrieval: Retrieval
    across: Mapping[tuple[str, str], Retrieval]


@dataclass(frozen=True)
class Interval:
    """Mean of the draws with the 95 % interval of that mean (Student's t), cut to [0, 1]; NaN where a draw has none."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class AtRate:
    """Results at one drop rate, shares all; `across` has the recall at 1, 5 and 10 of each direction."""

    rate: float
    accuracy: Interval
    r1: Interval
    r5: Interval
    r10: Interval
    across: Mapping[tuple[str, str], tuple[Interval, ...]]


def fuse(modalities: Mapping[str, Array], present: Array | None = None) -> Tensor:
    """Fused embeddings: the mean of the unit embeddings present, renormalised; their sum points the same way.

    Args:
        modalities: name -> (N, D) unit rows.
        present: (N, M) bool, which modalities each item has, in the order of `modalities`; without it, all.

    Returns:
        (N, D) unit rows; a row of zeros where the modalities present cancel out or none is.

    Raises:
        ValueError: if rows are not of length 1, or the modalities differ in shape.
    """
    each = [unit_rows(z) for z in modalities.values()]
    if len({z.shape for z in each}) != 1:
        raise ValueError(f"got modalities of shapes {[tuple(z.shape) for z in each]}; give each item a row in each")
    if present is not None:
        there = integers(present, each[0]).bool()
        each = [torch.where(there[:, m, None], z, 0) for m, z in enumerate(each)]
    return F.normalize(sum(each[1:], start=each[0]), dim=1)


@diagnostic(
    "missing_modalities",
    title="Missing modalities",
    source="late fusion by the mean of unit embeddings; every subset, and random drops",
    origin="designed",
    values="accuracy and recalls 0 to 1",
    chance="accuracy 1 / classes; recall k over the items",
)
def outcomes(
    train: Mapping[str, Array],
    labels: Array,
    test: Mapping[str, Array],
    test_labels: Array,
    joint: tuple[Array, Array] | None = None,
) -> Outcomes:
    """Measure every non-empty subset of the modalities, item by item.

    The vote is among the 5 nearest complete training items. A retrieval query is the fused embedding of the subset, the
    gallery the complete fused embedding of every test item, the target the item itself. Where a joint encoder reads all
    modalities together (Poklukar et al. 2022, GMC), its embedding stands for every complete item instead of the fused
    one; the cosine makes the length of a fused one irrelevant.

    Args:
        train: name -> (N, D) unit rows of the training items.
        labels: (N,) their classes.
        test: name -> (M, D) unit rows of the test items, the same names in the same order.
        test_labels: (M,) their classes.
        joint: (N, D) and (M, D) unit rows of a joint encoder, of the training and of the test items.

    Raises:
        ValueError: if the names differ, there is none, or rows are not of length 1.
    """
    names = tuple(test)
    if not names or tuple(train) != names:
        raise ValueError(f"got the modalities {tuple(train)} to train and {names} to test; give both the same ones")
    known, gallery = (fuse(train), fuse(test)) if joint is None else (unit_rows(joint[0]), unit_rows(joint[1]))
    truth, wanted = class_of(labels, known), class_of(test_labels, gallery)
    subsets = tuple(s for size in range(1, len(names) + 1) for s in itertools.combinations(names, size))
    queries = [fuse({name: test[name] for name in subset}) for subset in subsets[:-1]] + [gallery]
    pairs = list(itertools.permutations(names, 2)) if len(names) == 2 else []
    chance, majority = baseline(truth, wanted)
    return Outcomes(
        names=names,
        subsets=subsets,
        correct=torch.stack([knn_vote(known, truth, q, NEIGHBOURS) == wanted for q in queries]),
        places=tuple(place(q, gallery) for q in queries),
        across={(a, b): place(unit_rows(test[a]), unit_rows(test[b])) for a, b in pairs},
        chance=chance,
        majority=majority,
    )


def every_subset(found: Outcomes) -> tuple[Subset, ...]:
    """The results of each subset, smaller ones first; across modalities only from those that are present."""
    return tuple(
        Subset(
            present=subset,
            accuracy=share(found.correct[k]),
            retrieval=summarise(found.places[k]),
            across={pair: summarise(p) for pair, p in found.across.items() if pair[0] in subset},
        )
        for k, subset in enumerate(found.subsets)
    )


def draw_present(n: int, modalities: int, rate: float, seed: int, draw: int) -> Tensor:
    """(n, M) bool: which modalities each item keeps when each is dropped with probability `rate`, never the last one.

    An item that would lose all keeps one of them, drawn evenly. The uniform numbers depend on seed and draw alone, so
    what is dropped at one rate is dropped at every higher one, but for the one that is kept.
    """
    g = stream(seed, "missing", draw)
    kept = torch.rand(n, modalities, generator=g) >= rate
    last = F.one_hot(torch.randint(modalities, (n,), generator=g), modalities).bool()
    return torch.where(kept.any(dim=1, keepdim=True), kept, last)


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval of `DRAWS` values; equal values have exactly their own as mean and ends."""
    if any(math.isnan(v) for v in values):
        return Interval(math.nan, math.nan, math.nan)
    mean = statistics.mean(values)
    half = T_95 * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half))


def along_rates(found: Outcomes, rates: Sequence[float], seed: int = 0) -> tuple[AtRate, ...]:
    """Results at each drop rate, over 20 draws.

    Args:
        found: from `outcomes`.
        rates: probabilities in [0, 1] that a modality of an item is missing.
        seed: address of the draws.

    Returns:
        One entry for each rate. Recalls across modalities are among the items whose modality is present; NaN where some
        draw has none.

    Raises:
        ValueError: if a rate is not between 0 and 1.
    """
    if any(not 0 <= rate <= 1 for rate in rates):
        raise ValueError(f"got the drop rates {tuple(rates)}; expected shares between 0 and 1: change those outside")
    where, n, names = found.correct.device, found.correct.shape[1], found.names
    bit = 2 ** torch.arange(len(names))
    codes = [sum(2 ** names.index(name) for name in subset) for subset in found.subsets]
    which = torch.zeros(2 ** len(names), dtype=torch.int64).index_put((torch.tensor(codes),), torch.arange(len(codes)))
    measured = [found.correct, *(torch.stack([p.hit(k) for p in found.places]) for k in KS)]
    directions = {pair: (names.index(pair[0]), [p.hit(k) for k in KS]) for pair, p in found.across.items()}
    items = torch.arange(n, device=where)
    results = []
    for rate in rates:
        kept = [draw_present(n, len(names), rate, seed, draw) for draw in range(DRAWS)]
        chosen = [which[(there * bit).sum(dim=1)].to(where) for there in kept]
        seen = [there.to(where) for there in kept]
        whole = (interval([share(values[c, items]) for c in chosen]) for values in measured)
        across = {
            pair: tuple(interval([share(hits[there[:, source]]) for there in seen]) for hits in each)
            for pair, (source, each) in directions.items()
        }
        results.append(AtRate(rate, *whole, across=across))
    return tuple(results)
