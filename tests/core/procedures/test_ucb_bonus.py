"""The bonus of an upper confidence bound: it counts visits, by direction, and every visit lowers it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from core.procedures.ucb_bonus import UCBBonus, ucb_bonus
from core.streams import stream

ANY = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SEEDS, SIZES = st.integers(0, 1000), st.integers(1, 6)
LAMBDA = st.floats(1e-5, 100)


def drawn(count: int, size: int, seed: int, what: str) -> Tensor:
    return torch.randn((count, size), generator=stream(seed, what), dtype=torch.float64)


@pytest.mark.parametrize("visits", [0, 1, 2, 9, 400])
def test_of_one_hot_features_it_is_a_count(visits: int):
    states = torch.eye(3, dtype=torch.float64)
    bonus = ucb_bonus(states, states[:1].expand(visits, 3), UCBBonus(factor=2, regulariser=0.5))
    unseen = 2 / math.sqrt(0.5)
    assert_close(bonus.tolist(), [2 / math.sqrt(0.5 + visits), unseen, unseen])


@ANY
@given(seed=SEEDS, size=SIZES, count=st.integers(0, 8), regulariser=LAMBDA)
def test_it_is_the_root_of_the_quadratic_form(seed: int, size: int, count: int, regulariser: float):
    x, seen = drawn(4, size, seed, "features"), drawn(count, size, seed, "visited")
    inverse = torch.linalg.inv(regulariser * torch.eye(size, dtype=x.dtype) + seen.T @ seen)
    by_hand = torch.einsum("nd,de,ne->n", x, inverse, x).sqrt()
    assert_close(ucb_bonus(x, seen, UCBBonus(regulariser=regulariser)), by_hand, rtol=1e-6, atol=1e-9)


@ANY
@given(seed=SEEDS, size=SIZES, count=st.integers(0, 8), regulariser=LAMBDA)
def test_a_further_visit_raises_no_bonus_and_lowers_its_own(seed: int, size: int, count: int, regulariser: float):
    x, seen, p = (
        drawn(4, size, seed, "features"),
        drawn(count, size, seed, "visited"),
        UCBBonus(regulariser=regulariser),
    )
    before, after = ucb_bonus(x, seen, p), ucb_bonus(x, torch.cat([seen, x[:1]]), p)
    assert (after <= before * (1 + 1e-9)).all()
    assert after[0] < before[0]
    assert_close(after[0], before[0] / (1 + before[0].square()).sqrt(), rtol=1e-6, atol=0)


@ANY
@given(seed=SEEDS, size=SIZES, count=st.integers(1, 8), regulariser=LAMBDA)
def test_all_visits_together_are_worth_no_more_than_the_dimensions(
    seed: int, size: int, count: int, regulariser: float
):
    seen = drawn(count, size, seed, "visited")
    assert ucb_bonus(seen, seen, UCBBonus(regulariser=regulariser)).square().sum() <= min(size, count) + 1e-9


@ANY
@given(seed=SEEDS, size=SIZES, count=st.integers(0, 8), factor=st.floats(0, 100))
def test_it_grows_with_the_factor_up_to_the_horizon_whatever_the_order(seed: int, size: int, count: int, factor: float):
    x, seen = drawn(4, size, seed, "features"), drawn(count, size, seed, "visited")
    one = ucb_bonus(x, seen, UCBBonus())
    assert_close(ucb_bonus(x, seen.flip(0), UCBBonus(factor=factor)), factor * one)
    assert_close(ucb_bonus(x, seen, UCBBonus(factor=factor, most=0.5)), (factor * one).clamp(max=0.5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_smallest_regulariser_and_many_visits_of_one_kind_give_no_nan(dtype: torch.dtype):
    """Where the matrix itself would be singular to the digits that there are."""
    seen = torch.ones(5000, 8, dtype=dtype)
    aside = torch.tensor([[1.0, -1, 0, 0, 0, 0, 0, 0]], dtype=dtype)
    p = UCBBonus(regulariser=1e-5)
    known, unknown = ucb_bonus(torch.cat([seen[:1], aside]), seen, p).tolist()
    assert known == pytest.approx(1 / math.sqrt(5000), rel=1e-3)
    assert unknown == pytest.approx(math.sqrt(2 / 1e-5), rel=1e-2)
