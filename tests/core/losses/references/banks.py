"""The losses that hold an anchor against its key and a bank of kept embeddings."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, dot, margin, mean


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


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {"moco": moco}
