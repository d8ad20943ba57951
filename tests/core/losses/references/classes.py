"""Losses over classes, subclasses, domains and tasks."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import N, P, Slow, X, dot, margin, mean, two_views


def cosine(x: list[float], y: list[float]) -> float:
    return dot(x, y) / math.sqrt(dot(x, x) * dot(y, y))


def hydra_simlap(given: Mapping[str, Any], p: Any) -> Slow:
    """Wu et al. 2024: both of a pair through the anchor's gate; the mean over all positive pairs of the batch."""
    z, y, partner = given["a"], given["labels"], given["partner_labels"]
    size = len(z)
    scores, roles, paid, count = [], [], [], 0
    for i in range(size):
        seen = [[v * g for v, g in zip(x, given["gate"][i], strict=True)] for x in z]
        scores.append([cosine(seen[i], seen[j]) for j in range(size)])
        roles.append([P if y[j] == partner[i] else X if y[j] == y[i] else N for j in range(size)])
        far = sum(math.exp(scores[i][j] / p.temperature) for j in range(size) if roles[i][j] == N)
        paid.append(0.0)
        for j in range(size):
            if roles[i][j] == P:
                near = math.exp((scores[i][j] - margin(given, p, i)) / p.temperature)
                paid[i] += math.log((near + far) / near)
                count += 1
    return Slow({"": paid}, sum(paid) / max(count, 1), scores, roles)


def sbcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Hou et al. 2023: SupCon within the subclass, and from outside the subclass to the class."""
    size, scores, roles = two_views(given)
    y, cluster = given["labels"] * 2, given["clusters"] * 2
    fine, coarse = [], []
    for i in range(2 * size):
        others = [k for k in range(2 * size) if k != i]
        sub = [k for k in others if y[k] == y[i] and cluster[k] == cluster[i]]
        same = [k for k in others if y[k] == y[i]]
        tau = p.temperature
        fine.append(supervised(scores[i], sub, others, tau))
        if p.form == "rank":
            tau = given["item_temperature"][i % size] if "item_temperature" in given else tau
            others = [k for k in others if k not in sub or k == (i + size) % (2 * size)]
            same = [k for k in same if k in others]
        coarse.append(supervised(scores[i], same, others, tau))
    total = p.temperature / p.base_temperature * mean(fine) + p.gamma * mean(coarse)
    return Slow({"subclass": fine, "class": coarse}, total, scores, roles)


def supervised(row: list[float], positives: list[int], others: list[int], tau: float) -> float:
    """Minus the mean log share of the positives among the others."""
    whole = math.log(sum(math.exp(row[k] / tau) for k in others))
    return -mean([row[q] / tau - whole for q in positives])


def core_tuning(given: Mapping[str, Any], p: Any) -> Slow:
    """Zhang et al. 2021: each positive's cross entropy times what its share lacks of 1."""
    z, y = given["a"], given["labels"]
    size, left_out = len(z), given.get("exclude")
    scores = [[dot(x, v) for v in z] for x in z]
    roles, paid, have = [], [], 0
    for i in range(size):
        mates = [P if y[j] == y[i] else X if left_out and left_out[i][j] else N for j in range(size)]
        roles.append([X if i == j else mates[j] for j in range(size)])
        weight = {}
        for j in range(size):
            if roles[i][j] != X:
                lead = margin(given, p, i) if roles[i][j] == P else 0
                weight[j] = math.exp((scores[i][j] - lead) / p.temperature)
        shares = {j: weight[j] / sum(weight.values()) for j in weight}
        rest = {j: sum(w for k, w in weight.items() if k != j) / sum(weight.values()) for j in weight}
        costs = [-rest[j] * math.log(shares[j]) for j in weight if roles[i][j] == P]
        have += bool(costs)
        paid.append(sum(costs) / (size if p.as_released else max(len(costs), 1)))
    return Slow({"": paid}, sum(paid) / max(have, 1), scores, roles)


def sepclr(given: Mapping[str, Any], p: Any) -> Slow:
    """Louiset et al. 2024: alignment, uniformity and joint entropy, by Gaussian kernels."""
    size = len(given["a"])
    target = [d == 1 for d in given["domain"]]
    codes, apart = (given["a"], given["b"]), (given["salient"], given["other_salient"])
    emptied = [[x if t else [0.0] * len(x) for x, t in zip(s, target, strict=True)] for s in apart]

    def far(x: list[float], y: list[float]) -> float:
        return math.dist(x, y) ** 2 / (2 * p.temperature)

    def uniform(z: list[list[float]]) -> float:
        return log_mean_exp([-far(z[i], z[j]) for i in range(size) for j in range(i)])

    align = [far(x, y) for x, y in zip(*codes, strict=True)]
    own = [far(x, y) if t else 0.0 for x, y, t in zip(*apart, target, strict=True)]
    zero = [0.0] * len(apart[0][0])
    empty = [0.0 if target[i] else (far(apart[0][i], zero) + far(apart[1][i], zero)) / 2 for i in range(size)]
    joint = []
    for i in range(size):
        each = [
            log_mean_exp([-far(c[i], c[j]) - far(s[i], s[j]) for j in range(size)])
            for c, s in zip(codes, emptied, strict=True)
        ]
        joint.append(mean(each))
    spread = [sum(map(uniform, codes)), sum(map(uniform, emptied))]
    per: dict[str, Any] = {
        "common.align": align,
        "common.uniform": spread[0],
        "salient.align": own,
        "salient.uniform": spread[1],
        "information_less": empty,
        "joint": joint,
    }
    there = sum(target)
    total = mean(align) + spread[0] + p.salient * (sum(own) / max(there, 1) + spread[1])
    total += p.information_less * sum(empty) / max(size - there, 1) + p.joint * mean(joint)
    if "targets" in given:
        y, s = given["targets"], apart[0]
        pairs = [(i, j) for i in range(size) for j in range(i) if target[i] and target[j]]
        weight = {(i, j): math.exp(-((y[i] - y[j]) ** 2) / (2 * p.width)) for i, j in pairs}
        alike = [
            mean([w * (s[i][d] - s[j][d]) ** 2 for (i, j), w in weight.items()] or [0.0]) for d in range(len(zero))
        ]
        per["supervised"] = alike
        total += p.supervised * mean(alike)
    return Slow(per, total)


