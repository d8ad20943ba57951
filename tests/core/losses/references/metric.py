"""Losses of metric learning: pairs and triplets of classes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.pairs import log1pexp, scores_of
from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, dot, margin, mean, pair_roles, two_views

EMPTY = -math.inf


def log_sum_exp(values: Vector) -> float:
    top = max(values, default=EMPTY)
    return EMPTY if top == EMPTY else top + math.log(sum(math.exp(v - top) for v in values))


def log1p_sum_exp(values: Vector) -> float:
    return log_sum_exp([0.0, *values])


def among(row: list[int], role: int) -> list[int]:
    return [k for k, found in enumerate(row) if found == role]


def two_views_apart(given: Mapping[str, Any]) -> tuple[int, Matrix, list[list[int]]]:
    """As `two_views`, with distances in place of scores."""
    size, _, roles = two_views(given)
    z = given["a"] + given["b"]
    return size, [[math.dist(x, y) for y in z] for x in z], roles


def negated(d: Matrix) -> Matrix:
    return [[-x for x in row] for row in d]


def circle(given: Mapping[str, Any], p: Any) -> Slow:
    """Sun et al. 2020, eq. 6: one over the other, each pair by its weight and from its own goal."""
    size, scores, roles = two_views(given)
    paid = []
    for i in range(2 * size):
        held = given["pair_weight"][i // size][i % size]
        weight = [p.gamma * held[k // size][k % size] for k in range(2 * size)]
        near = [weight[k] * (scores[i][k] - p.relaxation) for k in among(roles[i], N)]
        far = [-weight[q] * (scores[i][q] - (1 - p.relaxation)) for q in among(roles[i], P)]
        paid.append(log1p_sum_exp([x + y for x in near for y in far]))
    return Slow({"": paid}, mean(paid), scores, roles)


def multi_similarity(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang et al. 2019: with `mine`, only pairs within ε of the wrong side of the anchor's worst other pair."""
    _, scores, roles = two_views(given)
    pull, push = [], []
    for row, role in zip(scores, roles, strict=True):
        mates, others = ([row[k] for k in among(role, kind)] for kind in (P, N))
        lowest, highest = min(mates, default=math.inf), max(others, default=EMPTY)
        if p.mine:
            mates = [s for s in mates if s < highest + p.epsilon]
            others = [s for s in others if s > lowest - p.epsilon]
        pull.append(log1p_sum_exp([-p.alpha * (s - p.base) for s in mates]) / p.alpha)
        push.append(log1p_sum_exp([p.beta * (s - p.base) for s in others]) / p.beta)
    return Slow({"attraction": pull, "repulsion": push}, mean(pull) + mean(push), scores, roles)


def n_pair(given: Mapping[str, Any], p: Any) -> Slow:
    """Sohn 2016: log(1 + the sum of e^(s_ij - s_ii)), and the squared lengths of both."""
    a, b = given["a"], given["b"]
    if "negatives" in given:
        scores = [[dot(x, y) for y in (b[i], *given["negatives"][i])] for i, x in enumerate(a)]
        roles = [[P, *[N] * (len(row) - 1)] for row in scores]
    else:
        scores, roles = scores_of(a, b), pair_roles(given, len(a))
    paid = []
    for i, (row, role) in enumerate(zip(scores, roles, strict=True)):
        lead = row[role.index(P)] - margin(given, p, i)
        paid.append(log1p_sum_exp([row[j] - lead for j in among(role, N)]))
    length = [dot(x, x) + dot(y, y) for x, y in zip(a, b, strict=True)]
    return Slow({"tuplet": paid, "length": length}, mean(paid) + p.l2 * mean(length), scores, roles)


def lifted_structure(given: Mapping[str, Any], p: Any) -> Slow:
    """Song et al. 2016, eq. 4, over all positive pairs of the batch; generalised: Hermans et al. 2017, eq. 8."""
    size, d, roles = two_views_apart(given)
    every = range(2 * size)
    rivals = [[margin(given, p, i % size) - d[i][k] for k in among(roles[i], N)] for i in every]
    if p.form == "generalised":
        paid = [max(0.0, log_sum_exp([d[i][q] for q in among(roles[i], P)]) + log_sum_exp(rivals[i])) for i in every]
        return Slow({"": paid}, mean(paid), negated(d), roles)
    each = [
        [max(0.0, log_sum_exp(rivals[i] + rivals[q]) + d[i][q]) ** 2 / 2 for q in among(roles[i], P)] for i in every
    ]
    return Slow({"": list(map(mean, each))}, mean([x for row in each for x in row]), negated(d), roles)


def angular_triplet(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang et al. 2017: log(1 + the sum over the negatives of e^f), for both of a pair; and N-pair beside it."""
    size, scores, roles = two_views(given)
    slope = math.tan(p.angle / 180 * math.pi) ** 2
    angle, tuplet = [], []
    for i in range(2 * size):
        j = (i + size) % (2 * size)
        own = scores[i][j]
        seen = [k for k in among(roles[i], N) if roles[j][k] == N]
        angle.append(log1p_sum_exp([4 * slope * (scores[i][k] + scores[j][k]) - 2 * (1 + slope) * own for k in seen]))
        tuplet.append(log1p_sum_exp([scores[i][k] - own for k in among(roles[i], N)]))
    return Slow({"angle": angle, "n_pair": tuplet}, mean(angle) + p.n_pair * mean(tuplet), scores, roles)


def batch_hard(given: Mapping[str, Any], p: Any) -> Slow:
    """Hermans et al. 2017, eq. 5; semi-hard: of the negatives that are farther than the farthest positive."""
    size, d, roles = two_views_apart(given)
    paid = []
    for i in range(2 * size):
        far = max(d[i][q] for q in among(roles[i], P))
        rivals = [d[i][k] for k in among(roles[i], N) if p.mining == "hardest" or d[i][k] > far]
        short = [margin(given, p, i % size) + far - x for x in rivals]
        cost = [log1pexp(x) if p.soft else max(0.0, x) for x in short]
        paid.append(max(cost, default=0.0))
    return Slow({"": paid}, mean(paid), negated(d), roles)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "angular_triplet": angular_triplet,
    "batch_hard": batch_hard,
    "circle": circle,
    "lifted_structure": lifted_structure,
    "multi_similarity": multi_similarity,
    "n_pair": n_pair,
}
