"""The losses that ask for something of a batch as a whole, or that correct what its negatives weigh."""

import math
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, margin, mean, pair_roles, two_views


def columns(z: Matrix) -> Matrix:
    return [list(column) for column in zip(*z, strict=True)]


def spread(x: Vector, y: Vector, less: int) -> float:
    """Covariance over the batch, its sum divided by the number of items, or by one less."""
    over = max(len(x) - less, 1)
    return sum((u - mean(x)) * (v - mean(y)) for u, v in zip(x, y, strict=True)) / over


def barlow_twins(given: Mapping[str, Any], p: Any) -> Slow:
    """Zbontar et al. 2021, eq. 1 and 2, the dimensions standardised with 1e-5 added to their variance."""
    a, b = columns(given["a"]), columns(given["b"])
    roots = [[math.sqrt(spread(x, x, 0) + 1e-5) for x in side] for side in (a, b)]
    invariance, redundancy = [], []
    for k, x in enumerate(a):
        row = [spread(x, y, 0) / (roots[0][k] * roots[1][m]) for m, y in enumerate(b)]
        invariance.append((1 - row[k]) ** 2)
        redundancy.append(sum((c**2 for m, c in enumerate(row) if m != k), 0.0))
    total = sum(invariance) + p.redundancy * sum(redundancy)
    return Slow({"invariance": invariance, "redundancy": redundancy}, total)


def vicreg(given: Mapping[str, Any], p: Any) -> Slow:
    """Bardes et al. 2022, algorithm 1; the embeddings may be stretched to √D before."""
    size = len(given["a"][0])
    long = math.sqrt(size) if p.stretch else 1.0
    a, b = ([[long * v for v in z] for z in given[name]] for name in "ab")
    invariance = [mean([(u - v) ** 2 for u, v in zip(x, y, strict=True)]) for x, y in zip(a, b, strict=True)]
    variance, covariance = [0.0] * size, [0.0] * size
    for side in (columns(a), columns(b)):
        for k, x in enumerate(side):
            variance[k] += max(0.0, 1 - math.sqrt(spread(x, x, 1) + 1e-4))
            covariance[k] += sum(spread(x, y, 1) ** 2 for m, y in enumerate(side) if m != k)
    half = 0.5 if p.as_released else 1.0
    total = p.invariance * mean(invariance) + p.variance * half * mean(variance) + p.covariance * mean(covariance)
    return Slow({"invariance": invariance, "variance": variance, "covariance": covariance}, total)


def factor(matrix: Matrix) -> Matrix:
    """The lower triangle whose product with its transpose is the matrix, row by row (Cholesky)."""
    size = len(matrix)
    low = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(low[i][k] * low[j][k] for k in range(j))
            low[i][j] = math.sqrt(rest) if i == j else rest / low[j][j]
    return low


def solved(low: Matrix, x: Vector) -> Vector:
    found: Vector = []
    for row, value in zip(low, x, strict=True):
        found.append((value - sum(u * v for u, v in zip(row, found, strict=False))) / row[len(found)])
    return found


def whitened(z: Matrix, shrink: float) -> Matrix:
    """Ermolov et al. 2021, sec. 3: by Cholesky, of a covariance shrunk to the identity; made unit vectors."""
    dims = columns(z)
    middle = [mean(x) for x in dims]
    shrunk = [
        [(1 - shrink) * spread(x, y, 1) + shrink * (k == m) for m, y in enumerate(dims)] for k, x in enumerate(dims)
    ]
    low, units = factor(shrunk), []
    for row in z:
        white = solved(low, [v - c for v, c in zip(row, middle, strict=True)])
        units.append([v / max(math.sqrt(dot(white, white)), 1e-3) for v in white])
    return units