def log_mean_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(mean([math.exp(v - top) for v in values]))


def replayed(given: Mapping[str, Any], p: Any, negatives: str) -> Slow:
    """Cappellazzo et al. 2024: positives of the teacher, the sum below over either model."""
    h, t, y, there = given["a"], given["teacher"], given["labels"], given["rehearsed"]
    size, paid, have = len(h), [], 0
    teacher, student = ([[dot(x, v) for v in z] for x in h] for z in (t, h))
    pulled, pushed = [[X] * size for _ in h], [[X] * size for _ in h]
    for k in range(size):
        others = [i for i in range(size) if i != k and there[k]]
        mates = [i for i in others if y[i] == y[k]]
        low = (student if negatives == "student" else teacher)[k]
        whole = sum(math.exp(low[i] / p.temperature) for i in others)
        costs = []
        for q in mates:
            own = math.exp(teacher[k][q] / p.temperature)
            below = whole + own if getattr(p, "positive_below", False) else whole
            costs.append(-math.log(own / below))
        paid.append(mean(costs) if costs else 0.0)
        have += bool(costs)
        for i in others:
            pulled[k][i] = P if i in mates else X if negatives == "student" else N
            pushed[k][i] = N
    total = sum(paid) / max(have, 1)
    return Slow({"": paid}, total, teacher, pulled, ((student, pushed),) if negatives == "student" else ())


def coconut_nspt(given: Mapping[str, Any], p: Any) -> Slow:
    return replayed(given, p, "student")


def coconut_ntpt(given: Mapping[str, Any], p: Any) -> Slow:
    return replayed(given, p, "teacher")


def coconut_mm(given: Mapping[str, Any], p: Any) -> Slow:
    """Cappellazzo et al. 2024: SupCon from audio to text and back, the two summed."""
    a, b, y = given["a"], given["b"], given["labels"]
    size, left_out = len(a), given.get("exclude")
    scores = [[dot(x, v) for v in b] for x in a]
    roles = [[P if y[i] == y[j] else X if left_out and left_out[i][j] else N for j in range(size)] for i in range(size)]
    rows, columns = [], []
    for i in range(size):
        mates = [j for j in range(size) if y[j] == y[i]]
        along = [j for j in range(size) if roles[i][j] != X]
        across = [j for j in range(size) if roles[j][i] != X]
        rows.append(supervised(scores[i], mates, along, p.temperature))
        columns.append(supervised([row[i] for row in scores], mates, across, p.temperature))
    return Slow({"a_to_b": rows, "b_to_a": columns}, mean(rows) + mean(columns), scores, roles)


def amcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang et al. 2024: each head's positive against its nearest negative, each pair by its own temperature."""
    size, width = len(given["heads"][0]), len(given["heads"][0][0])
    roles = [[P if i == j else N for j in range(size)] for i in range(size)]
    compared, held, shown = [0.0] * size, [0.0] * size, []
    for a, b, tau in zip(given["heads"], given["other_heads"], given["pair_temperatures"], strict=True):
        scores = [[dot(x, v) for v in b] for x in a]
        shown.append((scores, roles))
        for i in range(size):
            others = [j for j in range(size) if j != i]
            n = max(others, key=lambda j, row=scores[i]: row[j])
            far = scores[i][n] / tau[i][n]
            if p.soft:
                far = math.log(sum(math.exp(scores[i][j] / tau[i][j]) for j in others))
            compared[i] += far - scores[i][i] / tau[i][i]
            omega = [width / 2 * math.log(t) + 1 / t for t in (tau[i][i], tau[i][n])]
            held[i] += omega[0] - omega[1]
    total = mean(compared) + p.beta * mean(held)
    return Slow({"pairs": compared, "temperatures": held}, total, *shown[0], tuple(shown[1:]))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "amcl": amcl,
    "coconut_mm": coconut_mm,
    "coconut_nspt": coconut_nspt,
    "coconut_ntpt": coconut_ntpt,
    "core_tuning": core_tuning,
    "hydra_simlap": hydra_simlap,
    "sbcl": sbcl,
    "sepclr": sepclr,
}
