"""The health card: the numbers by which embeddings are judged, each with its chance level and its verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import torch
from torch import Tensor

from core.diagnostics.arrays import Array, integers, share, tensor, unit_rows
from core.diagnostics.geometry import (
    alignment,
    chance_alignment,
    chance_effective_rank,
    chance_modality_gap,
    chance_uniformity,
    effective_rank,
    energy,
    max_rank,
    mean_energy,
    modality_gap,
    spread,
)
from core.diagnostics.isotropy import chance_isoscore, isoscore
from core.diagnostics.kernel_alignment import anisotropy
from core.diagnostics.missing import fuse
from core.diagnostics.neighbours import Neighbours, chance_hubness, hubness_of, neighbours
from core.diagnostics.probes import Probe, baseline, linear_probe, nearest_rows, vote
from core.diagnostics.retrieval import Places, place_both, summarise, worst
from core.diagnostics.separation import Found, chance_separation, found_by_class, separation, shuffled_knn
from core.diagnostics.twins import ALIKE, Twins, chance_twins, twins_across, twins_of
from core.diagnostics.verdicts import (
    THRESHOLDS,
    Hits,
    Verdict,
    aligned,
    collapsed,
    cone,
    found_class,
    guessing_does_as_well,
    hubs,
    leaks,
    separated,
    twins,
    untrained,
)

MOST_PROBED = 2_000
MOST_CASES = 50
WEAKEST = 5
VOTERS = 5
TOGETHER = "together"
HITS = {"retrieval": "R@1", "knn": "5-NN", "linear_probe": "linear probe"}


@dataclass(frozen=True)
class Edges:
    """Where the verdicts of this card change; a value on the edge belongs to the side that the comment names."""

    together: float = 0.5  # distance of a pair over that of strangers; up to it: together
    closer: float = 0.9  # up to it: closer than strangers; above: near chance
    one_cloud: float = 0.1  # share of the variance that the gap explains; up to it: one cloud
    two_clouds: float = 0.5  # above: two clouds
    spread_out: float = 0.5  # uniformity over its chance level; from it on: spread out


EDGES = Edges()


@dataclass(frozen=True)
class Case:
    """A row that a reading points at, its number, and the row beside it, where there is one.

    For retrieval: a query, the rank of its partner, the item that it found first. For hubness: a hub and how many have
    it as a neighbour. For duplicates: a row, its cosine with its twin, the twin. For the weakest classes: a class, how
    often it was named, nothing.
    """

    row: int
    value: float
    beside: int | None = None


@dataclass(frozen=True)
class Reading:
    """One number of the card.

    `of`: the modality, the pair, the way or the class that it is about. `chance`: what random unit vectors or guessing
    give. `best`: the largest value that is possible, None where there is no such end. `cases`: the rows behind it, the
    worst first, at most 50.
    """

    of: str
    value: float
    chance: float
    verdict: Verdict
    best: float | None = None
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """What the probes learn from and are asked about: modality -> (m, D) and (n, D) unit rows, and their classes.

    `classes`: what each class is called; "class 3" where there is no name.
    """

    train: Mapping[str, Array]
    train_labels: Array
    test: Mapping[str, Array]
    labels: Array
    classes: Sequence[str] = ()


def card(
    modalities: Mapping[str, Array],
    labelled: Labelled | None = None,
    before: Mapping[str, tuple[Reading, ...]] | None = None,
    split: tuple[Mapping[str, Array], Mapping[str, Array]] | None = None,
) -> dict[str, tuple[Reading, ...]]:
    """Every reading that the embeddings allow, by the key of its diagnostic.

    All pairs of items are passed over once for each modality and once for each pair of modalities.

    Args:
        modalities: name -> (N, D) unit rows, the same item in the same row of each.
        labelled: for the probes; None where there are no classes.
        before: the card of the same items under the same network before its first step, for the verdicts of the
            probes.
        split: training and test items, name -> (m, D) and (n, D) unit rows, for duplicates across the two; the cases
            count these.

    Raises:
        ValueError: if rows are not of length 1 or not finite.
    """
    z = {name: tensor(value) for name, value in modalities.items()}
    pairs = [(m, n) for m, n in combinations(z, 2) if z[m].shape[1] == z[n].shape[1]]
    crowds = {name: _crowd(value) for name, value in z.items()}
    readings = {
        "effective_rank": tuple(_rank(name, value) for name, value in z.items()),
        "uniformity": tuple(_uniformity(name, even, z[name].shape[1]) for name, (_, even) in crowds.items()),
        "alignment": tuple(_alignment(m, n, z[m], z[n]) for m, n in pairs),
        "modality_gap": tuple(_gap(m, n, z[m], z[n]) for m, n in pairs),
        "retrieval": tuple(reading for m, n in pairs for reading in _retrieval(m, n, z[m], z[n])),
        **({} if labelled is None else _probes(labelled, before or {})),
        "hubness": tuple(_hubness(name, z[name], near) for name, (near, _) in crowds.items()),
        "anisotropy": tuple(_anisotropy(name, value) for name, value in z.items()),
        "twins": tuple(_twins(name, z[name], near) for name, (near, _) in crowds.items()),
        "twins_across": () if split is None else _across(*split),
    }
    return {key: row for key, row in readings.items() if row}


def _crowd(z: Tensor) -> tuple[Neighbours, float]:
    """The neighbours of all items and their uniformity, in one pass over the pairs."""
    parts: list[float] = []
    near = neighbours(z, visit=lambda i, j, block: parts.append(energy(i, j, block)))
    return near, mean_energy(math.fsum(parts), len(z))


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"


def _rank(name: str, z: Tensor) -> Reading:
    value, most = effective_rank(z), max_rank(*z.shape)
    return Reading(name, value, chance_effective_rank(*z.shape), collapsed(spread(z), value, most), most)


def _uniformity(name: str, value: float, dim: int, edges: Edges = EDGES) -> Reading:
    chance = chance_uniformity(dim)
    text = f"Uniformity {value:.2f}: 0 is one point, random directions have {chance:.2f}.".replace("-", "−")
    even = value <= edges.spread_out * chance
    verdict = Verdict("spread out", "ok", text) if even else Verdict("clumped", "watch", text)
    return Reading(name, value, chance, verdict)


def strangers(a: Array, b: Array) -> float:
    """Mean squared distance of an item of a (N, D) to one of b (N, D), all pairs alike: what alignment has to beat."""
    return 2 - 2 * float(tensor(a).mean(dim=0) @ tensor(b).mean(dim=0))


def _alignment(m: str, n: str, a: Tensor, b: Tensor, edges: Edges = EDGES) -> Reading:
    value, far = alignment(a, b), strangers(a, b)
    text = f"The halves of a pair are {value:.2f} apart, strangers {far:.2f} (squared distances, at most 4)."
    if value > edges.closer * far or far < THRESHOLDS.collapsed_spread:
        verdict = Verdict("near chance", "bad", text)
    else:
        close = value <= edges.together * far
        verdict = Verdict("together", "ok", text) if close else Verdict("closer", "watch", text)
    return Reading(f"{m}, {n}", value, chance_alignment(), verdict)


def gap_share(a: Array, b: Array) -> float:
    """Share of the total variance of two modalities, unit rows, that the distance of their centroids explains."""
    between = modality_gap(a, b) ** 2 / 4
    within = (spread(a) + spread(b)) / 2
    return between / (between + within) if between + within > 0 else 0.0


def _gap(m: str, n: str, a: Tensor, b: Tensor, edges: Edges = EDGES) -> Reading:
    value, share = modality_gap(a, b), gap_share(a, b)
    text = f"Their centres are {value:.2f} apart, which explains {_percent(share)} of all differences."
    if share <= edges.one_cloud:
        verdict = Verdict("one cloud", "ok", text)
    else:
        verdict = Verdict("two clouds", "bad", text) if share > edges.two_clouds else Verdict("a gap", "watch", text)
    return Reading(f"{m}, {n}", value, chance_modality_gap(len(a), len(b)), verdict)


def _retrieval(m: str, n: str, a: Tensor, b: Tensor) -> tuple[Reading, Reading]:
    forth, back = place_both(unit_rows(a), unit_rows(b))
    return _way(f"{m} → {n}", forth, a, b), _way(f"{n} → {m}", back, b, a)


def _way(of: str, places: Places, queries: Tensor, gallery: Tensor) -> Reading:
    seen = summarise(places)
    verdict = aligned(seen.r1, seen.n, seen.chance1)
    ties = f" {_percent(seen.ties)} tie and count by expectation." if seen.ties else " None tie."
    more = f" Among the first ten {_percent(seen.r10)}; median rank {seen.median_rank:.0f} of {seen.size}."
    lost, ranks = worst(places, MOST_CASES)
    first = (queries[lost] @ gallery.T).argmax(dim=1)
    cases = _cases(lost, ranks, first)
    said = replace(verdict, sentence=verdict.sentence + more + ties)
    return Reading(of, seen.r1, seen.chance1, said, 1.0, cases)


def _cases(rows: Tensor, values: Tensor, beside: Tensor | None = None) -> tuple[Case, ...]:
    others = [None] * len(rows) if beside is None else beside.tolist()
    return tuple(map(Case, rows.tolist(), values.tolist(), others))


def _hubness(name: str, z: Tensor, near: Neighbours) -> Reading:
    seen, (chance, left_out) = hubness_of(z, near), chance_hubness(*z.shape, k=near.k)
    most = seen.occurrences.topk(min(MOST_CASES, len(z)))
    verdict = hubs(seen.skewness, chance, seen.antihubs, left_out)
    return Reading(name, seen.skewness, chance, verdict, cases=_cases(most.indices, most.values))


def _anisotropy(name: str, z: Tensor) -> Reading:
    value = anisotropy(z)
    return Reading(name, value, 0.0, cone(value, isoscore(z), chance_isoscore(*z.shape)), 1.0)


def _twins(name: str, z: Tensor, near: Neighbours) -> Reading:
    seen, chance = twins_of(near), chance_twins(len(z) - 1, z.shape[1])
    return Reading(name, seen.share, chance, twins(seen.share, seen.same, seen.n, chance, ALIKE), 1.0, _pairs(seen))


def _across(train: Mapping[str, Array], test: Mapping[str, Array]) -> tuple[Reading, ...]:
    return tuple(_leaks(name, train[name], z) for name, z in test.items())


def _leaks(name: str, train: Array, test: Array) -> Reading:
    seen, chance = twins_across(test, train), chance_twins(len(train), train.shape[1])
    return Reading(name, seen.share, chance, leaks(seen.share, seen.same, seen.n, chance, ALIKE), 1.0, _pairs(seen))


def _pairs(seen: Twins) -> tuple[Case, ...]:
    return _cases(seen.rows[:MOST_CASES], seen.cosines[:MOST_CASES], seen.beside[:MOST_CASES])


def _fused(z: Mapping[str, Array]) -> dict[str, Tensor]:
    """All modalities as one where they share their dimensions, else each on its own."""
    each = {name: tensor(value) for name, value in z.items()}
    one_space = len(each) > 1 and len({value.shape[1] for value in each.values()}) == 1
    return {TOGETHER: fuse(each)} if one_space else each


def _probes(given: Labelled, before: Mapping[str, tuple[Reading, ...]]) -> dict[str, tuple[Reading, ...]]:
    """What the labels tell, learned from at most 2,000 evenly chosen training items.

    No linear probe where these have one class only, and no word on the classes where the test items have.
    """
    train, test = _fused(given.train), _fused(given.test)
    like = next(iter(train.values()))
    rows = torch.linspace(0, len(like) - 1, min(len(like), MOST_PROBED), device=like.device).round().long()
    labels, wanted = integers(given.train_labels, like)[rows], integers(given.labels, like)
    past = {(key, each.of): each.value for key, row in before.items() for each in row}
    found: dict[str, list[Reading]] = {key: [] for key in ("knn", "linear_probe", "separation", "weakest_classes")}
    for name, z in train.items():
        known, asked = z[rows], test[name]
        near = nearest_rows(known, asked, VOTERS)
        named = vote(labels[near])
        now = Probe(share(named == wanted), len(asked), *baseline(labels, wanted))
        shuffled = f" With the labels shuffled {_percent(shuffled_knn(near, labels, wanted))} are right."
        found["knn"].append(_probe(name, now, past.get(("knn", name)), shuffled))
        if len(labels.unique()) > 1:
            linear = linear_probe(known, labels, asked, wanted)
            found["linear_probe"].append(_probe(name, linear, past.get(("linear_probe", name))))
        if 1 < len(wanted.unique()) < len(wanted):
            found["separation"].append(_separation(name, asked, wanted))
            of = f"{name}: " if len(train) > 1 else ""
            weakest = found_by_class(named, wanted)[:WEAKEST]
            found["weakest_classes"] += [_weak(of, each, given.classes, now) for each in weakest]
    return {key: tuple(row) for key, row in found.items()}


def _separation(name: str, z: Tensor, labels: Tensor) -> Reading:
    value, shuffled = separation(z, labels), chance_separation(z, labels)
    return Reading(name, value, math.fsum(shuffled) / len(shuffled), separated(value, shuffled), 1.0)


def _weak(of: str, one: Found, classes: Sequence[str], over_all: Probe) -> Reading:
    name = classes[one.label] if 0 <= one.label < len(classes) else f"class {one.label}"
    verdict = found_class(one.recall, one.n, over_all.chance, over_all.accuracy)
    return Reading(of + name, one.recall, over_all.chance, verdict, 1.0, (Case(one.label, one.named),))


def learned(
    readings: Mapping[str, tuple[Reading, ...]], random: Sequence[Mapping[str, tuple[Reading, ...]]], n: int
) -> Verdict:
    """Whether a network does better than at random weights, by retrieval and by the probes.

    Args:
        readings: its card.
        random: cards of the same items, each at random weights of its own; the best of each reading counts.
        n: how many items were asked about.
    """
    best: dict[tuple[str, str], float] = {}
    for draw, key in product(random, HITS):
        best |= {(key, each.of): max(each.value, best.get((key, each.of), 0.0)) for each in draw.get(key, ())}
    return untrained(
        [
            Hits(f"{HITS[key]} {now.of}", now.value, best[key, now.of], now.chance, n)
            for key in HITS
            for now in readings.get(key, ())
            if (key, now.of) in best
        ]
    )


def _probe(name: str, now: Probe, before: float | None, more: str = "") -> Reading:
    floor = max(now.chance, now.majority)
    text = f"{_percent(now.accuracy)} of {now.n} right; the commonest class alone gives {_percent(now.majority)}"
    text += "." if before is None else f", the untrained network {_percent(before)}."
    text += more

    def beats(level: float) -> bool:
        return guessing_does_as_well(now.accuracy, now.n, level) <= THRESHOLDS.near_chance_tail

    if not beats(floor):
        verdict = Verdict("near chance", "bad", text)
    elif before is not None and not beats(before):
        verdict = Verdict("no gain", "watch", text)
    else:
        verdict = Verdict("readable", "ok", text)
    return Reading(name, now.accuracy, now.chance, verdict, 1.0)
