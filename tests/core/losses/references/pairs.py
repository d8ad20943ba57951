"""The losses of the first laboratory: pairs, triplets, classes, bags, and a joint embedding."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, margin, mean, pair_roles, two_views


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
    if p.over == "min" and p.as_released:
        paid = everyones_nearest(given, p, scores, roles)
    return Slow({"": paid}, mean(paid), scores, roles)


def everyones_nearest(given: Mapping[str, Any], p: Any, scores: Matrix, roles: list[list[int]]) -> Vector:
    """The broadcast in the released code: the positive of each against the nearest negative of everyone."""
    nearest = [[-s for s, role in zip(*row, strict=True) if role == N] for row in zip(scores, roles, strict=True)]
    paid = []
    for i, row in enumerate(roles):
        near = -scores[i][row.index(P)]
        paid.append(mean([max(0.0, margin(given, p, i) + near - min(far)) if far else 0.0 for far in nearest]))
    return paid


def alignment(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang and Isola 2020, sec. 4.1, alpha = 2: the squared distance of a pair, on unit vectors."""
    a, b = given["a"], given["b"]
    size = len(a)
    paid = [2 - 2 * dot(a[i], b[i]) for i in range(size)]
    roles = [[P if i == j else N for j in range(size)] for i in range(size)]
    return Slow({"": paid}, mean(paid), [[dot(a[i], b[j]) for j in range(size)] for i in range(size)], roles)


def scores_of(a: Matrix, b: Matrix) -> Matrix:
    return [[dot(x, y) for y in b] for x in a]


