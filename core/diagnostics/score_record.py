"""Five numbers per anchor in place of its scores, and the lines that are drawn from them over training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.diagnostics.arrays import Array, rows
from core.diagnostics.registry import diagnostic
from core.paid import Pairs, Role

COLUMNS = ("negative mean", "negative variance", "positive", "mean exp(negative/τ)", "exp(positive/τ)")


@dataclass(frozen=True)
class ScoreLines:
    """What is drawn of one step: averages over its anchors, and the variance of the positive among them."""

    negative_mean: float
    negative_variance: float
    positive_mean: float
    positive_variance: float


@diagnostic(
    "score_record",
    title="Score record",
    source="Zhu et al. 2021, arXiv:2108.02982, the released trainer's five columns",
    origin="code",
    papers=("feature_transform",),
    values="means -1 to 1 and a variance from 0 for cosines; the last two are positive",
    chance="0, near 1/D, 0, near 1, near 1 for random unit vectors in many dimensions",
)
def score_record(pairs: Pairs, *, temperature: float = 0.2, half: bool = True) -> Tensor:
    """Mean and variance of each anchor's negatives, its positive, and both as exponentials.

    A trainer calls it with the pairs of a loss, so after any transformation; with the pairs of `moco` on the same
    inputs it is the record before one.

    Args:
        pairs: scores (A, C) and roles; what is excluded has no part, several positives are averaged.
        temperature: divides the scores in the last two columns.
        half: round the first three columns to half precision, as they are stored.

    Returns:
        (A, 5) float64, in the order of `COLUMNS`. The variance is unbiased: NaN for fewer than two negatives, and a
        mean is NaN where there is nothing to average.
    """
    scores, role = pairs.scores.detach().double(), pairs.role
    negative, positive = role >= Role.NEGATIVE, role == Role.POSITIVE

    def mean(values: Tensor, among: Tensor) -> Tensor:
        return values.masked_fill(~among, 0).sum(dim=1) / among.sum(dim=1)

    centre, count = mean(scores, negative), negative.sum(dim=1)
    square = (scores - centre[:, None]).square().masked_fill(~negative, 0).sum(dim=1)
    spread = torch.where(count > 1, square / (count - 1).clamp_min(1), torch.nan)
    raw = torch.stack([centre, spread, mean(scores, positive)], dim=1)
    weighed = (scores / temperature).exp()
    stored = raw.half().double() if half else raw
    return torch.cat([stored, mean(weighed, negative)[:, None], mean(weighed, positive)[:, None]], dim=1)


@diagnostic(
    "score_lines",
    title="Lines of a score record",
    source="Zhu et al. 2021, arXiv:2108.02982, the released notebook",
    origin="code",
    papers=("feature_transform",),
    values="means -1 to 1, variances from 0, for cosines",
    chance="0, near 1/D, 0, near 1/D for random unit vectors",
)
def score_lines(record: Array) -> ScoreLines:
    """The four points that one step adds to the lines over training.

    Args:
        record: (A, 5) as `score_record` gives it.

    Raises:
        ValueError: if there are not five columns, or some are not finite.
    """
    table = rows(record)
    if table.shape[1] != len(COLUMNS):
        raise ValueError(f"got {table.shape[1]} columns where {len(COLUMNS)} are expected; give a score record")
    centre, spread, positive = table[:, :3].T
    return ScoreLines(
        float(centre.mean()), float(spread.mean()), float(positive.mean()), float(positive.var(correction=0))
    )
