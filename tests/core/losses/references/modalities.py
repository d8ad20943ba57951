"""The losses over several modalities, over bags and over views from two sides."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import N, P, Slow, Vector, X, dot, margin, mean


def log_sum_exp(values: Vector) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def together(vectors: list[Vector]) -> float:
    """The sum over dimensions of the product of all of them."""
    return sum(math.prod(numbers) for numbers in zip(*vectors, strict=True))


def symile(given: Mapping[str, Any], p: Any) -> Slow:
    """Saporta et al. 2024, eq. 5: from each modality in turn, the others as tuples, the true one among them."""
    z, tau = given["modalities"], given.get("temperature", p.temperature)
    count, size = len(z), len(z[0])
    paid, scores, roles = [], [], []
    for q in range(count):
        others = [r for r in range(count) if r != q]
        if p.candidates == "n_squared":
            tuples = list(itertools.product(range(size), repeat=len(others)))
        else:
            tuples = [tuple(given["shuffles"][q][r][k] for r in others) for k in range(size)]
        for i in range(size):
            own = (i,) * len(others)
            at = tuples.index(own) if p.candidates == "n_squared" else i
            mine = [own if k == at else chosen for k, chosen in enumerate(tuples)]
            row = [together([z[q][i], *(z[r][k] for r, k in zip(others, chosen, strict=True))]) for chosen in mine]
            logits = [(s - margin(given, p, i) * (k == at)) / tau for k, s in enumerate(row)]
            paid.append(log_sum_exp(logits) - logits[at])
            scores.append(row)
            roles.append([P if k == at else N for k in range(len(row))])
    return Slow({"": paid}, mean(paid), scores, roles)


def pairwise_clip(given: Mapping[str, Any], p: Any) -> Slow:
    """The sum over all pairs of modalities of CLIP's loss, which is the mean of two directions."""
    z, tau = given["modalities"], given.get("temperature", p.temperature)
    count, size = len(z), len(z[0])
    every = [(q, i) for q in range(count) for i in range(size)]
    paid, scores, roles = [], [], []
    for q, i in every:
        scores.append([dot(z[q][i], z[r][j]) for r, j in every])
        barred = given["exclude"][i] if "exclude" in given else [False] * size
        roles.append([X if r == q or (i != j and barred[j]) else P if i == j else N for r, j in every])
        half = 0.0
        for r in range(count):
            if r != q:
                top = (dot(z[q][i], z[r][i]) - margin(given, p, i)) / tau
                far = [dot(z[q][i], z[r][j]) / tau for j in range(size) if j != i and not barred[j]]
                half += (log_sum_exp([top, *far]) - top) / 2
        paid.append(half)
    return Slow({"": paid}, sum(paid) / size, scores, roles)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "pairwise_clip": pairwise_clip,
    "symile": symile,
}
