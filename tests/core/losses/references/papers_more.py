"""The losses of the papers that came last: moments of clips, and frequencies of series."""

import cmath
import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.sequences import among, one_way, unit
from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, margin, mean


def points_of(sequence: Matrix, role: list[int], p: Any) -> tuple[Vector, Matrix, list[list[int]]]:
    """What each step pays, its products with all steps, and what those are to it."""
    size = len(sequence[0])
    steps = [unit(x) for x in sequence] if p.normalise else [[v / size**0.25 for v in x] for x in sequence]
    scores = [[dot(x, y) for y in steps] for x in steps]
    paid, roles = [], []
    for i, row in enumerate(scores):
        kinds = [X] * len(row)
        if role[i] == 1:
            kinds = [P if r == 1 and j != i else N if r == -1 else X for j, r in enumerate(role)]
        near, far = ([math.exp(s / p.temperature) for s, k in zip(row, kinds, strict=True) if k == r] for r in (P, N))
        paid.append(-math.log(sum(near) / (sum(near) + sum(far))) if near and far else 0.0)
        roles.append(kinds)
    return paid, scores, roles


def rasl_points(given: Mapping[str, Any], p: Any) -> Slow:
    """After the idea of Li et al. 2024: clip by clip, the points of each against its other steps."""
    per, total, shown = {}, 0.0, []
    for name, key, role in zip(("sequence", "other"), ("sequence", "other_sequence"), given["moments"], strict=True):
        found = [points_of(x, r, p) for x, r in zip(given[key], role, strict=True)]
        total += mean([sum(paid) / max(r.count(1), 1) for (paid, _, _), r in zip(found, role, strict=True)])
        order = [(t, i) for t in range(len(role[0])) for i in range(len(role))]
        per[name] = [found[i][0][t] for t, i in order]
        shown.append(([found[i][1][t] for t, i in order], [found[i][2][t] for t, i in order]))
    return Slow(per, total, *shown[0], (shown[1],))


def pooled(sequence: Matrix) -> Vector:
    """The mean of the steps by the softmax of their standardised lengths."""
    length = [math.hypot(*x) for x in sequence]
    centre = mean(length)
    spread = math.sqrt(mean([(v - centre) ** 2 for v in length]) + 1e-6)
    weight = [math.exp((v - centre) / spread) for v in length]
    return unit([sum(w * v for w, v in zip(weight, d, strict=True)) for d in zip(*sequence, strict=True)])


def rasl_clips(given: Mapping[str, Any], p: Any) -> Slow:
    """After the idea of Li et al. 2024: whole clips, both ways."""
    a, b = ([pooled(x) for x in given[name]] for name in ("sequence", "other_sequence"))
    asked = [margin(given, p, i) for i in range(len(a))]
    there, scores, roles = one_way(a, b, asked, p.temperature)
    back, _, _ = one_way(b, a, asked, p.temperature)
    return Slow({"a_to_b": there, "b_to_a": back}, (mean(there) + mean(back)) / 2, scores, roles)


def frequencies(series: Matrix) -> list[list[complex]]:
    """The coefficients of each frequency from 0 to half of the steps, (F, D), by the sum itself."""
    steps, count = [unit(x) for x in series], len(series)
    found = []
    for f in range(count // 2 + 1):
        turns = [cmath.exp(-2j * math.pi * f * t / count) for t in range(count)]
        row = [sum(w * v for w, v in zip(turns, d, strict=True)) for d in zip(*steps, strict=True)]
        found.append([complex(c.real, c.imag if abs(c.imag) >= 1e-5 else 0.0) for c in row])
    return found


def cost(given: Mapping[str, Any], p: Any) -> Slow:
    """Woo et al. 2022, eq. 6 and 7: all series at one frequency, once by amplitude, once by phase."""
    x, y = ([frequencies(series) for series in given[name]] for name in ("sequence", "other_sequence"))
    per: dict[str, Vector] = {}
    for name, read in (("amplitude", abs), ("phase", lambda c: cmath.phase(c) if abs(c) >= 1e-3 else 0.0)):
        each = []
        for f in range(len(x[0])):
            u, v = ([[read(c) for c in series[f]] for series in z] for z in (x, y))
            there, back = among(u, v, p.temperature)
            each.append(there + back)
        per[name] = [mean(list(paid)) for paid in zip(*each, strict=True)]
    return Slow(per, p.alpha / 2 * sum(mean(paid) for paid in per.values()))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "cost": cost,
    "rasl_clips": rasl_clips,
    "rasl_points": rasl_points,
}
