"""Two partners: letters, coefficients and the little-far test against printed numbers and automatic differentiation."""

import pytest
import torch

from core.diagnostics.forces import gradients
from core.diagnostics.mixed_gaps import Setting, mixing_of, plan_at
from core.diagnostics.synthetic import pay
from core.diagnostics.two_pairs import (
    asks,
    by_gradient,
    coefficients,
    little_far,
    phase,
    resting_similarity,
    strong_and_weak,
)

GAPS = (0.1, 0.3, 0.5, 0.7, 0.9)
LETTERS = {
    0.6: "b i i i i / p b i i i / p p b i i / p p p n i / p p p p n",
    0.75: "b i i i i / p b i i i / p p n n i / p p n n n / p p p n n",
}
# On the very edge, where rounding decides.
TIES = {(0.75, 0.3, 0.3), (0.75, 0.5, 0.9), (0.75, 0.9, 0.5)}
CELLS = [
    pytest.param(lam, own, other, row.split()[k], id=f"{lam}-{own}-{other}")
    for lam, table in LETTERS.items()
    for own, row in zip(GAPS, table.split(" / "), strict=True)
    for k, other in enumerate(GAPS)
    if (lam, own, other) not in TIES
]
BATCHES = 10


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize(("lam", "own", "other", "letter"), CELLS)
def test_the_letters_are_those_of_the_table(lam, own, other, letter):
    assert phase(one(own), one(other), lam, 0.2) == [letter]


@pytest.mark.parametrize(("lam", "own", "other", "letter"), CELLS)
def test_the_coefficients_are_the_gradient_through_loss_and_mixing(lam, own, other, letter):
    first, second = by_gradient(own, other, lam, 0.2)
    flags = one(float(letter in "bi")), one(float(letter in "bp"))
    closed = coefficients(*flags, lam)
    assert (first, second) == (pytest.approx(float(closed[0]), abs=1e-6), pytest.approx(float(closed[1]), abs=1e-6))
    expected = {"n": 0, "b": 1 - 2 * lam, "i": 1 - lam, "p": -lam}[letter]
    assert second == pytest.approx(expected, abs=1e-6)


def test_plus_four_tenths_and_minus_six_tenths():
    assert by_gradient(0.3, 0.9, 0.6, 0.2) == (pytest.approx(-0.6, abs=1e-6), pytest.approx(0.4, abs=1e-6))
    assert by_gradient(0.9, 0.3, 0.6, 0.2) == (pytest.approx(0.4, abs=1e-6), pytest.approx(-0.6, abs=1e-6))


def test_equal_shares_leave_no_gap_at_which_both_are_silent():
    wide = torch.linspace(-1, 1, 41, dtype=torch.float64)
    own, other = torch.meshgrid(wide, wide, indexing="ij")
    assert "n" not in phase(own.flatten(), other.flatten(), 0.5, 0.2)
    assert "n" in phase(own.flatten(), other.flatten(), 0.6, 0.2)
    assert "n" in phase(own.flatten(), other.flatten(), 0.5, 0.2, "zero")


def test_the_silent_cone_opens_at_the_written_slope():
    lam, m, other = 0.7, 0.2, 0.6
    edge = m + (1 - lam) / lam * other
    assert bool(asks(one(edge - 1e-6), one(other), lam, m))
    assert not bool(asks(one(edge + 1e-6), one(other), lam, m))


def test_the_own_name_rests_between_the_pictures():
    assert resting_similarity(torch.tensor([0.5, 0.6, 0.75, 0.9])).tolist() == pytest.approx(
        [0.707, 0.832, 0.949, 0.994], abs=5e-4
    )
    z = torch.nn.functional.normalize(torch.tensor([[1.0, 0, 0], [0.3, 1, 0.2]], dtype=torch.float64), dim=1)
    mixture = 0.6 * z[0] + 0.4 * z[1]
    expected = float(z[0] @ mixture / mixture.norm())
    assert float(resting_similarity(one(0.6), float(z[0] @ z[1]))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("renormalise", "lam", "strong", "weak"),
    [
        ("none", None, -0.021, 0.431),
        ("none", 0.55, -0.054, 0.476),
        ("none", 0.6, -0.048, 0.459),
        ("none", 0.75, -0.029, 0.394),
        ("none", 0.9, -0.021, 0.396),
        ("unit", 0.55, -0.063, 0.396),
        ("unit", 0.6, -0.049, 0.357),
        ("unit", 0.75, -0.022, 0.280),
        ("unit", 0.9, -0.010, 0.307),
    ],
)
def test_strong_pairs_are_made_a_little_far(renormalise, lam, strong, weak):
    """The table has one batch: ours must contain it within four sd of one, as estimated from them."""
    s = Setting(renormalise=renormalise)
    found = [little_far(strong_and_weak(64, 64, 0, k), s, lam) for k in range(BATCHES)]
    for name, listed in (("strong", strong), ("weak", weak)):
        sample = torch.tensor([getattr(each, name) for each in found], dtype=torch.float64)
        assert float(sample.mean()) == pytest.approx(listed, abs=4 * float(sample.std()))
        assert float(sample.mean()) * listed > 0


def test_the_clean_loss_does_less_of_it_and_the_sphere_takes_most_of_it_away():
    s = Setting()
    batches = [strong_and_weak(64, 64, 0, k) for k in range(BATCHES)]

    def strong(lam: float | None, sphere: bool) -> float:
        return sum(little_far(batch, s, lam, sphere=sphere).strong for batch in batches) / BATCHES

    assert strong(0.55, False) < 2 * strong(None, False) < 0
    assert strong(0.55, False) < 10 * strong(0.55, True) < 0
    assert strong(0.55, True) < 10 * strong(None, True)


def test_the_change_is_the_one_that_a_small_step_makes():
    s, step = Setting(n=8, dim=8), 1e-6
    batch = strong_and_weak(8, 8, 0)
    found = little_far(batch, s, 0.6)
    a, b = batch.a.clone().requires_grad_(), batch.b.clone().requires_grad_()
    plan = plan_at(s, batch, 0, 0.6)
    x = mixing_of(s.mixing).apply({"a": a, "b": b}, plan, s.mixing)["a"]
    g, h = gradients(pay(s.loss, x, b, batch.labels, plan.margin).total(), a, b)
    moved = ((batch.a - step * g) * (batch.b - step * h)).sum(1) - (batch.a * batch.b).sum(1)
    change = 8 * moved / step
    assert found.strong == pytest.approx(float(change[:4].mean()), abs=1e-4)
    assert found.weak == pytest.approx(float(change[4:].mean()), abs=1e-4)