def log1pexp(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


def siglip(given: Mapping[str, Any], p: Any) -> Slow:
    """Zhai et al. 2023, alg. 1: the sum over all pairs of -log sigmoid(z (s t + b)), over the size of the batch."""
    size, tau, bias = len(given["a"]), given.get("temperature", p.temperature), given.get("bias", p.bias)
    scores, roles = scores_of(given["a"], given["b"]), pair_roles(given, size)
    paid = []
    for i in range(size):
        paid.append(log1pexp(-((scores[i][i] - margin(given, p, i)) / tau + bias)))
        for j in range(size):
            if roles[i][j] == N:
                paid[i] += log1pexp(scores[i][j] / tau + bias)
    return Slow({"": paid}, mean(paid), scores, roles)


def bpr(given: Mapping[str, Any], p: Any) -> Slow:
    """Rendle et al. 2009: -log sigmoid of the lead of the positive, less the margin."""
    a, b = given["a"], given["b"]
    if "negatives" in given:
        scores = [[dot(x, y) for y in (b[i], *given["negatives"][i])] for i, x in enumerate(a)]
        roles = [[P, *[N] * (len(row) - 1)] for row in scores]
    else:
        scores, roles = scores_of(a, b), pair_roles(given, len(a))
    paid = []
    for i, (row, role) in enumerate(zip(scores, roles, strict=True)):
        lead = row[role.index(P)] - margin(given, p, i)
        costs = [log1pexp(s - lead) for s, r in zip(row, role, strict=True) if r == N]
        paid.append(mean(costs) if costs else 0.0)
    return Slow({"": paid}, mean(paid), scores, roles)


def angular(given: Mapping[str, Any], p: Any) -> Slow:
    """Deng et al. 2019, eq. 3, with the angle's cosine kept within 1 - 1e-6; past a straight angle -2 - cos."""
    size = len(given["a"])
    scores, roles = scores_of(given["a"], given["b"]), pair_roles(given, size)
    paid = []
    for i in range(size):
        angle = math.acos(min(max(scores[i][i], -1 + 1e-6), 1 - 1e-6))
        wide = angle + margin(given, p, i)
        asked = math.cos(wide) if wide <= math.pi else -2 - math.cos(wide)
        top = math.exp((scores[i][i] - math.cos(angle) + asked) / p.temperature)
        others = [math.exp(scores[i][j] / p.temperature) for j in range(size) if roles[i][j] == N]
        paid.append(-math.log(top / (top + sum(others))))
    return Slow({"": paid}, mean(paid), scores, roles)


def contrastive(given: Mapping[str, Any], p: Any) -> Slow:
    """Hadsell et al. 2006, eq. 4: half the square of the distance, or of what it lacks to the margin."""
    a, b = given["a"], given["b"]
    size = len(a)
    roles = pair_roles(given, size)
    scores = [[-math.dist(x, y) for y in b] for x in a]
    pull = [scores[i][i] ** 2 / 2 for i in range(size)]
    push = []
    for i in range(size):
        lacks = [max(0.0, margin(given, p, i) + scores[i][j]) ** 2 / 2 for j in range(size) if roles[i][j] == N]
        push.append(mean(lacks) if lacks else 0.0)
    return Slow({"attraction": pull, "repulsion": push}, mean(pull) + mean(push), scores, roles)


def gmc(given: Mapping[str, Any], p: Any) -> Slow:
    """Poklukar et al. 2022: NT-Xent between the joint embedding and each modality, the sum over the modalities."""
    each = [nt_xent({**given, "a": given["joint"], "b": z}, p) for z in given["modalities"]]
    more = tuple((slow.scores, slow.roles) for slow in each[1:])
    per = {str(q): slow.per[""] for q, slow in enumerate(each)}
    return Slow(per, sum(slow.total for slow in each), each[0].scores, each[0].roles, more)


def softmax(values: Vector) -> Vector:
    top = [math.exp(x - max(values)) for x in values]
    return [x / sum(top) for x in top]


def misses(bag: Matrix, other: Matrix, places: list[int], tau: float) -> Vector:
    """Ging et al. 2020: by how many places, squared, each member comes back beside itself."""
    size = len(bag[0])
    found = []
    for i, x in zip(places, bag, strict=True):
        share = softmax([-(math.dist(x, y) ** 2) / size / tau for y in other])
        neighbour = [sum(w * y[d] for w, y in zip(share, other, strict=True)) for d in range(size)]
        back = softmax([-(math.dist(neighbour, z) ** 2) / size / tau for z in bag])
        found.append((sum(k * w for k, w in zip(places, back, strict=True)) - i) ** 2)
    return found


def cycle(given: Mapping[str, Any], p: Any) -> Slow:
    """Both ways of every bag, on its present members only; an absent member that is sent pays nothing."""
    per: dict[str, Vector] = {"bags": [], "other_bags": []}
    tau = getattr(p, "temperature", 1.0)
    for k, (bag, other) in enumerate(zip(given["bags"], given["other_bags"], strict=True)):
        here = [i for i in range(len(bag)) if "bag_mask" not in given or given["bag_mask"][k][i]]
        for side, (x, y) in enumerate(((bag, other), (other, bag))):
            paid = [0.0] * len(x)
            for i, miss in zip(here, misses([x[i] for i in here], [y[i] for i in here], here, tau), strict=True):
                paid[i] = miss
            one = given["members"][side][k] if "members" in given else None
            per[("bags", "other_bags")[side]].append(sum(paid) / len(here) if one is None else paid[one])
    return Slow(per, sum(map(mean, per.values())))


def one_level(x: Matrix, y: Matrix, asked: Vector, out: Callable[[int, int], bool]) -> Vector:
    """What each pair is short of against every rival of its row and of its column that takes part."""
    scores, size = scores_of(x, y), len(x)
    paid = []
    for i in range(size):
        rivals = [j for j in range(size) if j != i]
        rows = [max(0.0, asked[i] + scores[i][j] - scores[i][i]) for j in rivals if not out(i, j)]
        columns = [max(0.0, asked[i] + scores[j][i] - scores[i][i]) for j in rivals if not out(j, i)]
        paid.append(sum(rows, 0.0) + sum(columns))
    return paid


def unit(x: Vector) -> Vector:
    length = math.sqrt(sum(v * v for v in x))
    return [v / length for v in x]


def coot(given: Mapping[str, Any], p: Any) -> Slow:
    """Ging et al. 2020: ranking across and within the sides at every level, and the cycles."""
    size, n = len(given["bags"]), len(given["bags"][0])
    asked = [margin(given, p, i) for i in range(size)]
    mask = given.get("bag_mask", [[True] * n] * size)
    levels = {"high": (given["a"], given["b"], 1, [True] * size)}
    flat = [[unit(x) for bag in given[name] for x in bag] for name in ("bags", "other_bags")]
    levels["low"] = (flat[0], flat[1], n, [here for row in mask for here in row])
    if "context" in given:
        levels["context"] = (given["context"], given["other_context"], 1, [True] * size)
    per: dict[str, Vector] = {}
    total, shown = 0.0, []
    for name, (x, y, each, here) in levels.items():
        lead = [asked[i // each] for i in range(len(x))]

        def absent(i: int, j: int, here: list[bool] = here) -> bool:
            return not (here[i] and here[j])

        def out(i: int, j: int, each: int = each, here: list[bool] = here) -> bool:
            named = "exclude" in given and given["exclude"][i // each][j // each]
            return not (here[i] and here[j]) or (named and i != j)

        across = one_level(x, y, lead, out)
        within = [(u + v) / 2 for u, v in zip(*(one_level(z, z, lead, absent) for z in (x, y)), strict=True)]
        count = sum(here) ** 2
        for kind, paid, weight in (
            ("align", across, getattr(p, name)),
            ("cluster", within, getattr(p, f"cluster_{name}")),
        ):
            per[f"{kind}.{name}"] = [sum(paid[i * each : (i + 1) * each]) for i in range(size)]
            total += weight * sum(paid) / count
        roles = [
            [X if absent(i, j) else P if i == j else X if out(i, j) else N for j in range(len(x))]
            for i in range(len(x))
        ]
        shown.append((scores_of(x, y), roles))
    turning = cycle(given, p)
    per |= {f"cycle.{name}": paid for name, paid in turning.per.items()}
    return Slow(per, total + p.cycle * turning.total, *shown[0], tuple(shown[1:]))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "alignment": alignment,
    "angular": angular,
    "bpr": bpr,
    "clip": clip,
    "contrastive": contrastive,
    "coot": coot,
    "cycle": cycle,
    "dcl": dcl,
    "gmc": gmc,
    "info_nce": info_nce,
    "nt_xent": nt_xent,
    "ranking": ranking,
    "siglip": siglip,
    "supcon": supcon,
    "triplet": triplet,
}
