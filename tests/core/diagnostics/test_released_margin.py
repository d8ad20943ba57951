"""The faults of the released recommender losses: a margin that decays, and a table where a column was meant."""

import math
import random

import pytest
import torch

from core.diagnostics.released_margin import (
    FALL_PER_CALL,
    Users,
    broadcast_hinge,
    margin_course,
    margin_left,
    users,
    without_gradient,
)
from core.streams import stream

DECAY = {
    "min": {1: 0.631, 2: 0.163, 5: 9.6e-3, 10: 1.0e-5, 50: 8.9e-37, 256: 5.7e-197},
    "sum": {1: 1.27, 2: 0.96, 5: 5.3e-2, 10: 1.4e-3, 50: 2e-18, 256: 5e-108},
}


@pytest.mark.parametrize(("form", "below", "zero"), [("min", 16, 430), ("sum", 36, 724)])
def test_as_released_the_margin_dies_at_the_known_calls(form: str, below: int, zero: int):
    course = margin_course("released", form, 1.5, 1000)
    assert (course.first_below(1e-9), course.first_zero()) == (below, zero)
    for call, margin in DECAY[form].items():
        assert course.margin[call - 1] == pytest.approx(margin, rel=0.05)
    assert course.margin[zero - 2] > 0
    assert set(course.margin[zero - 1 :]) == {0}


@pytest.mark.parametrize("form", ["min", "sum"])
def test_as_the_paper_says_it_is_drawn_anew(form: str):
    course = margin_course("paper", form, 1.5, 1000)
    assert (course.first_below(0.75), course.first_zero()) == (None, None)
    assert max(course.margin) <= 1.5
    assert course.margin == tuple(1.5 * lam for lam in course.lam)
    assert sum(course.lam) / 1000 == pytest.approx(0.75, abs=0.02)


def test_the_draws_are_python_s_own():
    rng = random.Random(7)
    assert margin_course("released", "sum", 1, 50, seed=7).lam == tuple(rng.random() for _ in range(50))
    rng = random.Random(7)
    kept = [lam for lam in (rng.random() for _ in range(200)) if lam <= 0.5]
    assert margin_course("released", "min", 1, 50, seed=7).lam == tuple(kept[:50])


def test_the_fall_for_each_call_is_the_mean_logarithm():
    for form, fall in FALL_PER_CALL.items():
        lams = margin_course("released", form, 1, 20_000, seed=1).lam
        logs = torch.tensor(lams, dtype=torch.float64).log()
        assert float(logs.mean()) == pytest.approx(fall, abs=3 * float(logs.std()) / math.sqrt(20_000))


def test_a_margin_of_nothing_is_nothing_from_the_first_call():
    course = margin_course("released", "min", 0, 3)
    assert (course.first_below(1e-9), course.first_zero()) == (1, 1)


def test_the_table_is_what_torch_makes_of_the_shapes():
    found = users(9, 0.5, stream(0, "test"))
    spread = torch.relu(0.3 + found.own[:, None, None] - found.nearest[:, None])
    assert spread.shape == (9, 9, 1)
    assert float(broadcast_hinge(found, 0.3).mean()) == pytest.approx(float(spread.mean()))


def test_separated_users_fall_silent_only_where_each_pays_for_itself():
    """As in the known numbers for 32 users: the released mean is larger, a third learn nothing once it is repaired."""
    found = users(32, 0.5, stream(0, "test", "separated"))
    hinge = broadcast_hinge(found, 0.3)
    assert without_gradient(hinge, released=True) == 0
    assert 0.2 < without_gradient(hinge, released=False) < 0.6
    assert float(hinge.mean()) > float(hinge.diagonal().mean())


@pytest.mark.parametrize("released", [True, False])
def test_who_learns_nothing_has_no_gradient(released: bool):
    made = users(12, 0.7, stream(2, "test"))
    own, nearest = made.own.clone().requires_grad_(), made.nearest.clone().requires_grad_()
    hinge = broadcast_hinge(Users(own, nearest), 0.2)
    (hinge.mean() if released else hinge.diagonal().mean()).backward()
    still = (own.grad == 0) & (nearest.grad == 0)
    assert without_gradient(hinge.detach(), released) == pytest.approx(float(still.double().mean()))


def test_both_agree_while_nothing_is_clipped():
    found = users(16, 0.5, stream(0, "test"))
    hinge = broadcast_hinge(found, 2.0)
    assert bool((hinge > 0).all())
    assert float(hinge.mean()) == pytest.approx(float(hinge.diagonal().mean()))


@pytest.mark.parametrize(
    ("applied", "form", "calls", "word"),
    [
        ("paper", "min", 800, "as asked"),
        ("released", "min", 800, "gone too soon"),
        ("released", "sum", 800, "gone too soon"),
        ("released", "sum", 10, "falling"),
    ],
)
def test_the_verdict_is_about_the_margin_after_the_first_epoch(applied: str, form: str, calls: int, word: str):
    assert margin_left(margin_course(applied, form, 1.5, calls), applied).word == word
