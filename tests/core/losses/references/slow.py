"""What the slow loops share: plain floats, roles, margins, and the scores of two views."""

from collections.abc import Mapping
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
    more: tuple[tuple[Matrix, list[list[int]]], ...] = ()


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
