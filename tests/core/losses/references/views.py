"""Weighted DCL, the losses over more than two views, and those of the hardest negatives."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, margin, mean, pair_roles, two_views


def log_sum_exp(values: Vector) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def dclw(given: Mapping[str, Any], p: Any) -> Slow:
    """Yeh et al. 2022: DCL with a weight of mean 1 on the positive, 2 - e^(s / sigma) over its mean in the batch."""
    size, scores, roles = two_views(given)
    pull = [scores[i][(i + size) % (2 * size)] for i in range(2 * size)]
    paid = []
    for i in range(2 * size):
        ratio = mean([math.exp((pull[j] - pull[i]) / p.sigma) for j in range(size)])
        others = [scores[i][k] / p.temperature for k in range(2 * size) if roles[i][k] == N]
        paid.append(-(2 - 1 / ratio) * pull[i] / p.temperature + log_sum_exp(others))
    return Slow({"": paid}, mean(paid), scores, roles)


def all_views(given: Mapping[str, Any]) -> tuple[int, int, Matrix, list[list[int]]]:
    """Number of views and of items, scores among all embeddings, view by view, and roles by item."""
    count, size = len(given["views"]), len(given["views"][0])
    z = [x for view in given["views"] for x in view]
    scores = [[dot(x, y) for y in z] for x in z]
    places = range(count * size)
    roles = [[X if r == c else P if r % size == c % size else N for c in places] for r in places]
    return count, size, scores, roles


def mv_infonce(given: Mapping[str, Any], p: Any) -> Slow:
    """Koromilas et al. 2025: one fraction for each item, summed over its views above and below."""
    _, size, scores, roles = all_views(given)
    above: list[float] = [0.0] * size
    below: list[float] = [0.0] * size
    for r, row in enumerate(scores):
        for c, s in enumerate(row):
            above[r % size] += math.exp(s / p.temperature) * (roles[r][c] == P)
            below[r % size] += math.exp(s / p.temperature) * (r != c)
    paid = [-math.log(x / y) for x, y in zip(above, below, strict=True)]
    return Slow({"": paid}, mean(paid), scores, roles)


def mv_dhel(given: Mapping[str, Any], p: Any) -> Slow:
    """Koromilas et al. 2025: one sum over the pairs of views, and a denominator within each view."""
    count, size, scores, roles = all_views(given)
    paid = []
    for i in range(size):
        near = [scores[v * size + i][w * size + i] / p.temperature for v, w in itertools.combinations(range(count), 2)]
        far = [
            log_sum_exp([scores[v * size + i][v * size + j] / p.temperature for j in range(size) if j != i])
            for v in range(count)
        ]
        paid.append(sum(far) - log_sum_exp(near))
    for r, c in itertools.product(range(count * size), repeat=2):
        if roles[r][c] == N and r // size != c // size:
            roles[r][c] = X
    return Slow({"": paid}, mean(paid), scores, roles)


def pair_by_pair(given: Mapping[str, Any], p: Any, of_pair_only: bool) -> Slow:
    """Each other view of an anchor against the other items, in both views of the pair or in all views."""
    count, size, scores, roles = all_views(given)
    paid = []
    for r, row in enumerate(scores):
        v, i = divmod(r, size)
        costs = []
        for w in range(count):
            seen = (v, w) if of_pair_only else range(count)
            if w != v:
                top = row[w * size + i] / p.temperature
                far = [row[m * size + j] / p.temperature for m in seen for j in range(size) if j != i]
                costs.append(log_sum_exp([top, *far]) - top)
        paid.append(mean(costs))
    return Slow({"": paid}, mean(paid), scores, roles)


def mv_pvc(given: Mapping[str, Any], p: Any) -> Slow:
    """Shidani et al. 2024, the geometric mean over the positives."""
    return pair_by_pair(given, p, of_pair_only=False)


def mv_pwe(given: Mapping[str, Any], p: Any) -> Slow:
    """NT-Xent of each pair of views."""
    return pair_by_pair(given, p, of_pair_only=True)


def mv_avg(given: Mapping[str, Any], p: Any) -> Slow:
    """NT-Xent of each view with the mean of the others, written out."""
    views = given["views"]
    count, size = len(views), len(views[0])
    per: dict[str, Vector] = {}
    shown = []
    for v, view in enumerate(views):
        others = [views[w] for w in range(count) if w != v]
        rest = [[mean(list(numbers)) for numbers in zip(*(o[i] for o in others), strict=True)] for i in range(size)]
        _, scores, roles = two_views({"a": view, "b": rest})
        per[str(v)] = []
        for r, row in enumerate(scores):
            logits = [s / p.temperature for s in row]
            rivals = [x for c, x in enumerate(logits) if c != r]
            per[str(v)].append(log_sum_exp(rivals) - logits[(r + size) % (2 * size)])
        shown.append((scores, roles))
    return Slow(per, mean([mean(paid) for paid in per.values()]), *shown[0], tuple(shown[1:]))


def hardest_only(given: Mapping[str, Any]) -> tuple[int, Matrix, list[list[int]]]:
    """Size, scores and roles; a negative that is not among the hardest takes no part."""
    size = len(given["a"])
    roles = pair_roles(given, size)
    for i, row in enumerate(roles):
        roles[i] = [X if role == N and not given["hardest"][i][j] else role for j, role in enumerate(row)]
    return size, [[dot(x, y) for y in given["b"]] for x in given["a"]], roles


def hard_contrastive(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang and Liu 2021: InfoNCE over the negatives above the quantile."""
    size, scores, roles = hardest_only(given)
    paid = []
    for i in range(size):
        top = (scores[i][i] - margin(given, p, i)) / p.temperature
        far = [scores[i][j] / p.temperature for j in range(size) if roles[i][j] == N]
        paid.append(log_sum_exp([top, *far]) - top)
    return Slow({"": paid}, mean(paid), scores, roles)


