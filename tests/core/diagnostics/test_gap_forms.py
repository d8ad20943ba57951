"""The closed forms of gaps against integrals, printed numbers, and the registered parts that they know nothing of."""

import math

import pytest
import torch

from core.diagnostics import gap_forms as forms
from core.diagnostics.gap_forms import monte_carlo, thresholds
from core.diagnostics.mixed_gaps import Setting, activity, mixing_of, plan_at
from core.diagnostics.synthetic import Batch
from core.mixing.dmm import mixed_margin
from core.mixing.registry import Plan
from core.streams import stream

RULES = ("lam", "constant", "one_minus_lam", "two_lam_minus_one", "zero")


def gap(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("renormalise", ["unit", "none", "geodesic"])
@pytest.mark.parametrize("lam", [0.55, 0.75, 0.95])
def test_pairs_fall_silent_at_the_thresholds(rule: str, renormalise: str, lam: float):
    """Just below and just above each threshold, on pairs that all lead by the same gap."""
    s = Setting(rule=rule, renormalise=renormalise)
    third, partner = thresholds(rule, lam, s.margin, renormalise)
    other = torch.arange(7, -1, -1)
    plan = Plan(torch.full((8,), lam), other, mixed_margin(rule, torch.full((8,), lam), s.margin))

    def asked(at: float) -> tuple[bool, bool]:
        found = activity(s, forms.orthonormal(8, at), plan)
        towards = found.towards(other)
        return found.share * 56 - 8 * towards > 1e-9, towards > 0

    for at, which in ((third, 0), (partner, 1)):
        if 0 < at < 0.98:
            assert asked(at - 1e-3)[which]
        if 0 <= at < 0.98:
            assert not asked(at + 1e-3)[which]


def test_the_thresholds_of_the_paper_in_units_of_the_margin():
    printed = {
        0.55: (5.5, 3.91),
        0.6: (3, 2.16),
        0.7: (1.75, 1.33),
        0.75: (1.5, 1.19),
        0.8: (1.33, 1.1),
        0.9: (1.13, 1.02),
    }
    for lam, (plain, round_again) in printed.items():
        assert thresholds("lam", lam, 1.0) == pytest.approx((1, plain), abs=0.006)
        assert thresholds("lam", lam, 1.0, "unit")[1] == pytest.approx(round_again, abs=0.006)
    assert thresholds("lam", 0.5, 0.2) == (pytest.approx(0.2), math.inf)
    assert thresholds("zero", 0.5, 0.2) == (0, 0)


def test_the_closed_forms_have_the_printed_values():
    assert forms.partner_probability(gap(0.3, 0.5, 0.8, 1.0), 0.2).tolist() == pytest.approx(
        [0.5, 0.25, 0.143, 0.111], abs=5e-4
    )
    assert forms.expected_push(gap(0.5, 0.8, 1.0), 0.2, 0.07).tolist() == pytest.approx([0.285, 0.164, 0.128], abs=5e-4)
    assert forms.clean_push(gap(0.5, 0.8, 1.0), 0.07, 63).tolist() == pytest.approx([4.7e-2, 6.9e-4, 3.9e-5], rel=0.02)
    assert forms.clean_active(0.3, 64, 0.2) == pytest.approx(0.212, abs=5e-4)


@pytest.mark.parametrize("rule", RULES)
def test_the_closed_forms_are_the_integrals_over_lambda(rule: str):
    lam = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 400_000 + 0.5
    asked = mixed_margin(rule, lam, 0.2)
    for at in (-0.1, 0.0, 0.1, 0.3, 0.8, 1.0):
        short = asked - (2 * lam - 1) * at
        share = float((short > 1e-12).double().mean())
        assert float(forms.partner_probability(gap(at), 0.2, rule)) == pytest.approx(share, abs=1e-4)
        push = float(torch.sigmoid(short / 0.07).mean())
        assert float(forms.expected_push(gap(at), 0.2, 0.07, rule)) == pytest.approx(push, abs=1e-6)


def test_the_paper_s_formulas_are_the_general_ones():
    for m, at, tau in ((0.2, 0.5, 0.07), (0.3, 0.9, 0.2)):
        assert float(forms.partner_probability(gap(at), m)) == pytest.approx(m / (2 * at - m))
        inside = math.log1p(math.exp(m / (2 * tau))) - math.log1p(math.exp((m - at) / tau))
        assert float(forms.expected_push(gap(at), m, tau)) == pytest.approx(2 * tau / (2 * at - m) * inside)


def test_a_cold_softmax_is_the_hinge_and_nothing_overflows():
    cold = forms.expected_push(gap(0.3, 0.5, 0.8), 0.2, 1e-6)
    assert cold.tolist() == pytest.approx(forms.partner_probability(gap(0.3, 0.5, 0.8), 0.2).tolist(), abs=1e-5)
    wild = forms.expected_push(gap(-2, 0, 0.1, 2), 2.0, 1e-12)
    assert bool(((wild >= 0) & (wild <= 1)).all())
    assert float(forms.expected_push(gap(0.1), 0.2, 0.07)) == pytest.approx(1 / (1 + math.exp(-0.1 / 0.07)))


@pytest.mark.parametrize("at", [0.3, 0.5, 0.8, 1.0])
def test_ten_thousand_draws_agree_with_the_closed_forms(at: float):
    s, g = Setting(), stream(0, "test", "closed form")
    drawn = [monte_carlo(at, s, g, 250) for _ in range(40)]
    for name, exact in (
        ("hinge", forms.partner_probability(gap(at), s.margin)),
        ("softmax", forms.expected_push(gap(at), s.margin, s.temperature)),
    ):
        mean = sum(getattr(d, name) for d in drawn) / 40
        error = (sum(getattr(d, f"{name}_error") ** 2 for d in drawn)) ** 0.5 / 40
        assert 0 < error < 0.006
        assert mean == pytest.approx(float(exact), abs=3 * error)


@pytest.mark.parametrize("renormalise", ["unit", "none", "geodesic"])
@pytest.mark.parametrize("cosine", [-0.6, 0.0, 0.8, 1.0])
def test_the_shares_are_those_of_the_registered_mixing(renormalise: str, cosine: float):
    s = Setting(n=4, renormalise=renormalise)
    a = torch.zeros(4, 3, dtype=torch.float64)
    a[:2, 0] = 1
    a[2:, 0], a[2:, 1] = cosine, (1 - cosine**2) ** 0.5
    mixed = mixing_of(s.mixing).apply({"a": a}, plan_at(s, Batch(a, a, torch.arange(4)), 0, 0.7), s.mixing)["a"]
    own, other = forms.shares(0.7, renormalise, cosine)
    assert mixed[0].tolist() == pytest.approx((own * a[0] + other * a[3]).tolist(), abs=1e-6)
