"""Each loss once more, as slow loops over plain floats that a reader can hold against the paper.

A reference takes the inputs as nested lists, with the optional ones only where they are given, and the params.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

P, N, X = 1, 2, 0  # positive, negative, excluded, as in core.paid.Role
Vector = list[float]
Matrix = list[list[float]]


@dataclass(frozen=True)
class Slow:
    """What each anchor pays in each term, what is paid in all, and the pairs that took part."""

    per: Mapping[str, Vector]
    total: float
    scores: Matrix | None = None
    roles: list[list[int]] | None = None


def dot(x: Vector, y: Vector) -> float:
    return sum(u * v for u, v in zip(x, y, strict=True))


def mean(values: Vector) -> float:
    return sum(values) / len(values)


def margin(given: Mapping[str, Any], p: Any, i: int) -> float:
    m = given.get("margin", p.margin)
    return m[i] if isinstance(m, list) else m


def pair_roles(given: Mapping[str, Any], size: int) -> list[list[int]]:
    """The pair itself is the positive; what `exclude` names takes no part, the positive always does."""
    left_out = given.get("exclude")
    return [[P if i == j else X if left_out and left_out[i][j] else N for j in range(size)] for i in range(size)]


def info_nce(given: Mapping[str, Any], p: Any) -> Slow:
    """van den Oord et al. 2018, eq. 4, with f = exp(s / tau) and the margin taken off the positive."""
    a, b = given["a"], given["b"]
    size = len(a)
    scores = [[dot(a[i], b[j]) for j in range(size)] for i in range(size)]
    roles = pair_roles(given, size)
    paid = []
    for i in range(size):
        top = math.exp((scores[i][i] - margin(given, p, i)) / p.temperature)
        bottom = top + sum(math.exp(scores[i][j] / p.temperature) for j in range(size) if roles[i][j] == N)
        paid.append(-math.log(top / bottom))
    return Slow({"": paid}, mean(paid), scores, roles)


def clip(given: Mapping[str, Any], p: Any) -> Slow:
    """Radford et al. 2021, fig. 3: cross entropy along the rows and along the columns, averaged."""
    a, b = given["a"], given["b"]
    size, tau = len(a), given.get("temperature", p.temperature)
    scores = [[dot(a[i], b[j]) for j in range(size)] for i in range(size)]
    roles = pair_roles(given, size)
    rows, columns = [], []
    for i in range(size):
        top = math.exp((scores[i][i] - margin(given, p, i)) / tau)
        along = [math.exp(scores[i][j] / tau) for j in range(size) if roles[i][j] == N]
        across = [math.exp(scores[j][i] / tau) for j in range(size) if roles[j][i] == N]
        rows.append(-math.log(top / (top + sum(along))))
        columns.append(-math.log(top / (top + sum(across))))
    return Slow({"a_to_b": rows, "b_to_a": columns}, (mean(rows) + mean(columns)) / 2, scores, roles)


def two_views(given: Mapping[str, Any]) -> tuple[int, Matrix, list[list[int]]]:
    """Size of the batch, scores among all 2B embeddings, roles by item or by label."""
    z = given["a"] + given["b"]
    size = len(given["a"])
    group = given.get("labels", list(range(size)))
    scores = [[dot(x, y) for y in z] for x in z]
    roles = [
        [X if i == k else P if group[i % size] == group[k % size] else N for k in range(2 * size)]
        for i in range(2 * size)
    ]
    left_out = given.get("exclude", [])
    for i, row in enumerate(left_out):
        for j, out in enumerate(row):
            if out and roles[i][size + j] == N:
                roles[i][size + j] = roles[size + j][i] = X
    return size, scores, roles


def nt_xent(given: Mapping[str, Any], p: Any) -> Slow:
    """Chen et al. 2020, eq. 1: the sum in the denominator runs over all k other than i."""
    size, scores, roles = two_views(given)
    paid = []
    for i in range(2 * size):
        partner = (i + size) % (2 * size)
        top = math.exp((scores[i][partner] - margin(given, p, i % size)) / p.temperature)
        others = [math.exp(scores[i][k] / p.temperature) for k in range(2 * size) if roles[i][k] == N]
        paid.append(-math.log(top / (top + sum(others))))
    return Slow({"": paid}, mean(paid), scores, roles)


def dcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Yeh et al. 2022, eq. 6: as NT-Xent, without the positive in the denominator."""
    size, scores, roles = two_views(given)
    paid = []
    for i in range(2 * size):
        partner = (i + size) % (2 * size)
        lead = scores[i][partner] - margin(given, p, i % size)
        others = [math.exp(scores[i][k] / p.temperature) for k in range(2 * size) if roles[i][k] == N]
        paid.append(-lead / p.temperature + math.log(sum(others)))
    return Slow({"": paid}, mean(paid), scores, roles)


