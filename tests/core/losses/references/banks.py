"""The losses that hold an anchor against its key and a bank of kept embeddings."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, margin, mean

SYNTHETIC = 4


def cross_entropy(score: float, among: Vector, tau: float) -> float:
    """-log of the share of a score in the softmax over all of them."""
    top = max(among)
    return (top - score) / tau + math.log(sum(math.exp((s - top) / tau) for s in among))


def softmax_cost(scores: Vector, tau: float, lead: float = 0.0) -> float:
    """Cross entropy of the first of the scores, which is asked for a lead."""
    asked = [scores[0] - lead, *scores[1:]]
    return cross_entropy(asked[0], asked, tau)


def beside(a: Matrix, keys: Matrix, bank: Matrix) -> tuple[Matrix, list[list[int]]]:
    scores = [[dot(x, key), *(dot(x, n) for n in bank)] for x, key in zip(a, keys, strict=True)]
    return scores, [[P, *[N] * len(bank)] for _ in a]


def moco(given: Mapping[str, Any], p: Any) -> Slow:
    """He et al. 2020, eq. 1: the key against the key and the queue."""
    scores, roles = beside(given["a"], given["teacher"], given["bank"])
    paid = [softmax_cost(row, p.temperature, margin(given, p, i)) for i, row in enumerate(scores)]
    return Slow({"": paid}, mean(paid), scores, roles)


def unit_mixture(x: Vector, y: Vector, share: float) -> Vector:
    mixed = [share * u + (1 - share) * v for u, v in zip(x, y, strict=True)]
    length = math.sqrt(dot(mixed, mixed))
    return [v / length for v in mixed]


def mochi(given: Mapping[str, Any], p: Any) -> Slow:
    """Kalantidis et al. 2020, sec. 3: the queue, mixtures of two hard negatives, mixtures of one with the query."""
    bank = given["bank"]
    scores, roles = beside(given["a"], given["teacher"], bank)
    for i, x in enumerate(given["a"]):
        made = [
            unit_mixture(bank[u], bank[v], share)
            for u, v, share in zip(given["picks"][i], given["other_picks"][i], given["pick_share"][i], strict=True)
        ]
        made += [
            unit_mixture(given["fixed"][i], bank[u], share)
            for u, share in zip(given["own_picks"][i], given["own_share"][i], strict=True)
        ]
        scores[i] += [dot(x, h) for h in made]
        roles[i] += [SYNTHETIC] * len(made)
    paid = [softmax_cost(row, p.temperature, margin(given, p, i)) for i, row in enumerate(scores)]
    return Slow({"": paid}, mean(paid), scores, roles)


def distribution(scores: Vector, tau: float) -> Vector:
    return [math.exp(-cross_entropy(s, scores, tau)) for s in scores]


def hiclr(given: Mapping[str, Any], p: Any) -> Slow:
    """Zhang et al. 2023: the weakest view against key and queue; each stronger one by the next weaker one's P."""
    key, bank, tau = given["teacher"], given["bank"], p.temperature
    seen = [beside(view, key, bank) for view in given["views"]]
    scores, roles = seen[0]
    per: dict[str, Vector] = {"info": []}
    for i, row in enumerate(scores):
        roles[i] = [P, *(P if mined else N for mined in given["neighbours"][i])]
        asked = [s - (margin(given, p, i) if role == P else 0) for s, role in zip(row, roles[i], strict=True)]
        positives = [s for s, role in zip(asked, roles[i], strict=True) if role == P]
        per["info"].append(mean([cross_entropy(s, asked, tau) for s in positives]))
    for v in range(1, len(seen)):
        weaker, _ = beside(given["fixed_views"][v - 1], key, bank)
        per[f"follow.{v}"] = [
            sum(q * cross_entropy(s, row, tau) for q, s in zip(distribution(soft, tau), row, strict=True))
            for soft, row in zip(weaker, seen[v][0], strict=True)
        ]
    total = mean(per["info"]) + p.follow * sum(mean(paid) for name, paid in per.items() if name != "info")
    return Slow(per, total, scores, roles, tuple(seen[1:]))


