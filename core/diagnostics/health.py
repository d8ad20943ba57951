"""The health card: the numbers by which embeddings are judged, each with its chance level and its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from core.diagnostics.arrays import Array, tensor
from core.diagnostics.geometry import (
    alignment,
    chance_alignment,
    chance_effective_rank,
    chance_modality_gap,
    chance_uniformity,
    effective_rank,
    max_rank,
    modality_gap,
    spread,
    uniformity,
)
from core.diagnostics.missing import fuse
from core.diagnostics.probes import Probe, knn_accuracy, linear_probe
from core.diagnostics.retrieval import Retrieval, retrieval
from core.diagnostics.verdicts import THRESHOLDS, Verdict, aligned, collapsed, guessing_does_as_well

MOST_PROBED = 2_000
TOGETHER = "together"


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
class Reading:
    """One number of the card.

    `of`: the modality, the pair or the way that it is about. `chance`: what random unit vectors or guessing give.
    `best`: the largest value that is possible, None where there is no such end.
    """

    of: str
    value: float
    chance: float
    verdict: Verdict
    best: float | None = None


@dataclass(frozen=True)
class Labelled:
    """What the probes learn from and are asked about: modality -> (m, D) and (n, D) unit rows, and their classes."""

    train: Mapping[str, Array]
    train_labels: Array
    test: Mapping[str, Array]
    labels: Array


def card(
    modalities: Mapping[str, Array],
    labelled: Labelled | None = None,
    before: Mapping[str, tuple[Reading, ...]] | None = None,
) -> dict[str, tuple[Reading, ...]]:
    """Every reading that the embeddings allow, by the key of its diagnostic.

    Args:
        modalities: name -> (N, D) unit rows, the same item in the same row of each.
        labelled: for the probes; None where there are no classes.
        before: the card of the same items under the same network before its first step, for the verdicts of the
            probes.

    Raises:
        ValueError: if rows are not of length 1 or not finite.
    """
    z = {name: tensor(value) for name, value in modalities.items()}
    pairs = [(m, n) for m, n in combinations(z, 2) if z[m].shape[1] == z[n].shape[1]]
    found = {
        "effective_rank": tuple(_rank(name, value) for name, value in z.items()),
        "uniformity": tuple(_uniformity(name, value) for name, value in z.items()),
        "alignment": tuple(_alignment(m, n, z[m], z[n]) for m, n in pairs),
        "modality_gap": tuple(_gap(m, n, z[m], z[n]) for m, n in pairs),
        "retrieval": tuple(_retrieval(a, b, z[a], z[b]) for m, n in pairs for a, b in ((m, n), (n, m))),
        **({} if labelled is None else _probes(labelled, before or {})),
    }
    return {key: readings for key, readings in found.items() if readings}


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"


def _rank(name: str, z: Tensor) -> Reading:
    value, most = effective_rank(z), max_rank(*z.shape)
    return Reading(name, value, chance_effective_rank(*z.shape), collapsed(spread(z), value, most), most)


def _uniformity(name: str, z: Tensor, edges: Edges = EDGES) -> Reading:
    value, chance = uniformity(z), chance_uniformity(z.shape[1])
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


def _retrieval(source: str, to: str, a: Tensor, b: Tensor) -> Reading:
    found: Retrieval = retrieval(a, b)
    verdict = aligned(found.r1, found.n, found.chance1)
    ties = f" {_percent(found.ties)} tie and count by expectation." if found.ties else " None tie."
    more = f" Among the first ten {_percent(found.r10)}; median rank {found.median_rank:.0f} of {found.size}."
    return Reading(
        f"{source} → {to}", found.r1, found.chance1, replace(verdict, sentence=verdict.sentence + more + ties), 1.0
    )


def _fused(z: Mapping[str, Array]) -> dict[str, Tensor]:
    """All modalities as one where they share their dimensions, else each on its own."""
    each = {name: tensor(value) for name, value in z.items()}
    one_space = len(each) > 1 and len({value.shape[1] for value in each.values()}) == 1
    return {TOGETHER: fuse(each)} if one_space else each


def _probes(given: Labelled, before: Mapping[str, tuple[Reading, ...]]) -> dict[str, tuple[Reading, ...]]:
    """Both probes, of at most 2,000 evenly chosen training items; no linear one where these have one class only."""
    train, test = _fused(given.train), _fused(given.test)
    n = len(next(iter(train.values())))
    rows = torch.linspace(0, n - 1, min(n, MOST_PROBED)).round().long()
    labels = torch.as_tensor(given.train_labels)[rows]
    calls = {"knn": knn_accuracy} | ({"linear_probe": linear_probe} if len(labels.unique()) > 1 else {})
    past = {(key, each.of): each.value for key, row in before.items() for each in row}
    return {
        key: tuple(
            _probe(name, call(z[rows], labels, test[name], given.labels), past.get((key, name)))
            for name, z in train.items()
        )
        for key, call in calls.items()
    }


def _probe(name: str, now: Probe, before: float | None) -> Reading:
    floor = max(now.chance, now.majority)
    text = f"{_percent(now.accuracy)} of {now.n} right; the commonest class alone gives {_percent(now.majority)}"
    text += "." if before is None else f", the untrained network {_percent(before)}."

    def beats(level: float) -> bool:
        return guessing_does_as_well(now.accuracy, now.n, level) <= THRESHOLDS.near_chance_tail

    if not beats(floor):
        verdict = Verdict("near chance", "bad", text)
    elif before is not None and not beats(before):
        verdict = Verdict("no gain", "watch", text)
    else:
        verdict = Verdict("readable", "ok", text)
    return Reading(name, now.accuracy, now.chance, verdict, 1.0)