def w_mse(given: Mapping[str, Any], p: Any) -> Slow:
    """Ermolov et al. 2021, sec. 3: squared distances of whitened unit vectors, over pairs and partitions."""
    views, size = given["views"], len(given["views"][0])
    parts = max(1, size // p.size)
    tables: list[Matrix] = []
    for turn in given["turns"]:
        order = sorted(range(size), key=lambda i: turn[i])
        lengths = [size // parts + (k < size % parts) for k in range(parts)]
        white: list[Matrix] = [[[]] * size for _ in views]
        for k, length in enumerate(lengths):
            members = order[sum(lengths[:k]) : sum(lengths[:k]) + length]
            for view, made in zip(views, white, strict=True):
                for i, row in zip(members, whitened([view[i] for i in members], p.shrink), strict=True):
                    made[i] = row
        tables += [[[dot(x, y) for y in other] for x in one] for one, other in combinations(white, 2)]
    paid = [mean([2 - 2 * table[i][i] for table in tables]) for i in range(size)]
    roles = pair_roles({}, size)
    return Slow({"": paid}, mean(paid), tables[0], roles, tuple((table, roles) for table in tables[1:]))


def spectral_contrastive(given: Mapping[str, Any], p: Any) -> Slow:
    """HaoChen et al. 2021, eq. 6, of embeddings of squared length mu."""
    roles, size = pair_roles(given, len(given["a"])), len(given["a"])
    scores = [[dot(x, y) for y in given["b"]] for x in given["a"]]
    paid = []
    for i, row in enumerate(scores):
        overlaps = [(p.mu * s) ** 2 for s, role in zip(row, roles[i], strict=True) if role == N]
        paid.append(-2 * p.mu * row[i] + (mean(overlaps) if overlaps else 0.0))
    return Slow({"": paid}, sum(paid) / size, scores, roles)


def align_uniform(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang and Isola 2020, sec. 4.1, with distances by the inner products of unit vectors."""
    size, scores, roles = two_views({name: given[name] for name in "ab"})
    left_out = given.get("exclude", [[False] * size] * size)
    for i, row in enumerate(roles):
        for k, role in enumerate(row):
            x, y = i % size, k % size
            if role == N and (i // size != k // size or left_out[x][y] or left_out[y][x]):
                row[k] = X
    apart = [2 - 2 * row[roles[i].index(P)] for i, row in enumerate(scores)]
    near = apart if p.alpha == 2 else [max(d, 1e-12) ** (p.alpha / 2) for d in apart]
    crowded = []
    for side in (range(size), range(size, 2 * size)):
        kernel = [math.exp(-p.t * (2 - 2 * scores[i][k])) for i in side for k in side if roles[i][k] == N]
        crowded.append(math.log(mean(kernel)) if kernel else 0.0)
    return Slow(
        {"alignment": near, "uniformity": mean(crowded)}, mean(near) + p.uniformity * mean(crowded), scores, roles
    )


def debiased(given: Mapping[str, Any], p: Any) -> Slow:
    """Chuang et al. 2020, eq. 8, and with beta Robinson et al. 2021, sec. 3: what true negatives would weigh."""
    size, scores, roles = two_views(given)
    beta, tau = getattr(p, "beta", 0.0), p.temperature
    paid = []
    for i, row in enumerate(scores):
        far = [s for s, role in zip(row, roles[i], strict=True) if role == N]
        own = next(s for s, role in zip(row, roles[i], strict=True) if role == P)
        weights = [math.exp(beta * s / tau) for s in far]
        g = 0.0
        if far:
            seen = sum(w * math.exp(s / tau) for w, s in zip(weights, far, strict=True)) / sum(weights)
            g = max((seen - p.tau_plus * math.exp(own / tau)) / (1 - p.tau_plus), math.exp(-1 / tau))
        top = math.exp((own - margin(given, p, i % size)) / tau)
        paid.append(math.log1p(len(far) * g / top))
    return Slow({"": paid}, mean(paid), scores, roles)


def shortened(x: Vector) -> Vector:
    length = max(math.sqrt(dot(x, x)), 1e-3)
    return [v / length for v in x]


def standardised(z: Matrix) -> Matrix:
    return columns([[(v - mean(x)) / math.sqrt(spread(x, x, 0) + 1e-5) for v in x] for x in columns(z)])


def foretelling(given: Mapping[str, Any], targets: tuple[str, str], p: Any) -> list[Matrix]:
    """Cosines of the first side's predictions with the second target, and of the second's with the first."""
    tables = []
    for name, target in (("predicted", targets[1]), ("other_predicted", targets[0])):
        asked = standardised(given[target]) if p.standardise else given[target]
        units = [shortened(y) for y in asked]
        tables.append([[dot(shortened(x), y) for y in units] for x in given[name]])
    return tables


def byol(given: Mapping[str, Any], p: Any) -> Slow:
    """Grill et al. 2020, eq. 2: 2 - 2 cos of a prediction and the teacher's embedding of the other view, both ways."""
    one, other = foretelling(given, ("teacher", "other_teacher"), p)
    per = {name: [2 - 2 * row[i] for i, row in enumerate(t)] for name, t in (("from_a", one), ("from_b", other))}
    roles = pair_roles({}, len(one))
    return Slow(per, mean(per["from_a"]) + mean(per["from_b"]), one, roles, ((other, roles),))


def simsiam(given: Mapping[str, Any], p: Any) -> Slow:
    """Chen and He 2021, eq. 4: half of -cos each way."""
    one, other = foretelling(given, ("fixed", "other_fixed"), p)
    per = {name: [-row[i] for i, row in enumerate(t)] for name, t in (("from_a", one), ("from_b", other))}
    roles = pair_roles({}, len(one))
    return Slow(per, mean(per["from_a"]) / 2 + mean(per["from_b"]) / 2, one, roles, ((other, roles),))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "align_uniform": align_uniform,
    "barlow_twins": barlow_twins,
    "byol": byol,
    "debiased": debiased,
    "hcl": debiased,
    "simsiam": simsiam,
    "spectral_contrastive": spectral_contrastive,
    "vicreg": vicreg,
    "w_mse": w_mse,
}
