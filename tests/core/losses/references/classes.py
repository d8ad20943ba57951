"""Losses over classes, subclasses, domains and tasks."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import N, P, Slow, X, dot, margin, mean, two_views


def cosine(x: list[float], y: list[float]) -> float:
    return dot(x, y) / math.sqrt(dot(x, x) * dot(y, y))


def hydra_simlap(given: Mapping[str, Any], p: Any) -> Slow:
    """Wu et al. 2024: both of a pair through the anchor's gate; the mean over all positive pairs of the batch."""
    z, y, partner = given["a"], given["labels"], given["partner_labels"]
    size = len(z)
    scores, roles, paid, count = [], [], [], 0
    for i in range(size):
        seen = [[v * g for v, g in zip(x, given["gate"][i], strict=True)] for x in z]
        scores.append([cosine(seen[i], seen[j]) for j in range(size)])
        roles.append([P if y[j] == partner[i] else X if y[j] == y[i] else N for j in range(size)])
        far = sum(math.exp(scores[i][j] / p.temperature) for j in range(size) if roles[i][j] == N)
        paid.append(0.0)
        for j in range(size):
            if roles[i][j] == P:
                near = math.exp((scores[i][j] - margin(given, p, i)) / p.temperature)
                paid[i] += math.log((near + far) / near)
                count += 1
    return Slow({"": paid}, sum(paid) / max(count, 1), scores, roles)


def sbcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Hou et al. 2023: SupCon within the subclass, and from outside the subclass to the class."""
    size, scores, roles = two_views(given)
    y, cluster = given["labels"] * 2, given["clusters"] * 2
    fine, coarse = [], []
    for i in range(2 * size):
        others = [k for k in range(2 * size) if k != i]
        sub = [k for k in others if y[k] == y[i] and cluster[k] == cluster[i]]
        same = [k for k in others if y[k] == y[i]]
        tau = p.temperature
        fine.append(supervised(scores[i], sub, others, tau))
        if p.form == "rank":
            tau = given["item_temperature"][i % size] if "item_temperature" in given else tau
            others = [k for k in others if k not in sub or k == (i + size) % (2 * size)]
            same = [k for k in same if k in others]
        coarse.append(supervised(scores[i], same, others, tau))
    total = p.temperature / p.base_temperature * mean(fine) + p.gamma * mean(coarse)
    return Slow({"subclass": fine, "class": coarse}, total, scores, roles)


def supervised(row: list[float], positives: list[int], others: list[int], tau: float) -> float:
    """Minus the mean log share of the positives among the others."""
    whole = math.log(sum(math.exp(row[k] / tau) for k in others))
    return -mean([row[q] / tau - whole for q in positives])


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "hydra_simlap": hydra_simlap,
    "sbcl": sbcl,
}