def supcon(given: Mapping[str, Any], p: Any) -> Slow:
    """Khosla et al. 2020, eq. 2: the mean over the positives stands outside the logarithm."""
    size, scores, roles = two_views(given)
    paid = []
    for i in range(2 * size):
        weight = {}
        for k in range(2 * size):
            if roles[i][k] != X:
                lead = margin(given, p, i % size) if roles[i][k] == P else 0
                weight[k] = math.exp((scores[i][k] - lead) / p.temperature)
        positives = [k for k in weight if roles[i][k] == P]
        paid.append(-mean([math.log(weight[q] / sum(weight.values())) for q in positives]))
    return Slow({"": paid}, mean(paid), scores, roles)


def ranking(given: Mapping[str, Any], p: Any) -> Slow:
    """Kiros et al. 2014, eq. 11, over the square of the batch; max violation: Faghri et al. 2018, eq. 6."""
    a, b = given["a"], given["b"]
    size = len(a)
    scores = [[dot(a[i], b[j]) for j in range(size)] for i in range(size)]
    roles = pair_roles(given, size)
    over = sum if p.violation == "sum" else max
    rows, columns = [], []
    for i in range(size):
        short = margin(given, p, i) - scores[i][i]
        rows.append(over([0.0, *(max(0.0, short + scores[i][j]) for j in range(size) if roles[i][j] == N)]))
        columns.append(over([0.0, *(max(0.0, short + scores[j][i]) for j in range(size) if roles[j][i] == N)]))
    scale = 1 / size**2 if p.normalise else 1
    return Slow({"a_to_b": rows, "b_to_a": columns}, scale * (sum(rows) + sum(columns)), scores, roles)


def triplet(given: Mapping[str, Any], p: Any) -> Slow:
    """Schroff et al. 2015, eq. 3; over the nearest negative: Hsieh et al. 2017, eq. 1."""
    a, b = given["a"], given["b"]
    size = len(a)
    paid, scores, roles = [], [], []
    for i in range(size):
        own = "negatives" in given
        candidates = [b[i], *given["negatives"][i]] if own else b
        roles.append([P, *[N] * (len(candidates) - 1)] if own else pair_roles(given, size)[i])
        d = [math.dist(a[i], candidate) ** (2 if p.squared else 1) for candidate in candidates]
        near = next(x for x, role in zip(d, roles[i], strict=True) if role == P)
        far = [x for x, role in zip(d, roles[i], strict=True) if role == N]
        short = [max(0.0, margin(given, p, i) + near - x) for x in far]
        paid.append((max(short) if p.over == "min" else mean(short)) if short else 0.0)
        scores.append([-x for x in d])
    return Slow({"": paid}, mean(paid), scores, roles)


def alignment(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang and Isola 2020, sec. 4.1, alpha = 2: the squared distance of a pair, on unit vectors."""
    a, b = given["a"], given["b"]
    size = len(a)
    paid = [2 - 2 * dot(a[i], b[i]) for i in range(size)]
    roles = [[P if i == j else N for j in range(size)] for i in range(size)]
    return Slow({"": paid}, mean(paid), [[dot(a[i], b[j]) for j in range(size)] for i in range(size)], roles)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "alignment": alignment,
    "clip": clip,
    "dcl": dcl,
    "info_nce": info_nce,
    "nt_xent": nt_xent,
    "ranking": ranking,
    "supcon": supcon,
    "triplet": triplet,
}
