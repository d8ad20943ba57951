"""Score distributions: what positives, negatives and mixed pairs score, as hills, quantiles and their overlap."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.diagnostics.arrays import Array, integers, tensor
from core.diagnostics.registry import diagnostic
from core.paid import Pairs, Role

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Histogram:
    """Share of the scores in each of `len(share)` equal bins from `low` to `high`.

    The shares add up to 1, or are all 0 where `n`, the count of finite scores, is 0. Scores beyond the range are
    counted in the end bins; `outside` is their share.
    """

    low: float
    high: float
    share: tuple[float, ...]
    n: int
    outside: float

    @property
    def centres(self) -> tuple[float, ...]:
        width = (self.high - self.low) / len(self.share)
        return tuple(self.low + (k + 0.5) * width for k in range(len(self.share)))


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (over n) and the `QUANTILES` of n scores; NaN where n is 0."""

    mean: float
    sd: float
    quantiles: tuple[float, ...]
    n: int


def with_partner(pairs: Pairs, partner: Array, side: Literal["a", "b"] = "a") -> Pairs:
    """Mark the pairs of a mixed anchor and its partner's own positive, the negatives that mixing makes hard.

    Args:
        pairs: (B, B) scores of a against b, or (2B, 2B) scores among both, first a, then b.
        partner: (B,) index of each item's partner, from the mixing's plan.
        side: the side that was mixed.

    Returns:
        The pairs with those negatives as `Role.PARTNER`. Where the partner is the item itself or shares its class, it
        stays a positive; pairs of another shape are returned as they are.
    """
    n = len(partner)
    if pairs.scores.shape not in ((n, n), (2 * n, 2 * n)):
        return pairs
    item = torch.arange(n, device=pairs.role.device)
    other = integers(partner, pairs.role)
    row, column = (item, other) if side == "a" else (other, item)
    met = torch.zeros(pairs.role.shape, dtype=torch.bool, device=pairs.role.device)
    if len(met) == n:
        met[row, column] = True
    else:
        met[row, n + column] = True
        met[n + column, row] = True
    return replace(pairs, role=pairs.role.masked_fill(met & (pairs.role == Role.NEGATIVE), int(Role.PARTNER)))


def _of(pairs: Iterable[Pairs], wanted: Callable[[Tensor], Tensor]) -> Tensor:
    parts = [p.scores.detach()[wanted(p.role)] for p in pairs]
    return torch.cat(parts) if parts else torch.empty(0)


def by_kind(clean: Iterable[Pairs], mixed: Iterable[Pairs] = ()) -> dict[str, Tensor]:
    """The scores of each kind of pair, flat.

    Args:
        clean: pairs of the clean loss.
        mixed: pairs of the mixed loss, its partners marked by `with_partner`.

    Returns:
        "positives" and "negatives" (synthetic ones among them) and, where `mixed` has pairs, "mixed positives",
        "mixed partner" and "mixed negatives" (those that are not a partner's). An anchor is never a candidate of its
        own, so excluded pairs appear nowhere.
    """
    clean, mixed = tuple(clean), tuple(mixed)
    kinds = {
        "positives": _of(clean, lambda role: role == Role.POSITIVE),
        "negatives": _of(clean, lambda role: role >= Role.NEGATIVE),
    }
    if mixed:
        kinds["mixed positives"] = _of(mixed, lambda role: role == Role.POSITIVE)
        kinds["mixed partner"] = _of(mixed, lambda role: role == Role.PARTNER)
        kinds["mixed negatives"] = _of(mixed, lambda role: (role == Role.NEGATIVE) | (role == Role.SYNTHETIC))
    return kinds


def _finite(scores: Array) -> Tensor:
    flat = tensor(scores).flatten()
    finite = torch.isfinite(flat)
    return flat if bool(finite.all()) else flat[finite]


@diagnostic(
    "histogram",
    title="Score histogram",
    source="share of the scores in equal bins",
    origin="recalled",
    values="each share 0 to 1; they add up to 1",
    chance="of random unit vectors, a hill of standard deviation 1/sqrt(D) round 0 for every kind",
)
def histogram(scores: Array, *, bins: int = 61, low: float = -1, high: float = 1) -> Histogram:
    """Shares of scores in equal bins; a score on an inner edge belongs to the bin above it, `high` to the last.

    Args:
        scores: any shape; NaN and infinity are left out.
        bins: count of bins, at least 1.
        low: lower end, in units of the score.
        high: upper end, above `low`.

    Raises:
        ValueError: if there is no bin or no range.
    """
    if bins < 1 or not low < high:
        raise ValueError(f"got {bins} bins from {low} to {high}; expected at least one bin and a range: change those")
    flat = _finite(scores)
    n = flat.numel()
    if n == 0:
        return Histogram(low, high, (0.0,) * bins, 0, 0.0)
    slack = 1e-6 * (high - low)
    outside = int(((flat < low - slack) | (flat > high + slack)).sum())
    index = ((flat - low) * (bins / (high - low))).clamp(0, bins - 1).to(torch.uint8 if bins <= 256 else torch.int64)
    counts = torch.bincount(index, minlength=bins).tolist()
    return Histogram(low, high, tuple(count / n for count in counts), n, outside / n)


@diagnostic(
    "overlap",
    title="Overlap of two hills",
    source="Inman and Bradley 1989: the sum of the smaller share in each bin",
    values="0 (apart) to 1 (the same hill)",
    chance="near 1 for positives and negatives of random embeddings",
)
def overlap(one: Histogram, other: Histogram) -> float:
    """Share of the area that two histograms have in common; 0 where one of them is empty.

    Raises:
        ValueError: if the bins differ.
    """
    if (one.low, one.high, len(one.share)) != (other.low, other.high, len(other.share)):
        raise ValueError("got two histograms with different bins; make both with the same bins and range")
    return min(1.0, sum(min(pair) for pair in zip(one.share, other.share, strict=True)))


@diagnostic(
    "summary",
    title="Mean, spread and quantiles of scores",
    source="linear interpolation between order statistics, Hyndman and Fan 1996, type 7",
    values="those of the score, -1 to 1 for cosines",
    chance="mean 0 and standard deviation 1/sqrt(D) for random unit vectors",
)
def summary(scores: Array) -> Summary:
    """Mean, standard deviation and quantiles of scores of any shape; NaN and infinity are left out."""
    flat = _finite(scores)
    n = flat.numel()
    if n == 0:
        return Summary(math.nan, math.nan, (math.nan,) * len(QUANTILES), 0)
    ordered = np.sort(flat.cpu().numpy())
    at = np.array(QUANTILES) * (n - 1)
    below = at.astype(np.int64)
    low, high = ordered[below], ordered[np.minimum(below + 1, n - 1)]
    quantiles = tuple((low + (at - below) * (high - low)).tolist())
    sd, mean = torch.std_mean(flat, correction=0)
    return Summary(float(mean), float(sd), quantiles, n)
