"""The losses that hold an anchor against its key and a bank of kept embeddings."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, dot, margin, mean

SYNTHETIC = 4


def softmax_cost(scores: Vector, tau: float, lead: float = 0.0) -> float:
    """Cross entropy of the first of the scores, which is asked for a lead."""
    logits = [(s - (lead if k == 0 else 0.0)) / tau for k, s in enumerate(scores)]
    top = max(logits)
    return top - logits[0] + math.log(sum(math.exp(x - top) for x in logits))


def beside(a: Matrix, keys: Matrix, bank: Matrix) -> tuple[Matrix, list[list[int]]]:
    scores = [[dot(x, key), *(dot(x, n) for n in bank)] for x, key in zip(a, keys, strict=True)]
    return scores, [[P, *[N] * len(bank)] for _ in a]


def moco(given: Mapping[str, Any], p: Any) -> Slow:
    """He et al. 2020, eq. 1: the key against the key and the queue."""
    scores, roles = beside(given["a"], given["teacher"], given["bank"])
    paid = [softmax_cost(row, p.temperature, margin(given, p, i)) for i, row in enumerate(scores)]
    return Slow({"": paid}, mean(paid), scores, roles)


def unit_mixture(x: Vector, y: Vector, share: float) -> Vector:
    mixed = [share * u + (1 - share) * v for u, v in zip(x, y, strict=True)]
    length = math.sqrt(dot(mixed, mixed))
    return [v / length for v in mixed]


def mochi(given: Mapping[str, Any], p: Any) -> Slow:
    """Kalantidis et al. 2020, sec. 3: the queue, mixtures of two hard negatives, mixtures of one with the query."""
    bank = given["bank"]
    scores, roles = beside(given["a"], given["teacher"], bank)
    for i, x in enumerate(given["a"]):
        made = [
            unit_mixture(bank[u], bank[v], share)
            for u, v, share in zip(given["picks"][i], given["other_picks"][i], given["pick_share"][i], strict=True)
        ]
        made += [
            unit_mixture(given["fixed"][i], bank[u], share)
            for u, share in zip(given["own_picks"][i], given["own_share"][i], strict=True)
        ]
        scores[i] += [dot(x, h) for h in made]
        roles[i] += [SYNTHETIC] * len(made)
    paid = [softmax_cost(row, p.temperature, margin(given, p, i)) for i, row in enumerate(scores)]
    return Slow({"": paid}, mean(paid), scores, roles)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {"mochi": mochi, "moco": moco}
