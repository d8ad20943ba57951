"""The dynamics of a predictor are those of gradient descent on a network of one weight, and rest where they say."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from core.procedures.predictor_dynamics import PredictorDynamics, RestPoints, predictor_dynamics, rest_points

ANY = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SOME = st.floats(0.05, 2)
PARAMS = st.builds(PredictorDynamics, noise=st.floats(0, 3), decay=st.floats(0, 1), rate=SOME, follow=SOME)


def exact(*values: float) -> list[Tensor]:
    return [torch.tensor(value, dtype=torch.float64) for value in values]


@ANY
@given(w=SOME, teacher=SOME, strength=st.floats(-2, 2), p=PARAMS)
def test_it_is_descent_of_one_weight_through_one_predictor(w: float, teacher: float, strength: float, p):
    """The signal is 1 or -1, and so is what is added to it, times σ, to each view on its own."""
    weight, predictor = (x.requires_grad_() for x in exact(w, strength))
    views = torch.tensor(list(product((1, -1), repeat=3)), dtype=torch.float64)
    one, other = (views[:, 0] + p.noise**0.5 * views[:, k] for k in (1, 2))
    error = (predictor * weight * one - teacher * other).square().mean() / 2
    falls, predictor_falls = torch.autograd.grad(error, (weight, predictor))
    moved = -falls - p.decay * w
    teacher_moved = p.follow * (w - teacher)
    expected = torch.stack(
        [
            -p.rate * predictor_falls - p.decay * strength,
            2 * w * moved,
            (teacher_moved * w - teacher * moved) / w**2,
        ]
    )
    assert_close(predictor_dynamics(*exact(strength, w * w, teacher / w), p), expected)


@ANY
@given(strength=st.floats(-2, 2), variance=SOME, ratio=SOME, p=PARAMS)
def test_what_sets_variance_and_predictor_apart_decays(strength: float, variance: float, ratio: float, p):
    dp, ds, _ = predictor_dynamics(*exact(strength, variance, ratio), p)
    apart = variance - strength**2 / p.rate
    assert_close(ds - 2 * strength * dp / p.rate, torch.tensor(-2 * p.decay * apart, dtype=torch.float64))


@ANY
@given(ratio=SOME, p=PARAMS)
def test_the_rest_points_rest_the_upper_one_draws_near_and_the_lower_one_drives_away(ratio: float, p):
    found = rest_points(*exact(ratio), RestPoints(noise=p.noise, decay=p.decay))
    assert bool(found.isnan().all()) == (p.decay * (1 + p.noise) > ratio**2 / 4)
    if found.isnan().any() or found[1] - found[0] < 1e-3:
        return
    tau = torch.full_like(found, ratio)

    def rate_at(strength: Tensor) -> Tensor:
        return predictor_dynamics(strength, strength.square() / p.rate, tau, p)[:2]

    assert_close(rate_at(found), torch.zeros(2, 2, dtype=torch.float64))
    slope = rate_at(found + 1e-5)[0] - rate_at(found - 1e-5)[0]
    assert slope[1] < 0
    assert found[0] == 0 or slope[0] > 0


@pytest.mark.parametrize(("start", "ends"), [(0.04, 0), (0.07, 1)])
def test_a_mode_collapses_from_below_its_threshold_and_settles_from_above(start: float, ends: int):
    p = PredictorDynamics(noise=0.2, decay=0.05, follow=5)
    low, high = rest_points(*exact(1.0), RestPoints(noise=0.2, decay=0.05)).tolist()
    assert (start > low) == ends
    state = torch.stack(exact(start, start**2, 1.0))
    for _ in range(1500):
        state = state + 0.1 * predictor_dynamics(*state, p)
    assert_close(state[:2], torch.stack(exact(ends * high, ends * high**2)), rtol=1e-3, atol=1e-3)