def feature_transform(given: Mapping[str, Any], p: Any) -> Slow:
    """Zhu et al. 2021, sec. 4: lambda q + (1 - lambda) k and its twin; each entry of the queue mixed with another."""
    own, keys = [], []
    for q, k, stretch in zip(given["a"], given["teacher"], given["stretch"], strict=True):
        pair = [[w * x + (1 - w) * y for w, x, y in zip(stretch, *both, strict=True)] for both in ((q, k), (k, q))]
        q_hat, k_hat = [unit_mixture(z, z, 1.0) for z in pair] if p.normalise else pair
        own.append(q_hat)
        keys.append(k_hat)
    bank = [
        [w * x + (1 - w) * y for w, x, y in zip(share, n, given["bank"][other], strict=True)]
        for n, other, share in zip(given["bank"], given["bank_partner"], given["bank_share"], strict=True)
    ]
    scores, roles = beside(own, keys, bank)
    paid = [softmax_cost(row, p.temperature, margin(given, p, i)) for i, row in enumerate(scores)]
    return Slow({"": paid}, mean(paid), scores, roles)


def interclr(given: Mapping[str, Any], p: Any) -> Slow:
    """Xie et al. 2022: the key against the queue, and an item of the cluster, let off, against items of others."""
    scores, roles = beside(given["a"], given["teacher"], given["bank"])
    per: dict[str, Vector] = {"intra": [softmax_cost(row, p.temperature) for row in scores], "inter": []}
    memory, met, part = given["memory"], [], []
    for i, x in enumerate(given["a"]):
        row, role = [dot(x, memory[given["memory_positive"][i]])], [P]
        for place in given["memory_picks"][i]:
            row.append(dot(x, memory[place]))
            role.append(X if given["memory_clusters"][place] == given["clusters"][i] else N)
        taking_part = [s for s, r in zip(row, role, strict=True) if r != X]
        per["inter"].append(softmax_cost(taking_part, p.temperature, margin(given, p, i)))
        met.append(row)
        part.append(role)
    total = p.intra * mean(per["intra"]) + p.inter * mean(per["inter"])
    return Slow(per, total, scores, roles, ((met, part),))


def beclr(given: Mapping[str, Any], p: Any) -> Slow:
    """Poulakakis-Daktylidis and Jamali-Rad 2024: each view by the teacher's others and their neighbours; log of a mean.

    The letters say whose embedding of the first view, and of the others, takes part in the push.
    """
    taught, bank = given["teacher_views"], given["bank"]
    count, size = len(taught), len(taught[0])
    per: dict[str, Any] = {"attraction": []}
    scores, roles = [], []
    for v in range(count):
        for i in range(size):
            row, role = [], []
            for w in range(count):
                near = [taught[w][i], *(bank[place] for place in given["memory_neighbours"][w][i])]
                row += [dot(given["views"][v][i], n) for n in near]
                role += [X if w == v else P] * len(near)
            per["attraction"].append(-mean([s for s, r in zip(row, role, strict=True) if r == P]))
            scores.append(row)
            roles.append(role)
    by = {"S": given["projections"], "T": taught}
    z = [x for v in range(count) for x in by[p.sides[min(v, 1)]][v]]
    met = [[dot(x, y) for y in z] for x in z]
    part = [[X if (i - j) % size == 0 else N for j in range(count * size)] for i in range(count * size)]
    far = [
        math.exp(s / p.temperature)
        for row, role in zip(met, part, strict=True)
        for s, r in zip(row, role, strict=True)
        if r == N
    ]
    per["repulsion"] = math.log(mean(far))
    return Slow(per, mean(per["attraction"]) + p.repulsion * per["repulsion"], scores, roles, ((met, part),))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "beclr": beclr,
    "feature_transform": feature_transform,
    "hiclr": hiclr,
    "interclr": interclr,
    "mochi": mochi,
    "moco": moco,
}
