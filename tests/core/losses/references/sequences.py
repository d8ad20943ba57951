"""The losses over sequences, maps and whitened views."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, margin, mean, pair_roles, two_views


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


def among(x: Matrix, y: Matrix, tau: float) -> tuple[Vector, Vector]:
    """NT-Xent of every row of x with its own of y, and of y with its own of x, among the rows of both."""
    z, size = x + y, len(x)
    paid = []
    for i in range(2 * size):
        partner = (i + size) % (2 * size)
        others = [k for k in range(2 * size) if k != i]
        paid.append(-log_share([dot(z[i], z[k]) / tau for k in others], others.index(partner)))
    return paid[:size], paid[size:]


def halved(x: Matrix) -> Matrix:
    """The larger of every two steps, one by one; a last odd step is dropped."""
    return [[max(u, v) for u, v in zip(x[t], x[t + 1], strict=True)] for t in range(0, len(x) - 1, 2)]


def ts_forecast(given: Mapping[str, Any], p: Any) -> Slow:
    """Yue et al. 2022, eq. 1 to 3 and algorithm 1."""
    x, y = given["sequence"], given["other_sequence"]
    size = len(x)
    alpha = (1.0 if p.normalise else 0.0) if p.as_released else p.alpha
    instance, temporal = [0.0] * (2 * size), [0.0] * (2 * size)
    count = 0
    while True:
        u, v = x, y
        if p.normalise and not p.as_released:
            u, v = ([[unit(step) for step in series] for series in z] for z in (x, y))
        steps = len(u[0])
        for t in range(steps):
            both = among([series[t] for series in u], [series[t] for series in v], p.temperature)
            instance = [s + paid / steps for s, paid in zip(instance, both[0] + both[1], strict=True)]
        for i in range(size if steps > 1 else 0):
            for view, paid in enumerate(among(u[i], v[i], p.temperature)):
                temporal[view * size + i] += mean(paid)
        count += 1
        if steps == 1 or count == p.scales:
            break
        x, y = [halved(series) for series in x], [halved(series) for series in y]
    per = {"instance": [s / count for s in instance], "temporal": [s / count for s in temporal]}
    return Slow(per, alpha * mean(per["instance"]) + (1 - alpha) * mean(per["temporal"]))


def ts_moco(given: Mapping[str, Any], p: Any) -> Slow:
    """He et al. 2020, eq. 1, with cosines on demand; as released, the bank's columns are made unit instead."""
    a, keys, bank = given["a"], given["teacher"], given["bank"]
    if p.normalise:
        a, keys = [unit(x) for x in a], [unit(x) for x in keys]
        columns = [list(column) for column in zip(*bank, strict=True)]
        bank = (
            [list(row) for row in zip(*[unit(column) for column in columns], strict=True)]
            if p.as_released
            else [unit(x) for x in bank]
        )
    scores = [[dot(x, key), *[dot(x, n) for n in bank]] for x, key in zip(a, keys, strict=True)]
    paid = []
    for i, (own, *rest) in enumerate(scores):
        paid.append(-log_share([(own - margin(given, p, i)) / p.temperature, *[s / p.temperature for s in rest]], 0))
    return Slow({"": paid}, mean(paid), scores, [[P] + [N] * len(bank)] * len(a))


def largest(series: Matrix) -> Vector:
    return [max(column) for column in zip(*series, strict=True)]


def windows_of(series: Matrix, start: int, p: Any) -> float:
    """The mean over the windows: the next one is to be found among those beyond the neighbours of this one."""
    steps = [unit(step) for step in series]
    count = min(p.windows, len(steps))
    each = len(steps) // count
    start %= len(steps) - count * each + 1
    z = [largest(steps[start + w * each : start + (w + 1) * each]) for w in range(count)]
    paid = []
    for w in range(count if count > 1 else 0):
        partner = w + 1 if w + 1 < count else w - 1
        middle = min(max(w, 1), max(count - 2, 1))
        far = [v for v in range(count) if abs(v - middle) > 1]
        paid.append(-log_share([dot(z[w], z[v]) / p.temperature for v in [partner, *far]], 0))
    return mean(paid) if paid else 0.0


def autotcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Zheng et al. 2024: whole series one way, and the windows of each series."""
    x, y = ([unit(largest(series)) for series in given[name]] for name in ("sequence", "other_sequence"))
    asked = [margin(given, p, i) for i in range(len(x))]
    whole, scores, roles = one_way(x, y, asked, p.temperature)
    local = [windows_of(series, given["window_start"], p) for series in given["sequence"]]
    if p.as_released:
        local = [local[0]] + [0.0] * (len(local) - 1)
    windows = local[0] if p.as_released else mean(local)
    return Slow({"global": whole, "local": local}, mean(whole) + p.local * windows, scores, roles)


def series_dcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Yeh et al. 2022, eq. 6, of whole series; the code shifts all by the largest and adds to both exponentials."""
    x, y = ([unit(largest(series)) for series in given[name]] for name in ("sequence", "other_sequence"))
    size, scores, roles = two_views({"a": x, "b": y})
    paid = []
    for row, role in zip(scores, roles, strict=True):
        top = max(s for s, r in zip(row, role, strict=True) if r != X)
        near, far = (
            [math.exp((s - top) / p.temperature) for s, r in zip(row, role, strict=True) if r == kind]
            for kind in (P, N)
        )
        more = (1e-5, 1e-6) if p.as_released else (0, 0)
        paid.append(math.log(sum(far) + more[1]) - math.log(near[0] + more[0]))
    assert len(paid) == 2 * size
    return Slow({"": paid}, mean(paid), scores, roles)


def series_bound(given: Mapping[str, Any], p: Any) -> Slow:
    """Poole et al. 2019, the leave-one-out bound: a series' own similarity over the mean of the others'."""
    x, y = ([unit(largest(series)) for series in given[name]] for name in ("sequence", "other_sequence"))
    scores = [[dot(u, v) for v in y] for u in x]
    more = (1e-5, 1e-6) if p.as_released else (0, 0)
    paid = []
    for i, row in enumerate(scores):
        grown = [math.exp(s / p.temperature) for s in row]
        others = (sum(grown[:i]) + sum(grown[i + 1 :]) + more[1]) / (len(row) - 1)
        paid.append(math.log((grown[i] + more[0]) / others))
    return Slow({"": paid}, mean(paid), scores, pair_roles({}, len(x)))


def mmd(given: Mapping[str, Any], p: Any) -> Slow:
    """Gretton et al. 2012, the biased estimate: every entry counts, those on the diagonal too."""
    x, y = ([largest(series) for series in given[name]] for name in ("sequence", "other_sequence"))

    def kernel(u: Vector, v: Vector) -> float:
        return sum(math.exp(-(math.dist(u, v) ** 2) / given["bandwidth"] / 2**q) for q in range(5))

    size = range(len(x))
    paid = [
        mean([kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(y[i], x[j]) for j in size])
        for i in size
    ]
    return Slow({"": paid}, mean(paid))


def at(feature: Any, h: int, w: int) -> Vector:
    """What all channels of a map hold at one place."""
    return [channel[h][w] for channel in feature]


def alike(x: Any, y: Any) -> float:
    """The mean over the places of the cosine over the channels."""
    places = [(h, w) for h in range(len(x[0])) for w in range(len(x[0][0]))]
    return mean([dot(unit(at(x, h, w), 1e-2), unit(at(y, h, w), 1e-2)) for h, w in places])


def pcl_sr(given: Mapping[str, Any], p: Any) -> Slow:
    """Wu et al. 2023: every positive by itself against all negatives."""
    near, far = given["near_maps"], given["far_maps"]
    scores, paid = [], []
    for i, x in enumerate(given["maps"]):
        row = [alike(x, group[i]) for group in near + far]
        rest = [math.exp(s / p.temperature) for s in row[len(near) :]]
        each = []
        for s in row[: len(near)]:
            own = 0.0 if p.decoupled else math.exp(s / p.temperature)
            each.append(math.log(own + sum(rest)) - s / p.temperature)
        scores.append(row)
        paid.append(mean(each))
    return Slow({"": paid}, mean(paid), scores, [[P] * len(near) + [N] * len(far)] * len(scores))


