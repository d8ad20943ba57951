"""The losses over sequences, maps and whitened views."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, dot, margin, mean


def unit(x: Vector, shortest: float = 1e-12) -> Vector:
    length = max(math.sqrt(dot(x, x)), shortest)
    return [v / length for v in x]


def product(x: Matrix, y: Matrix) -> Matrix:
    return [[dot(row, list(column)) for column in zip(*y, strict=True)] for row in x]


def less_mean(x: Matrix) -> Matrix:
    centre = [mean(list(column)) for column in zip(*x, strict=True)]
    return [[v - c for v, c in zip(row, centre, strict=True)] for row in x]


def turned(matrix: Matrix, axes: Matrix) -> tuple[Matrix, Matrix]:
    """Jacobi's method, one sweep: every pair of places is turned until its entry is 0."""
    size = len(matrix)
    for i in range(size):
        for j in range(i + 1, size):
            angle = math.atan2(2 * matrix[i][j], matrix[i][i] - matrix[j][j]) / 2
            turn = [[float(r == c) for c in range(size)] for r in range(size)]
            turn[i][i] = turn[j][j] = math.cos(angle)
            turn[i][j], turn[j][i] = -math.sin(angle), math.sin(angle)
            back = [list(column) for column in zip(*turn, strict=True)]
            matrix, axes = product(back, product(matrix, turn)), product(axes, turn)
    return matrix, axes


def inverse_root(matrix: Matrix, floor: float) -> Matrix:
    """U diag(max(x, floor) ** -1/2) U^T."""
    size = len(matrix)
    axes = [[float(i == j) for j in range(size)] for i in range(size)]
    for _ in range(12):
        matrix, axes = turned(matrix, axes)
    scale = [max(matrix[k][k], floor) ** -0.5 for k in range(size)]
    return [[sum(axes[i][k] * scale[k] * axes[j][k] for k in range(size)) for j in range(size)] for i in range(size)]


def whitening(x: Matrix, order: list[int], p: Any) -> Matrix:
    """Zhuo et al. 2023, sec. 3.2: each group of channels, as the order cuts them, has a matrix of its own."""
    centred, size = less_mean(x), len(order)
    found = [[0.0] * size for _ in range(size)]
    for start in range(0, size, p.channels):
        group = order[start : start + p.channels]
        shared = [[mean([row[i] * row[j] for row in centred]) for j in group] for i in group]
        for i, row in zip(group, inverse_root(shared, p.floor), strict=True):
            for j, value in zip(group, row, strict=True):
                found[i][j] = value
    return found


def one_way(x: Matrix, y: Matrix, asked: Vector, tau: float) -> tuple[Vector, Matrix, list[list[int]]]:
    """Every row of x is to find its own of y among all of y."""
    scores = [[dot(u, v) for v in y] for u in x]
    paid = []
    for i, row in enumerate(scores):
        logits = [(s - (asked[i] if i == j else 0)) / tau for j, s in enumerate(row)]
        paid.append(-log_share(logits, i))
    return paid, scores, [[P if i == j else N for j in range(len(y))] for i in range(len(x))]


def log_share(logits: Vector, i: int) -> float:
    top = max(logits)
    return logits[i] - top - math.log(sum(math.exp(v - top) for v in logits))


def whitenedcse(given: Mapping[str, Any], p: Any) -> Slow:
    """The first view's whitened vectors against those of each other view."""
    views, matrices = given["views"], given["whitening"]
    if p.whiten_grad == "full":
        matrices = [whitening(x, order, p) for x, order in zip(views, given["channel_orders"], strict=True)]
    white = [[unit(row, 1e-3) for row in product(less_mean(x), m)] for x, m in zip(views, matrices, strict=True)]
    asked = [margin(given, p, i) for i in range(len(views[0]))]
    each = [one_way(white[0], other, asked, p.temperature) for other in white[1:]]
    per = {str(v): paid for v, (paid, _, _) in enumerate(each, 1)}
    shown = [(scores, roles) for _, scores, roles in each]
    return Slow(per, sum(mean(paid) for paid in per.values()), *shown[0], tuple(shown[1:]))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {"whitenedcse": whitenedcse}
