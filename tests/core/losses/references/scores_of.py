"""The slow loops of losses over candidates' scores, log-likelihoods, augmenters, parallel heads and mixed targets."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, mean, pair_roles, two_views

SYNTHETIC = 4


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def log_sum(logits: Vector) -> float:
    top = max(logits)
    return top + math.log(sum(math.exp(x - top) for x in logits))


def cross_entropy(scores: Vector, right: int) -> float:
    return log_sum(scores) - scores[right]


def first(scores: Matrix) -> list[list[int]]:
    return [[P] + [N] * (len(row) - 1) for row in scores]


def rerank_cl(given: Mapping[str, Any], p: Any) -> Slow:
    """Dai et al. 2026: minus the log of the relevant candidate's share."""
    scores = given["candidate_scores"]
    paid = [cross_entropy(row, 0) for row in scores]
    return Slow({"": paid}, mean(paid), scores, first(scores))


def leads(given: Mapping[str, Any]) -> Matrix:
    both = zip(given["candidate_scores"], given["refusal_scores"], strict=True)
    return [[y - n for y, n in zip(*rows, strict=True)] for rows in both]


def rerank_sft(given: Mapping[str, Any], p: Any) -> Slow:
    """Dai et al. 2026: a logistic loss at every candidate, yes at the first, no at the others."""
    scores = leads(given)
    paid = []
    for row in scores:
        each = [softplus(-row[0]), *(softplus(s) for s in row[1:])]
        paid.append(mean(each) if p.reduction == "mean" else sum(each))
    return Slow({"": paid}, mean(paid), scores, first(scores))


def rerank_unified(given: Mapping[str, Any], p: Any) -> Slow:
    """Dai et al. 2026: each score times its weight, minus at the relevant candidate."""
    scores = leads(given) if p.direction == "lead" else given["candidate_scores"]
    paid = []
    for row, weight in zip(scores, given["held_weight"], strict=True):
        each = [-weight[0] * row[0], *(w * s for w, s in zip(weight[1:], row[1:], strict=True))]
        paid.append(mean(each) if p.reduction == "mean" else sum(each))
    return Slow({"": paid}, mean(paid), scores, first(scores))


def entropy(scores: Vector) -> float:
    share = [math.exp(-cross_entropy(scores, c)) for c in range(len(scores))]
    return -sum(q * math.log(q) for q in share)


def dcd(given: Mapping[str, Any], p: Any) -> Slow:
    """Rao et al. 2023: the distillation by the weights that are given, the answer by the teacher's entropy."""
    y, t = given["candidate_scores"], given["teacher_scores"]
    error = [mean([(u - v) ** 2 for u, v in zip(*rows, strict=True)]) for rows in zip(y, t, strict=True)]
    if p.as_released:
        error = [mean(error)] * len(error)
    distilled = sum(w * e for w, e in zip(given["query_weight"], error, strict=True))
    if p.form == "soft_label":
        answer = [cross_entropy(row, 0) for row in y]
        total = p.distillation * distilled + mean(answer)
    else:
        doubt = [entropy(row) for row in t]
        answer = [mean([softplus(-row[0]), *(softplus(s) for s in row[1:])]) for row in y]
        judged = sum(h / sum(doubt) * a for h, a in zip(doubt, answer, strict=True))
        total = p.distillation * distilled + (1 - p.distillation) * judged
    return Slow({"distillation": error, "answer": answer}, total, y, first(y))


def svco(given: Mapping[str, Any], p: Any) -> Slow:
    """Wu et al. 2025: each text attends to its own image and rejects the other one, both measured from no image."""
    policy, reference = given["log_prob_policy"], given["log_prob_reference"]
    size = len(policy[0][0])
    scores, per = [], {"attend": [], "reject": []}
    for text in (0, 1) if p.symmetric else (0,):
        for k in range(size):
            gain = [policy[text][image][k] - reference[text][image][k] for image in range(3)]
            own, other, none = gain[text], gain[1 - text], gain[2]
            per["attend"].append(softplus(-p.attend * (own - none)))
            per["reject"].append(softplus(-p.reject * (none - other)))
            scores.append([own - none, other - none])
    return Slow(per, sum(sum(paid) for paid in per.values()) / size, scores, first(scores))


def dpo(given: Mapping[str, Any], p: Any) -> Slow:
    """Rafailov et al. 2023: the gain of the winning text over that of the losing one."""
    policy, reference = given["log_prob_policy"], given["log_prob_reference"]
    scores = [[policy[t][0][k] - reference[t][0][k] for t in (0, 1)] for k in range(len(policy[0][0]))]
    paid = [softplus(-p.beta * (won - lost)) for won, lost in scores]
    return Slow({"": paid}, mean(paid), scores, first(scores))


def row_spread(own: float, others: Vector, low: float, high: float) -> float:
    return max(0.0, own - low) + mean([max(0.0, high - s) for s in others])


def regulariser(x: Matrix, y: Matrix, whole: bool) -> Vector:
    """Qin et al. 2023: o_min and o_max of all anchors together, or of each by itself."""
    size, scores, roles = two_views({"a": x, "b": y})
    own = [scores[i][(i + size) % (2 * size)] for i in range(2 * size)]
    others = [[s for s, role in zip(*rows, strict=True) if role == N] for rows in zip(scores, roles, strict=True)]
    found = []
    for i in range(2 * size):
        ends = (min(own), max(map(max, others))) if whole else (own[i], max(others[i]))
        found.append(row_spread(own[i], others[i], min(ends), max(ends)))
    return found


