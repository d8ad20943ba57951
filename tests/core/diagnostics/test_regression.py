import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from core.diagnostics.regression import pearson, signed_regression

VALUES = st.lists(
    st.tuples(st.integers(-3, 3), st.floats(-3, 3, allow_subnormal=False)), min_size=2, max_size=12
).filter(lambda rows: any(truth for truth, _ in rows))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(VALUES)
def test_equals_scikit_learn_and_numpy(rows):
    truth, predicted = np.array([y for y, _ in rows], dtype=float), np.array([x for _, x in rows])
    seen = signed_regression(predicted, truth)
    y, x = truth[truth != 0] > 0, predicted[truth != 0] > 0
    assert seen.mae == pytest.approx(mean_absolute_error(truth, predicted), abs=1e-12)
    assert seen.accuracy == pytest.approx(accuracy_score(y, x))
    assert seen.f1 == pytest.approx(f1_score(y, x, average="weighted", zero_division=0))
    assert seen.f1_released == pytest.approx(f1_score(x, y, average="weighted", zero_division=0))
    assert (seen.n, seen.signed) == (len(rows), int((truth != 0).sum()))
    if truth.std() > 1e-3 and predicted.std() > 1e-3:
        assert seen.correlation == pytest.approx(np.corrcoef(truth, predicted)[0, 1], abs=1e-9)


def test_swapping_the_arguments_changes_the_weights():
    """Nine positives and a negative, all called positive: 18/19 weighs .9 by the truth and 1 by what is said."""
    found = signed_regression(torch.ones(10), torch.tensor([-1.0, *[1.0] * 9]))
    assert found.f1 == pytest.approx(0.9 * 18 / 19)
    assert found.f1_released == pytest.approx(18 / 19)


def test_without_a_sign_there_is_no_accuracy_and_without_a_spread_no_correlation():
    found = signed_regression(torch.ones(3), torch.zeros(3))
    assert (found.mae, found.signed) == (1, 0)
    assert all(map(math.isnan, (found.accuracy, found.f1, found.f1_released, found.correlation)))
    assert pearson(torch.tensor([1.0, 2.0]), torch.tensor([5.0, 3.0])) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("predicted", "truth", "said"),
    [
        (torch.zeros(3), torch.zeros(4), "one for each"),
        (torch.zeros(0), torch.zeros(0), "one for each"),
        (torch.tensor([math.nan]), torch.ones(1), "NaN"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(predicted, truth, said):
    with pytest.raises(ValueError, match=said):
        signed_regression(predicted, truth)
