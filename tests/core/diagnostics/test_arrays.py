import numpy as np
import pytest
import torch

from core.diagnostics.arrays import class_of, integers, rows, share, tensor, unit_rows
from tests.core.diagnostics.clouds import unit


@pytest.mark.parametrize(
    ("given", "kept"),
    [(torch.float64, torch.float64), (torch.float32, torch.float32), (torch.float16, torch.float32)],
)
def test_single_and_double_precision_are_kept_and_the_rest_becomes_single(given, kept):
    assert tensor(torch.ones(2, dtype=given, requires_grad=True)).dtype == kept
    assert not tensor(torch.ones(2, dtype=given, requires_grad=True)).requires_grad


def test_a_read_only_or_turned_array_is_taken():
    x = np.arange(6.0).reshape(2, 3)
    x.flags.writeable = False
    assert tensor(x).tolist() == x.tolist()
    assert tensor(x[::-1]).tolist() == x[::-1].tolist()


def test_labels_are_taken_from_lists_of_either_kind():
    like = torch.empty(0)
    assert integers(np.array([1, 2], dtype=np.int32), like).dtype == torch.int64
    assert integers(torch.tensor([1, 2], dtype=torch.int8), like).tolist() == [1, 2]


def test_rows_of_another_length_are_refused_with_what_was_seen():
    with pytest.raises(ValueError, match=r"length 0\.5 to 1 where unit rows are expected"):
        unit_rows(unit(3, 4) * torch.tensor([[1.0], [0.5], [1.0]]))


@pytest.mark.parametrize(("length", "taken"), [(1.0009, True), (1.0011, False), (0.9991, True), (0.9989, False)])
def test_a_length_counts_as_one_within_a_thousandth(length, taken):
    z = unit(5, 8, dtype=torch.float64) * length
    if taken:
        assert unit_rows(z) is not None
    else:
        with pytest.raises(ValueError, match="unit rows"):
            unit_rows(z)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_numbers_that_are_none_are_refused(bad):
    z = unit(3, 4)
    z[1, 2] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        unit_rows(z)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (2, 2, 2)])
def test_what_is_no_table_is_refused(shape):
    with pytest.raises(ValueError, match="shape"):
        rows(torch.zeros(shape))


def test_one_label_for_each_row_is_expected():
    with pytest.raises(ValueError, match="one label for each item"):
        class_of(torch.zeros(3), unit(4, 2))


def test_a_share_is_an_exact_quotient():
    assert share(torch.tensor([True] * 3 + [False] * 7)) == 0.3
    assert share(torch.tensor([1.0, 0.0, 0.5])) == 0.5
    assert np.isnan(share(torch.empty(0)))
