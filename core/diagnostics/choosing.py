"""Which epoch of a run is the best, asked without labels, and how far the answers can be believed.

Each criterion orders the epochs; where labels exist, the order is held against that of the neighbours' accuracy. Epochs
of one run are few and follow each other: both the criterion and the accuracy may simply rise with the steps. The
permutation test takes them for exchangeable and is too sure of itself for that reason; `beyond` takes the steps out.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from core.diagnostics.arrays import Array, rows
from core.diagnostics.geometry import alignment, uniformity
from core.diagnostics.registry import diagnostic
from core.streams import stream

EXACT = 7
DRAWS = 10_000
RESAMPLES = 2_000
FEWEST = 4
First = Annotated[int, Field(ge=1, le=1000, title="First", description="The first eigenvalue of the line, from 1.")]
Last = Annotated[int, Field(ge=3, le=10_000, title="Last", description="The last one; cut to those above rounding.")]


@diagnostic(
    "rankme",
    title="RankMe",
    source="Garrido et al. 2023, arXiv:2210.02885, eq. 1: singular values, not eigenvalues, of rows not centred",
    values="1 (one direction) to min(N, D) (all directions alike)",
    chance="near min(N, D) for random directions, lower where N and D are alike",
)
def rankme(z: Array, *, epsilon: float = 1e-7) -> float:
    """exp of the entropy of p_k = sigma_k / sum of all + epsilon: the higher, the better, says the paper.

    Args:
        z: (N, D) rows of any length.
        epsilon: is added to each share.

    Raises:
        ValueError: if there is NaN or infinity among them.
    """
    values = torch.linalg.svdvals(rows(z)).double()
    shares = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny) + epsilon
    return float(torch.special.entr(shares).sum().exp())


@diagnostic(
    "alpha_req",
    title="alpha-ReQ",
    source="Agrawal et al. 2022, NeurIPS; the line as in Stringer et al. 2019: least squares of logs, weights 1 / rank",
    values="from 0 (all directions alike) upwards; 1 is said to be best",
    chance="near 0 for random directions, N much larger than D",
)
def alpha_req(z: Array, *, first: First = 5, last: Last = 50) -> float:
    """The exponent with which the eigenvalues of the covariance fall off: lambda_j about j^(-alpha).

    Args:
        z: (N, D) rows of any length.
        first: the first eigenvalue that the line is laid through, counted from 1.
        last: the last one.

    Returns:
        alpha; NaN where fewer than 3 eigenvalues above rounding are left.

    Raises:
        ValueError: if there is NaN or infinity among the rows.
    """
    x = rows(z)
    singular = torch.linalg.svdvals(x - x.mean(dim=0))
    used = singular > 8 * torch.finfo(x.dtype).eps * math.sqrt(len(x)) * x.norm(dim=1).max()
    values = singular[used].double().square()[first - 1 : last]
    if len(values) < 3:
        return math.nan
    rank = torch.arange(first, first + len(values), dtype=torch.float64, device=values.device)
    weight, across, down = 1 / rank, rank.log(), values.log()
    across = across - (weight * across).sum() / weight.sum()
    return -float((weight * across * down).sum() / (weight * across.square()).sum())


@dataclass(frozen=True)
class Criterion:
    """`title`, and `merit`: the value -> a number that is larger where the epoch is said to be better."""

    title: str
    merit: Callable[[float], float]


CRITERIA: Mapping[str, Criterion] = {
    "rankme": Criterion("RankMe", lambda value: value),
    "alpha_req": Criterion("alpha-ReQ", lambda value: -abs(value - 1)),
    "alignment": Criterion("Alignment", lambda value: -value),
    "uniformity": Criterion("Uniformity", lambda value: -value),
    "together": Criterion("Alignment + uniformity", lambda value: -value),
}


def measure(modalities: Mapping[str, Array]) -> dict[str, float]:
    """The value of each criterion on one epoch's embeddings, by its key in `CRITERIA`.

    Args:
        modalities: name -> (N, D) unit rows; means are taken over modalities, and over their pairs for alignment, which
            is left out where no two share their width.

    Raises:
        ValueError: if rows are not of length 1 or not finite.
    """

    def mean(values: Sequence[float]) -> float:
        return math.fsum(values) / len(values)

    z = list(modalities.values())
    found = {name: mean([f(each) for each in z]) for name, f in (("rankme", rankme), ("alpha_req", alpha_req))}
    even = mean([uniformity(each) for each in z])
    pairs = [(a, b) for a, b in itertools.combinations(z, 2) if a.shape == b.shape]
    if pairs:
        near = mean([alignment(a, b) for a, b in pairs])
        found |= {"alignment": near, "uniformity": even, "together": near + even}
    return found | {"uniformity": even}


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho of n pairs, -1 to 1, NaN where one side never changes or there are fewer than 3.

    `p`: probability of a rho as far from 0 or further if the pairs were dealt at random, exact up to 7 pairs, else of
    10,000 seeded draws. `low` and `high`: 95 % bootstrap interval, NaN below 4 pairs. `beyond`: the partial rho with
    the order of the pairs taken out, NaN where one side only rises or only falls.
    """

    rho: float
    p: float
    low: float
    high: float
    beyond: float
    n: int


