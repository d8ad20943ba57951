"""The slow loops of losses over candidates' scores, log-likelihoods, augmenters, parallel heads and mixed targets."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, mean


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def cross_entropy(scores: Vector, right: int) -> float:
    top = max(scores)
    return top + math.log(sum(math.exp(s - top) for s in scores)) - scores[right]


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
        paid.append(mean(each) if p.reduction == "mean_docs" else sum(each))
    return Slow({"": paid}, mean(paid), scores, first(scores))


def rerank_unified(given: Mapping[str, Any], p: Any) -> Slow:
    """Dai et al. 2026: each score times its weight, minus at the relevant candidate."""
    scores = leads(given) if p.direction == "yes_over_no" else given["candidate_scores"]
    paid = []
    for row, weight in zip(scores, given["held_weight"], strict=True):
        each = [-weight[0] * row[0], *(w * s for w, s in zip(weight[1:], row[1:], strict=True))]
        paid.append(mean(each) if p.reduction == "mean_docs" else sum(each))
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


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "dcd": dcd,
    "rerank_cl": rerank_cl,
    "rerank_sft": rerank_sft,
    "rerank_unified": rerank_unified,
}
