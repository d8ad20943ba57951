"""The losses over several modalities, over bags and over views from two sides."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, margin, mean, pair_roles


def log_sum_exp(values: Vector) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def together(vectors: list[Vector]) -> float:
    """The sum over dimensions of the product of all of them."""
    return sum(math.prod(numbers) for numbers in zip(*vectors, strict=True))


def symile(given: Mapping[str, Any], p: Any) -> Slow:
    """Saporta et al. 2024: from each modality in turn, the others as tuples, the true one among them."""
    z, tau = given["modalities"], given.get("temperature", p.temperature)
    count, size = len(z), len(z[0])
    paid, scores, roles = [], [], []
    for q in range(count):
        others = [r for r in range(count) if r != q]
        if p.candidates == "n_squared":
            tuples = list(itertools.product(range(size), repeat=len(others)))
        else:
            tuples = [tuple(given["shuffles"][q][r][k] for r in others) for k in range(size)]
        for i in range(size):
            own = (i,) * len(others)
            at = tuples.index(own) if p.candidates == "n_squared" else i
            mine = [own if k == at else chosen for k, chosen in enumerate(tuples)]
            row = [together([z[q][i], *(z[r][k] for r, k in zip(others, chosen, strict=True))]) for chosen in mine]
            logits = [(s - margin(given, p, i) * (k == at)) / tau for k, s in enumerate(row)]
            paid.append(log_sum_exp(logits) - logits[at])
            scores.append(row)
            roles.append([P if k == at else N for k in range(len(row))])
    return Slow({"": paid}, mean(paid), scores, roles)


def pairwise_clip(given: Mapping[str, Any], p: Any) -> Slow:
    """The sum over all pairs of modalities of CLIP's loss, which is the mean of two directions."""
    z, tau = given["modalities"], given.get("temperature", p.temperature)
    count, size = len(z), len(z[0])
    every = [(q, i) for q in range(count) for i in range(size)]
    paid, scores, roles = [], [], []
    for q, i in every:
        scores.append([dot(z[q][i], z[r][j]) for r, j in every])
        barred = given["exclude"][i] if "exclude" in given else [False] * size
        roles.append([X if r == q or (i != j and barred[j]) else P if i == j else N for r, j in every])
        half = 0.0
        for r in range(count):
            if r != q:
                top = (dot(z[q][i], z[r][i]) - margin(given, p, i)) / tau
                far = [dot(z[q][i], z[r][j]) / tau for j in range(size) if j != i and not barred[j]]
                half += (log_sum_exp([top, *far]) - top) / 2
        paid.append(half)
    return Slow({"": paid}, sum(paid) / size, scores, roles)


def share_of(row: Vector, at: int) -> float:
    """The logarithm of a softmax."""
    return row[at] - log_sum_exp(row)


def scaled(given: Mapping[str, Any], p: Any) -> tuple[Matrix, list[list[int]], Matrix, Matrix]:
    """Scores of a with b, their roles, and the logits along the rows and along the columns."""
    tau, size = given.get("temperature", p.temperature), len(given["a"])
    scores = [[dot(x, y) for y in given["b"]] for x in given["a"]]
    rows = [[s / tau for s in row] for row in scores]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return scores, [[P if i == j else N for j in range(size)] for i in range(size)], rows, columns


def cwcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Srinivasa et al. 2023: soft targets from the frozen side one way, InfoNCE the other way, added up."""
    t, size = given["teacher"], len(given["a"])
    scores, roles, rows, columns = scaled(given, p)
    there = []
    for i in range(size):
        w = [max(0.0, dot(t[i], t[j]) / 2 + 0.5) ** p.sharpness for j in range(size)]
        there.append(-sum(w[j] / sum(w) * share_of(rows[i], j) for j in range(size)))
    back = [-share_of(columns[i], i) for i in range(size)]
    return Slow({"a_to_b": there, "b_to_a": back}, mean(there) + mean(back), scores, roles)


def sample4geo(given: Mapping[str, Any], p: Any) -> Slow:
    """Deuser et al. 2023: cross entropy with smoothed labels along the rows and along the columns, averaged."""
    scores, roles, *directions = scaled(given, p)
    size = len(scores)
    paid = []
    for logits in directions:
        target = [[p.smoothing / size + (1 - p.smoothing) * (i == j) for j in range(size)] for i in range(size)]
        paid.append([-sum(target[i][j] * share_of(logits[i], j) for j in range(size)) for i in range(size)])
    return Slow({"a_to_b": paid[0], "b_to_a": paid[1]}, (mean(paid[0]) + mean(paid[1])) / 2, scores, roles)


def lco_emb(given: Mapping[str, Any], p: Any) -> Slow:
    """Xiao et al. 2025: cross entropy over all positives and all hard negatives of the batch."""
    a, b = given["a"], given["b"]
    size = len(a)
    hard = [x for own in given["negatives"] for x in own]
    roles = [[*row, *[N] * len(hard)] for row in pair_roles(given, size)]
    scores = [[dot(x, y) for y in (*b, *hard)] for x in a]
    paid = []
    for i in range(size):
        top = (scores[i][i] - margin(given, p, i)) / p.temperature
        far = [s / p.temperature for s, role in zip(scores[i], roles[i], strict=True) if role == N]
        paid.append(log_sum_exp([top, *far]) - top)
    return Slow({"": paid}, mean(paid), scores, roles)


def unit(x: Vector) -> Vector:
    length = max(1e-6, math.sqrt(dot(x, x)))
    return [v / length for v in x]


def soft_clip(scores: Matrix, tau: float, rows: Matrix, columns: Matrix) -> tuple[Vector, Vector]:
    """Cross entropies with soft targets along the rows and along the columns."""
    logits = [[s / tau for s in row] for row in scores]
    turned = [list(column) for column in zip(*logits, strict=True)]
    paid = [
        [-sum(y * share_of(row, j) for j, y in enumerate(wanted)) for row, wanted in zip(x, target, strict=True)]
        for x, target in ((logits, rows), (turned, columns))
    ]
    return paid[0], paid[1]


def round_the_modalities(parts: list[tuple[Matrix, list[list[int]], tuple[Vector, Vector]]]) -> Slow:
    """Each modality against the next: half the mean of both directions, added up."""
    per = {}
    for q, (_, _, (there, back)) in enumerate(parts):
        per |= {f"{q}.there": there, f"{q}.back": back}
    total = sum(mean(paid) / 2 for paid in per.values())
    (scores, roles, _), *more = parts
    return Slow(per, total, scores, roles, tuple((s, r) for s, r, _ in more))


def m3col(given: Mapping[str, Any], p: Any) -> Slow:
    """Kumar et al. 2024: mixtures of one modality against the items of the next, with the mixture's shares."""
    z = given["modalities"]
    size = len(z[0])
    parts = []
    for q, own in enumerate(z):
        partner, share = given["partners"][q], given["shares"][q]
        mixtures, target, roles = [], [], []
        for i in range(size):
            k, lam = partner[i], share[i]
            mixtures.append(unit([lam * x + (1 - lam) * y for x, y in zip(own[i], own[k], strict=True)]))
            row = [0.0] * size
            row[i] = lam
            row[k] = 1 - lam if p.as_released else row[k] + 1 - lam
            target.append(row)
            roles.append([P if j == i else 3 if j == k else N for j in range(size)])
        scores = [[dot(x, y) for y in z[(q + 1) % len(z)]] for x in mixtures]
        turned = [list(column) for column in zip(*target, strict=True)]
        parts.append((scores, roles, soft_clip(scores, p.temperature, target, turned)))
    return round_the_modalities(parts)


def multi_sclip(given: Mapping[str, Any], p: Any) -> Slow:
    """Kumar et al. 2024, second phase: targets are the softmax of the similarities within the next modality."""
    z = given["modalities"]
    size = len(z[0])
    parts = []
    for q, a in enumerate(z):
        b = z[(q + 1) % len(z)]
        within = [[dot(x, y) / p.temperature for y in b] for x in b]
        target = [[math.exp(share_of(row, j)) for j in range(size)] for row in within]
        scores = [[dot(x, y) for y in b] for x in a]
        roles = [[P if i == j else N for j in range(size)] for i in range(size)]
        parts.append((scores, roles, soft_clip(scores, p.temperature, target, target)))
    return round_the_modalities(parts)


def secla(given: Mapping[str, Any], p: Any) -> Slow:
    """Qu et al. 2023: the best match of each name in a bag of faces, and of each face in a bag of names."""
    size = len(given["bags"])

    def present(name: str, mask: str) -> list[Matrix]:
        found = zip(given[name], given.get(mask, [[True] * len(given[name][0])] * size), strict=True)
        bags = [list(zip(*row, strict=True)) for row in found]
        if p.as_released:
            return [[[v * kept for v in x] for x, kept in bag] for bag in bags]
        return [[x for x, kept in bag if kept] for bag in bags]

    faces, names = present("bags", "bag_mask"), present("tags", "tag_mask")

    def score(x: Matrix, y: Matrix) -> float:
        return mean([max(dot(u, v) for v in y) for u in x])

    s = [[score(names[i], faces[j]) for j in range(size)] for i in range(size)]
    r = [[score(faces[i], names[j]) for j in range(size)] for i in range(size)]
    scale = len(faces[0]) / len(names[0]) if p.as_released else 1
    find = [[-share_of([v / p.temperature for v in row], i) for i, row in enumerate(m)] for m in (s, r)]
    if p.agreement == "diag":
        agree = [(s[i][i] - scale * r[i][i]) ** 2 for i in range(size)]
    else:
        agree = [mean([(s[i][j] - scale * r[j][i]) ** 2 for j in range(size)]) for i in range(size)]
    roles = [[P if i == j else N for j in range(size)] for i in range(size)]
    total = mean(find[0]) + mean(find[1]) + p.alpha * mean(agree)
    return Slow({"tags": find[0], "bags": find[1], "agree": agree}, total, s, roles, ((r, roles),))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "cwcl": cwcl,
    "lco_emb": lco_emb,
    "m3col": m3col,
    "multi_sclip": multi_sclip,
    "pairwise_clip": pairwise_clip,
    "sample4geo": sample4geo,
    "secla": secla,
    "symile": symile,
}
