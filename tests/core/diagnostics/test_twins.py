import math

import pytest
import torch

from core.diagnostics.neighbours import neighbours
from core.diagnostics.twins import chance_twins, twins, twins_across, twins_of
from tests.core.diagnostics.clouds import unit


def at(*degrees: float) -> torch.Tensor:
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_rows_within_the_threshold_have_a_twin_the_most_alike_first():
    z = at(0, 2, 90, 90, 200, 201)
    found = twins(z, alike=math.cos(math.radians(1.5)))
    assert found.rows.tolist() == [2, 3, 4, 5]
    assert found.beside.tolist() == [3, 2, 5, 4]
    assert found.same == 2
    assert found.share == pytest.approx(4 / 6)
    assert found.pairs()[2] == (4, 5, pytest.approx(math.cos(math.radians(1))))
    assert len(twins(z, alike=math.cos(math.radians(0.5))).rows) == 2
    assert len(twins(z, alike=math.cos(math.radians(2))).rows) == 6


def test_neighbours_that_are_known_say_the_same():
    z = torch.cat([unit(1030, 8, 1), unit(1030, 8, 1)[:7]])
    for found in (twins(z), twins_of(neighbours(z, 5))):
        assert sorted(found.rows.tolist()) == [*range(7), *range(1030, 1037)]
        assert found.same == 14


def test_across_the_split_only_rows_of_the_other_side_count():
    train = torch.cat([unit(1500, 8, 1), unit(3, 8, 9)])
    test = torch.cat([unit(4, 8, 2), unit(3, 8, 9), unit(4, 8, 2)])
    found = twins_across(test, train)
    assert sorted(pair[:2] for pair in found.pairs()) == [(4, 1500), (5, 1501), (6, 1502)]
    assert found.n == 11
    with pytest.raises(ValueError, match="the same width"):
        twins_across(test, unit(5, 7))


def test_chance_in_two_and_three_dimensions_is_the_share_of_the_sphere():
    for degrees in (5, 60, 120):
        reach = math.cos(math.radians(degrees))
        assert chance_twins(1, 2, reach) == pytest.approx(degrees / 180, abs=1e-12)
        assert chance_twins(1, 3, reach) == pytest.approx((1 - reach) / 2, abs=1e-12)
    assert chance_twins(7, 2, math.cos(0.1)) == pytest.approx(1 - (1 - 0.1 / math.pi) ** 7)
    assert chance_twins(20_000, 64) < 1e-60


def test_random_directions_have_twins_by_chance():
    seen = torch.tensor([twins(unit(60, 3, s), alike=0.98).share for s in range(40)])
    assert abs(float(seen.mean()) - chance_twins(59, 3, 0.98)) < 4 * float(seen.std()) / math.sqrt(40)