def ranks(x: Tensor) -> Tensor:
    """(..., n) ranks from 1 of each row, equals sharing the mean of theirs."""
    below, level = (x[..., None, :] < x[..., :, None]), (x[..., None, :] == x[..., :, None])
    return below.sum(dim=-1) + (level.sum(dim=-1).double() + 1) / 2


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    """(...) correlation of rows (..., n); NaN where one of the two is constant."""
    x, y = x - x.mean(dim=-1, keepdim=True), y - y.mean(dim=-1, keepdim=True)
    scale = (x.square().sum(dim=-1) * y.square().sum(dim=-1)).sqrt()
    return torch.where(scale > 1e-9, (x * y).sum(dim=-1) / scale, torch.nan).clamp(-1, 1)


@diagnostic(
    "rank_correlation",
    title="Rank correlation",
    source="Spearman 1904; permutation test, percentile bootstrap, partial correlation with the order",
    values="-1 (opposite orders) to 1 (the same order)",
    chance="0; with few pairs far from it: of 5 random ones, one in 4 is beyond 0.7 either way",
)
def rank_correlation(x: Sequence[float], y: Sequence[float], *, seed: int = 0) -> Correlation:
    """Spearman's rank correlation of two series in their order, with all that says how little few pairs can tell.

    Args:
        x: n numbers.
        y: n numbers; a place where either is NaN is left out.
        seed: address of the draws.

    Raises:
        ValueError: if they differ in number.
    """
    if len(x) != len(y):
        raise ValueError(f"got {len(x)} and {len(y)} numbers to correlate; give them in pairs")
    pairs = torch.tensor(
        [pair for pair in zip(x, y, strict=True) if not any(map(math.isnan, pair))], dtype=torch.float64
    )
    n = len(pairs)
    if n < 3:
        return Correlation(*[math.nan] * 5, n=n)
    a, b = ranks(pairs.T)
    rho = float(_pearson(a, b))
    if math.isnan(rho):
        return Correlation(*[math.nan] * 5, n=n)
    g = stream(seed, "rank correlation")
    if n <= EXACT:
        orders = torch.tensor(list(itertools.permutations(range(n))))
    else:
        orders = torch.rand(DRAWS, n, generator=g).argsort(dim=1)
    as_far = int((_pearson(a, b[orders]).abs() >= abs(rho) - 1e-9).sum())
    p = as_far / len(orders) if n <= EXACT else (as_far + 1) / (DRAWS + 1)
    low, high = _interval(pairs, g) if n >= FEWEST else (math.nan, math.nan)
    order = torch.arange(n).double()
    with_x, with_y = float(_pearson(a, order)), float(_pearson(b, order))
    left = (1 - with_x**2) * (1 - with_y**2)
    beyond = (rho - with_x * with_y) / math.sqrt(left) if left > 1e-9 else math.nan
    return Correlation(rho, p, low, high, beyond, n)


def _interval(pairs: Tensor, g: torch.Generator) -> tuple[float, float]:
    """The middle 95 % of rho over resampled pairs; draws in which one side is constant have none and are left out."""
    n = len(pairs)
    drawn = pairs[torch.randint(n, (RESAMPLES, n), generator=g)]
    found = _pearson(ranks(drawn[..., 0]), ranks(drawn[..., 1]))
    low, high = found.nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


@dataclass(frozen=True)
class Choice:
    """What one criterion says of the epochs.

    `order`: their places, the best first, epochs without a value left out. Where labels exist: `correlation` of its
    merit with the accuracy, and `lost`: the best accuracy less that of the epoch it would take.
    """

    key: str
    order: tuple[int, ...]
    correlation: Correlation | None = None
    lost: float | None = None


@diagnostic(
    "best_epoch",
    title="Best epoch without labels",
    source="each criterion's order of the epochs, held against the accuracy of the nearest neighbours",
    origin="designed",
    values="an order of the epochs; rank correlations -1 to 1; accuracy lost 0 to 1",
    chance="correlation 0; accuracy lost: the best less the mean",
)
def choose(epochs: Sequence[Mapping[str, float]], accuracy: Sequence[float] | None = None) -> tuple[Choice, ...]:
    """The epochs in the order of each criterion, with the honest correlation, shown even when bad.

    Args:
        epochs: from `measure`, in the order of training.
        accuracy: of the nearest neighbours, one for each epoch, where labels exist.

    Raises:
        ValueError: if there is not one accuracy for each epoch.
    """
    if accuracy is not None and len(accuracy) != len(epochs):
        raise ValueError(f"got {len(accuracy)} accuracies for {len(epochs)} epochs; give one for each")
    found = []
    for key, criterion in CRITERIA.items():
        merit = [criterion.merit(epoch.get(key, math.nan)) for epoch in epochs]
        known = [place for place, value in enumerate(merit) if not math.isnan(value)]
        if not known:
            continue
        order = tuple(sorted(known, key=lambda place, merit=merit: (-merit[place], place)))
        if accuracy is None:
            found.append(Choice(key, order))
        else:
            found.append(Choice(key, order, rank_correlation(merit, accuracy), max(accuracy) - accuracy[order[0]]))
    return tuple(found)