def mclrec(given: Mapping[str, Any], p: Any) -> Slow:
    """Qin et al. 2023: NT-Xent of both encodings, of both augmentations and across, and the regulariser."""
    h1, h2, z1, z2 = given["a"], given["b"], given["augmented"], given["other_augmented"]
    sides = {"encoded": (h1, h2), "augmented": (z1, z2), "crossed": (h1, z2), "crossed_back": (h2, z1)}
    per, shown = {}, []
    for name, (x, y) in sides.items():
        size, scores, roles = two_views({"a": x, "b": y})
        per[name] = []
        for i in range(2 * size):
            others = [k for k in range(2 * size) if k != i]
            logits = [scores[i][k] / p.temperature for k in others]
            per[name].append(cross_entropy(logits, others.index((i + size) % (2 * size))))
        shown.append((scores, roles))
    regulated = list(sides.values())[1:] if p.as_released else [(z1, z2)]
    each = [regulariser(x, y, not p.as_released) for x, y in regulated]
    per["regulariser"] = [sum(paid) for paid in zip(*each, strict=True)]
    weights = {"encoded": p.encoded, "regulariser": p.regulariser}
    total = sum(weights.get(name, p.augmented) * mean(paid) for name, paid in per.items())
    return Slow(per, total, *shown[0], tuple(shown[1:]))


def club(b: Matrix, means: Matrix, log_variances: Matrix) -> tuple[Vector, Matrix]:
    """Cheng et al. 2020: log-likelihood of the own item less the mean over all, without the normalisation."""
    scores = [
        [-sum((y - m) ** 2 / math.exp(v) for y, m, v in zip(row, mu, spread, strict=True)) / 2 for row in b]
        for mu, spread in zip(means, log_variances, strict=True)
    ]
    return [row[i] - mean(row) for i, row in enumerate(scores)], scores


def vclub(given: Mapping[str, Any], p: Any) -> Slow:
    paid, scores = club(given["b"], given["predicted_mean"], given["predicted_log_variance"])
    return Slow({"": paid}, mean(paid), scores, pair_roles({}, len(paid)))


def gaussian_fit(given: Mapping[str, Any], p: Any) -> Slow:
    """Cheng et al. 2020, as coded: minus twice the log-likelihood, with the log variance whole."""
    named = zip(given["b"], given["predicted_mean"], given["predicted_log_variance"], strict=True)
    paid = [sum((y - m) ** 2 * math.exp(-v) + v for y, m, v in zip(*rows, strict=True)) for rows in named]
    return Slow({"": paid}, mean(paid))


def nce(x: Matrix, y: Matrix, tau: float) -> tuple[Vector, Matrix]:
    scores = [[dot(u, v) for v in y] for u in x]
    return [cross_entropy([s / tau for s in row], i) for i, row in enumerate(scores)], scores


def together(heads: list[Matrix]) -> Matrix:
    """The mean over the heads, of unit length."""
    summed = [[sum(values) for values in zip(*rows, strict=True)] for rows in zip(*heads, strict=True)]
    return [[x / math.sqrt(dot(row, row)) for x in row] for row in summed]


def pdf_mim(given: Mapping[str, Any], p: Any) -> Slow:
    """Wang et al. 2025: InfoNCE of the mean and of every head, and the bound for every two heads."""
    heads, other = given["heads"], given["other_heads"]
    found = {"aggregate": (1.0, nce(together(heads), together(other), p.temperature))}
    for n, (x, y) in enumerate(zip(heads, other, strict=True)):
        found[f"head.{n}"] = (1 / len(heads), nce(x, y, p.temperature))
    for m in range(len(heads)):
        for n in range(m + 1, len(heads)):
            shared = club(heads[n], given["head_means"][m][n], given["head_log_variances"][m][n])
            found[f"dependence.{m}.{n}"] = (p.independence, shared)
    roles = pair_roles({}, len(heads[0]))
    shown = [(scores, roles) for _, (_, scores) in found.values()]
    total = sum(weight * mean(paid) for weight, (paid, _) in found.values())
    return Slow({name: paid for name, (_, (paid, _)) in found.items()}, total, *shown[0], tuple(shown[1:]))


def supremix(given: Mapping[str, Any], p: Any) -> Slow:
    """Wu et al. 2023: real ones and mixtures compete, each by one more than the distance of its target."""
    z, y = given["a"] + given["b"], given["targets"] * 2
    size = len(given["a"])
    paid, scores, roles = [], [], []
    for i, anchor in enumerate(z):
        view, item = divmod(i, size)
        kinds, shift = given["synthetic_role"][view][item], given["synthetic_shift"][view][item]
        mixtures, mixed = given["synthetic"][view][item], given["synthetic_targets"][view][item]
        others = [
            (dot(anchor, x), t, X if k == i else P if t == y[i] else N, 0.0)
            for k, (x, t) in enumerate(zip(z, y, strict=True))
        ]
        made = [(dot(anchor, x), t, kind, shift) for x, t, kind in zip(mixtures, mixed, kinds, strict=True)]
        asked, drawn = [], []
        for s, t, kind, more in [c for c in others if c[2] != X] + [c for c in made if c[2] >= 0]:
            asked.append(s / p.temperature + more + (math.log(abs(t - y[i]) + 1) if p.distance else 0.0))
            if kind == P:
                drawn.append(s / p.temperature + more)
        paid.append(log_sum(asked) - mean(drawn))
        scores.append([c[0] for c in others + made])
        roles.append([c[2] for c in others] + [X if c[2] < 0 else SYNTHETIC for c in made])
    return Slow({"": paid}, mean(paid), scores, roles)


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "dcd": dcd,
    "dpo": dpo,
    "gaussian_fit": gaussian_fit,
    "mclrec": mclrec,
    "pdf_mim": pdf_mim,
    "rerank_cl": rerank_cl,
    "rerank_sft": rerank_sft,
    "rerank_unified": rerank_unified,
    "supremix": supremix,
    "svco": svco,
    "vclub": vclub,
}
