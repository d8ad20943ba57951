"""Weighted DCL, the losses over more than two views, and those of the hardest negatives."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import N, Slow, Vector, mean, two_views


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


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    "dclw": dclw,
}
