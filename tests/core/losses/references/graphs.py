"""Losses over graphs, tokens and teachers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import N, P, Slow, X, dot, margin, mean, two_views


def csgcl(given: Mapping[str, Any], p: Any, share: float | None = None) -> Slow:
    """Chen et al. 2023: NT-Xent whose scores are raised by the strength of both nodes' communities."""
    size, scores, roles = two_views(given)
    count = p.team_up if share is None else share
    strength = given.get("node_weight", [0.0] * size)
    paid = []
    for i in range(2 * size):
        asked = {}
        for k in range(2 * size):
            if roles[i][k] != X:
                lead = margin(given, p, i % size) if roles[i][k] == P else 0
                asked[k] = (scores[i][k] + count * (strength[i % size] + strength[k % size]) - lead) / p.temperature
        top = max(asked.values())
        positive = asked[(i + size) % (2 * size)]
        paid.append(top + math.log(sum(math.exp(v - top) for v in asked.values())) - positive)
    return Slow({"": paid}, mean(paid), scores, roles)


def pot_gcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Yu et al. 2023: GRACE, and a binary cross-entropy that asks each node for compactness."""
    grace = csgcl(given, p, share=0)
    asks = [math.log(1 + math.exp(-c)) for side in given["compactness"] for c in side]
    total = (1 - p.regulariser) * grace.total + p.regulariser * mean(asks)
    return Slow({"contrast": grace.per[""], "compactness": asks}, total, grace.scores, grace.roles)


def simctg(given: Mapping[str, Any], p: Any) -> Slow:
    """Su et al. 2022: every pair of two present tokens of a sequence pays for being closer than 1 less the margin."""
    texts = given["sequence"]
    size, steps = len(texts), len(texts[0])
    mask = given.get("mask", [[True] * steps] * size)
    paid, scores, roles = [], [], []
    for t in range(steps):
        for b, text in enumerate(texts):
            scores.append([dot(text[t], x) for x in text])
            roles.append([N if s != t and mask[b][s] and mask[b][t] else X for s in range(steps)])
            lacks = [margin(given, p, b) - scores[-1][t] + scores[-1][s] for s in range(steps) if roles[-1][s] == N]
            paid.append(sum((max(0.0, x) for x in lacks), 0.0))
    count = sum(role == N for row in roles for role in row)
    return Slow({"": paid}, sum(paid) / max(count, 1), scores, roles)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "csgcl": csgcl,
    "pot_gcl": pot_gcl,
    "simctg": simctg,
}
