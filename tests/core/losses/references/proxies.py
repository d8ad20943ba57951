"""Losses with a learned centre for each class."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, dot, margin, mean


def against_centres(given: Mapping[str, Any]) -> tuple[Matrix, list[list[int]]]:
    """(B, P) scores, and who is whose centre."""
    scores = [[dot(x, c) for c in given["proxies"]] for x in given["a"]]
    return scores, [[P if c == y else N for c in range(len(given["proxies"]))] for y in given["labels"]]


def proxy_nca(given: Mapping[str, Any], p: Any) -> Slow:
    """Movshovitz-Attias et al. 2017, eq. 4: squared distances of unit vectors; Teh et al. 2020 count the own below."""
    scores, roles = against_centres(given)
    near = [[math.exp((2 * s - 2) / p.temperature) for s in row] for row in scores]
    paid = []
    for row, y in zip(near, given["labels"], strict=True):
        below = sum(e for c, e in enumerate(row) if p.below or c != y)
        paid.append(-math.log(row[y] / below))
    return Slow({"": paid}, mean(paid), scores, roles)


def proxy_anchor(given: Mapping[str, Any], p: Any) -> Slow:
    """Kim et al. 2020, eq. 4: over the proxies that have an item in the batch, and over all."""
    scores, roles = against_centres(given)
    y, pull, push = given["labels"], [], []
    for c in range(len(given["proxies"])):
        near, far = 0.0, 0.0
        for i, row in enumerate(scores):
            if y[i] == c:
                near += math.exp(-(row[c] - margin(given, p, i)) / p.temperature)
            else:
                far += math.exp((row[c] + margin(given, p, i)) / p.temperature)
        pull.append(math.log1p(near))
        push.append(math.log1p(far))
    total = mean([pull[c] for c in sorted(set(y))]) + mean(push)
    return Slow({"pull": pull, "push": push}, total, scores, roles)


def softmax_of_centres(given: Mapping[str, Any], p: Any, asked: Callable[[float, float], float]) -> Slow:
    """The cross entropy of the own class, whose cosine is counted as it is asked."""
    scores, roles = against_centres(given)
    paid = []
    for i, (row, y) in enumerate(zip(scores, given["labels"], strict=True)):
        counted = [asked(s, margin(given, p, i)) if c == y else s for c, s in enumerate(row)]
        top = max(counted)
        whole = sum(math.exp((s - top) / p.temperature) for s in counted)
        paid.append(math.log(whole) - (counted[y] - top) / p.temperature)
    return Slow({"": paid}, mean(paid), scores, roles)


def cosface(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang et al. 2018, eq. 4."""
    return softmax_of_centres(given, p, lambda s, m: s - m)


def arcface(given: Mapping[str, Any], p: Any) -> Slow:
    """Deng et al. 2019, eq. 3; past a straight angle it falls on."""

    def wider(s: float, m: float) -> float:
        angle = math.acos(min(max(s, -1 + 1e-6), 1 - 1e-6))
        counted = math.cos(angle + m) if angle + m <= math.pi else -2 - math.cos(angle + m)
        return s + counted - math.cos(angle)

    return softmax_of_centres(given, p, wider)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "arcface": arcface,
    "cosface": cosface,
    "proxy_anchor": proxy_anchor,
    "proxy_nca": proxy_nca,
}
