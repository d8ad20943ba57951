"""Paired differences: the interval is scipy's, the word follows it, and the direction of better is respected."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from core.experiments.intervals import paired, spread

DRAWN = np.random.default_rng(0).normal(size=(40, 2, 7))


@pytest.mark.parametrize("pair", DRAWN.tolist()[:10])
def test_the_interval_is_that_of_the_paired_t_test(pair):
    ours, theirs = pair
    found = paired(ours, theirs)
    reference = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(ours) - np.mean(theirs), abs=1e-12)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert found.per_seed == pytest.approx(np.subtract(ours, theirs), abs=1e-15)


def test_five_seeds_have_the_critical_value_of_four_degrees():
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    mean, low, high = spread(values)
    half = 2.7764451051977987 * statistics.stdev(values) / math.sqrt(5)
    assert (mean, low, high) == pytest.approx((6.2, 6.2 - half, 6.2 + half), abs=1e-12)


def test_the_word_is_better_only_where_zero_lies_outside():
    base = [0.5, 0.6, 0.7, 0.8, 0.9]
    assert paired([x + 0.1 + 0.001 * i for i, x in enumerate(base)], base).word == "better"
    assert paired([x - 0.1 - 0.001 * i for i, x in enumerate(base)], base).word == "worse"
    assert paired([x + 0.1 * (-1) ** i for i, x in enumerate(base)], base).word == "tie"
    assert paired(base, base).word == "tie"
    assert paired([0.5], [0.4]).word == "unknown"


def test_less_is_better_for_ranks():
    base = [10.0, 11.0, 12.0]
    fewer = paired([x - 3 - 0.1 * i for i, x in enumerate(base)], base, lower_is_better=True)
    assert fewer.word == "better"
    assert fewer.mean < 0


def test_pairing_is_tighter_than_no_pairing():
    base = DRAWN[0, 0]
    shifted = base + 0.1 + 0.01 * DRAWN[1, 0]
    assert paired(shifted.tolist(), base.tolist()).word == "better"
    assert stats.ttest_ind(shifted, base).pvalue > 0.05


def test_unequal_numbers_of_seeds_are_refused():
    with pytest.raises(ValueError, match="one value for each seed"):
        paired([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="one value for each seed"):
        paired([], [])


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    held = [paired(a, b).low <= 0 <= paired(a, b).high for a, b in np.random.default_rng(1).normal(size=(2000, 2, 5))
            .tolist()]  # fmt: skip
    assert abs(np.mean(held) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 2000)