def dual_contrast(given: Mapping[str, Any], p: Any) -> Slow:
    """Yu et al. 2021: each real logit against all made ones, and each made one turned round against all real ones."""
    real, made = given["real_logits"], given["made_logits"]
    per = {
        "real": [-log_share([r, *made], 0) for r in real],
        "made": [-log_share([-f, *(-r for r in real)], 0) for f in made],
    }
    scores = [[f - r for f in made] for r in real]
    return Slow(per, mean(per["real"]) + mean(per["made"]), scores, [[N] * len(made)] * len(real))


def local_global(given: Mapping[str, Any], p: Any) -> Slow:
    """Chaitanya et al. 2020, eq. 1, with the negatives of G^D-."""
    views, part = given["views"], given["labels"]
    size = len(part)
    z = [x for view in views for x in view]
    scores = [[dot(x, y) for y in z] for x in z]
    roles, paid = [], []
    for i, row in enumerate(scores):
        role = []
        for k in range(len(z)):
            mine = i % size == k % size
            role.append(X if i == k else P if mine else X if part[i % size] == part[k % size] else N)
        far = [s / p.temperature for s, r in zip(row, role, strict=True) if r == N]
        near = [s / p.temperature for s, r in zip(row, role, strict=True) if r == P]
        paid.append(-sum(log_share([s, *far], 0) for s in near))
        roles.append(role)
    links = len(views) * (len(views) - 1) / 2
    return Slow({"": paid}, sum(paid) / links / size, scores, roles)


def global_volumes(given: Mapping[str, Any], p: Any) -> Slow:
    """Chaitanya et al. 2020, G^D: pair by pair, both ways; what is met twice counts twice."""
    views, part, other = given["views"], given["labels"], given["counterpart"]
    size = len(part)
    z = [x for view in views for x in view]
    scores = [[dot(x, y) for y in z] for x in z]
    met = []
    for i, j in enumerate(other):
        for v in range(len(views)):
            here, there = v * size + i, v * size + j
            met += [(here, w * size + i) for w in range(v)]
            met += [(here, there), *((there, w * size + j) for w in range(v))] if i != j else []
    met += [(y, x) for x, y in met]
    roles = [
        [P if (i, k) in met else X if part[i % size] == part[k % size] else N for k in range(len(z))]
        for i in range(len(z))
    ]
    paid = [0.0] * len(z)
    for i, k in met:
        far = [s / p.temperature for s, r in zip(scores[i], roles[i], strict=True) if r == N]
        paid[i] -= log_share([scores[i][k] / p.temperature, *far], 0)
    return Slow({"": paid}, (4 if p.as_released else 2) * sum(paid) / len(met), scores, roles)


def region(feature: Any, corner: list[int], side: int) -> Vector:
    """The square that begins at the corner, flattened; what would lie beyond the edge repeats the edge."""
    height, width = len(feature[0]), len(feature[0][0])
    rows = [min(corner[0] + k, height - 1) for k in range(side)]
    columns = [min(corner[1] + k, width - 1) for k in range(side)]
    return unit([v for h in rows for w in columns for v in at(feature, h, w)], 1e-2)


def local_regions(given: Mapping[str, Any], p: Any) -> Slow:
    """Chaitanya et al. 2020, eq. 3: each region against its listed neighbours in both maps."""
    both = [given["maps"], given["other_maps"]]
    paid = []
    for view in (0, 1):
        for i, own in enumerate(both[view]):
            each = []
            for corner, far in zip(given["regions"], given["rivals"], strict=True):
                x = region(own, corner, p.side)
                found = [region(both[1 - view][i], corner, p.side)]
                found += [region(z[i], other, p.side) for z in both for other in far]
                each.append(-log_share([dot(x, y) / p.temperature for y in found], 0))
            paid.append(mean(each))
    return Slow({"": paid}, sum(paid))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "dual_contrast": dual_contrast,
    "global_volumes": global_volumes,
    "local_global": local_global,
    "local_regions": local_regions,
    "pcl_sr": pcl_sr,
    "autotcl": autotcl,
    "mmd": mmd,
    "series_bound": series_bound,
    "series_dcl": series_dcl,
    "ts_forecast": ts_forecast,
    "ts_moco": ts_moco,
    "whitenedcse": whitenedcse,
}
