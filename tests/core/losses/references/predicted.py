"""The losses that judge by a ratio of densities, or that foretell a teacher's embedding."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, dot, mean, pair_roles


def features(z: Vector, p: Any) -> Vector:
    """Softplus or size of each coordinate, of a root mean square that is asked; their product is to be a mean."""
    root = math.sqrt(len(z))
    large = [p.scale * root * x for x in z]
    made = [abs(x) if p.features == "absolute" else max(x, 0) + math.log1p(math.exp(-abs(x))) for x in large]
    return [x / root for x in made]


def density_ratio(given: Mapping[str, Any], p: Any) -> Slow:
    """Qiu et al. 2022: y log(1 + 1/f) + (1 - y) log(1 + f), y a fair coin; what is drawn is averaged over."""
    own, drawn = given.get("negatives"), given["b"]
    ratios: Matrix = []
    for i, x in enumerate(given["a"]):
        candidates = [given["b"][i], *own[i]] if own else drawn
        ratios.append([dot(features(x, p), features(y, p)) for y in candidates])
    roles = [[P, *[N] * len(row[1:])] for row in ratios] if own else pair_roles(given, len(ratios))
    paid = []
    for row, role in zip(ratios, roles, strict=True):
        true = [math.log(1 + 1 / f) for f, r in zip(row, role, strict=True) if r == P]
        false = [math.log(1 + f) for f, r in zip(row, role, strict=True) if r == N]
        paid.append(0.5 * mean(true) + 0.5 * (mean(false) if false else 0))
    return Slow({"": paid}, mean(paid), [[math.log(f) for f in row] for row in ratios], roles)


def shortened(z: Vector, shortest: float) -> Vector:
    length = max(math.sqrt(dot(z, z)), shortest)
    return [x / length for x in z]


def cosines(one: Matrix, other: Matrix, shortest: float) -> Matrix:
    units = [[shortened(z, shortest) for z in side] for side in (one, other)]
    return [[dot(x, y) for y in units[1]] for x in units[0]]


def spr(given: Mapping[str, Any], p: Any) -> Slow:
    """Schwarzer et al. 2021: the squared distance of two unit vectors, one predicted and one the teacher's."""
    paid = []
    for x, y in zip(given["a"], given["teacher"], strict=True):
        pairs = zip(shortened(x, 1e-3), shortened(y, 1e-3), strict=True)
        paid.append(sum((u - v) ** 2 for u, v in pairs))
    return Slow({"": paid}, mean(paid), cosines(given["a"], given["teacher"], 1e-3), pair_roles({}, len(paid)))


def directpred(given: Mapping[str, Any], p: Any) -> Slow:
    """Tian et al. 2021: -2 cos of either side through the predictor with the teacher's embedding of the other."""
    found = {}
    for name, side, target in (("from_a", "a", "other_teacher"), ("from_b", "b", "teacher")):
        foretold = [[dot(row, x) for row in given["predictor"]] for x in given[side]]
        found[name] = cosines(foretold, given[target], 1e-12)
    per = {name: [-2 * row[i] for i, row in enumerate(scores)] for name, scores in found.items()}
    roles = pair_roles({}, len(given["a"]))
    return Slow(per, sum(map(mean, per.values())), found["from_a"], roles, ((found["from_b"], roles),))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "density_ratio": density_ratio,
    "directpred": directpred,
    "spr": spr,
}
