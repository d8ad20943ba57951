"""Paired differences between arms, seed by seed, with Student's interval and one word."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Word = Literal["better", "tie", "worse", "unknown"]
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """One arm less another, seed by seed, its mean with a 95 % interval, and what that says."""

    per_seed: tuple[float, ...]
    mean: float
    low: float
    high: float
    word: Word


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval of independent values by Student's t; NaN ends for fewer than two.

    Args:
        values: at least one finite number.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan, math.nan
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def paired(ours: Sequence[float], theirs: Sequence[float], *, lower_is_better: bool = False) -> Difference:
    """`ours` less `theirs`, paired by position (the same seed: the same initial weights and batches).

    Args:
        ours: one finite number a seed.
        theirs: as many, in the same order.
        lower_is_better: for ranks; it turns the word, never the numbers.

    Raises:
        ValueError: if they differ in length or are empty.
    """
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"got {len(ours)} and {len(theirs)} values; give both arms one value for each seed")
    each = tuple(a - b for a, b in zip(ours, theirs, strict=True))
    mean, low, high = spread(each)
    return Difference(each, mean, low, high, _word(low, high, lower_is_better))


def _word(low: float, high: float, lower_is_better: bool) -> Word:
    """Better or worse where zero lies outside the interval, a tie where it lies inside or on its edge."""
    if math.isnan(low) or math.isnan(high):
        return "unknown"
    if low <= 0 <= high:
        return "tie"
    return "better" if (low > 0) != lower_is_better else "worse"