def simple_contrastive(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang and Liu 2021: the positive's score with a minus, and lambda times the mean of the negatives'."""
    size, scores, roles = hardest_only(given)
    paid = []
    for i in range(size):
        far = [scores[i][j] for j in range(size) if roles[i][j] == N]
        paid.append(margin(given, p, i) - scores[i][i] + p.push * (mean(far) if far else 0.0))
    return Slow({"": paid}, mean(paid), scores, roles)


def softmax(values: Vector) -> Vector:
    return [math.exp(v - log_sum_exp(values)) for v in values]


def squared(x: Vector, y: Vector) -> float:
    return sum((u - v) ** 2 for u, v in zip(x, y, strict=True))


def cacr(given: Mapping[str, Any], p: Any) -> Slow:
    """Zheng et al. 2023: costs are squared distances, weights grow with that of a positive, fall with a negative's."""
    z = given["views"]
    judged = given["fixed_views"] if p.held else z
    count, size = len(z), len(z[0])
    pull, push, scores, roles = [], [], [], []
    for x, i in itertools.product(range(count), range(size)):
        others = [k for k in range(count) if k != x]
        w = softmax([p.positive * squared(judged[x][i], judged[k][i]) for k in others])
        pull.append(sum(u * squared(z[x][i], z[k][i]) for u, k in zip(w, others, strict=True)))
        rest = [j for j in range(size) if j != i]
        paid = 0.0
        for y in range(x + 1, count):
            v = softmax([-p.negative * squared(judged[x][i], judged[y][j]) for j in rest])
            paid -= sum(u * squared(z[x][i], z[y][j]) for u, j in zip(v, rest, strict=True))
        push.append(paid)
        every = list(itertools.product(range(count), range(size)))
        scores.append([-squared(z[x][i], z[y][j]) for y, j in every])
        roles.append([X if y == x or (y < x and j != i) else P if j == i else N for y, j in every])
    total = p.attraction * mean(pull) + p.repulsion * sum(push) / (size * math.comb(count, 2))
    return Slow({"attraction": pull, "repulsion": push}, total, scores, roles)


def cacr_moco(given: Mapping[str, Any], p: Any) -> Slow:
    """The released form with a momentum encoder: the queries' costs, weighted over the views by distance."""
    q, fixed, keys, tau = given["views"], given["fixed_views"], given["teacher"], p.temperature
    count, size = len(q), len(keys)
    paid, scores = [], []
    for x, i in itertools.product(range(count), range(size)):
        share = softmax([squared(fixed[y][i], keys[i]) / tau for y in range(count)])[x]
        row = [dot(q[x][i], k) for k in keys]
        if p.cost == "rbf":
            cost = 2 * tau * (log_sum_exp([s / tau for s in row]) - row[i] / tau)
        else:
            rest = [j for j in range(size) if j != i]
            near = softmax([dot(fixed[x][i], keys[j]) / tau for j in rest])
            cost = 1 - row[i] - sum(v * (1 - row[j]) for v, j in zip(near, rest, strict=True))
        paid.append(share * cost)
        scores.append(row)
    roles = [[P if i == j else N for j in range(size)] for _ in range(count) for i in range(size)]
    total = sum(paid) if p.as_released and p.cost == "euclidean" else sum(paid) / size
    return Slow({"": paid}, total, scores, roles)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "cacr": cacr,
    "cacr_moco": cacr_moco,
    "dclw": dclw,
    "hard_contrastive": hard_contrastive,
    "mv_avg": mv_avg,
    "mv_dhel": mv_dhel,
    "mv_infonce": mv_infonce,
    "mv_pvc": mv_pvc,
    "mv_pwe": mv_pwe,
    "simple_contrastive": simple_contrastive,
}
