import math

import pytest
import torch

from core.diagnostics.geometry import uniformity
from core.diagnostics.kernel_alignment import anisotropy
from core.diagnostics.tolerance import tolerance
from tests.core.diagnostics.clouds import groups, unit


def test_it_is_the_mean_over_pairs_of_one_class():
    z, labels = unit(20, 5, 1, torch.float64), torch.arange(20) % 3
    found = [float(z[i] @ z[j]) for i in range(20) for j in range(i) if labels[i] == labels[j]]
    assert tolerance(z, labels) == pytest.approx(sum(found) / len(found), abs=1e-12)
    assert tolerance(z.numpy(), labels.numpy()) == pytest.approx(tolerance(z, labels), abs=1e-12)


def test_the_names_of_the_classes_do_not_matter_and_one_class_is_anisotropy():
    z, labels = unit(20, 5, 1, torch.float64), torch.arange(20) % 3
    assert tolerance(z, labels) == tolerance(z, torch.tensor([7, -2, 40])[labels])
    assert tolerance(z, torch.zeros(20)) == pytest.approx(anisotropy(z), abs=1e-12)


def test_tight_classes_are_tolerated_and_loose_ones_less():
    seen = [tolerance(*groups(60, 8, 4, noise)) for noise in (0.0, 0.1, 0.3, 1.0)]
    assert seen[0] == pytest.approx(1, abs=1e-6)
    assert seen == sorted(seen, reverse=True)


def test_two_opposite_points_are_the_lowest_and_collapse_the_highest_for_all_its_uniformity():
    point = unit(1, 4, 1, torch.float64)
    assert tolerance(torch.cat([point, -point]), [0, 0]) == pytest.approx(-1)
    same = point.expand(6, -1)
    assert tolerance(same, [0, 0, 1, 1, 2, 2]) == pytest.approx(1)
    assert uniformity(same) == pytest.approx(0, abs=1e-12)


def test_classes_of_one_have_no_pair():
    assert math.isnan(tolerance(unit(4, 3), [0, 1, 2, 3]))


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="one label an item"):
        tolerance(unit(4, 3), [0, 1])
    with pytest.raises(ValueError, match="unit rows"):
        tolerance(2 * unit(4, 3), [0, 0, 1, 1])
