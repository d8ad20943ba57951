"""What DMM draws: its laws, partners and margins, and that a draw depends on its address alone."""

import math

import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import Tensor

from core.mixing.dmm import DMM, DynamicMixedMargin, draw_lam, draw_partner, mixed_margin
from core.mixing.laws import folded_beta
from core.mixing.registry import Plan
from core.streams import stream

MANY = 20_000
PARTNERS = ("flip", "roll", "shuffle")


def plan(n: int, p: DMM, *, seed: int = 0, margin: float = 0.2) -> Plan:
    return DynamicMixedMargin().plan(n, p, stream(seed, "mixing", 0), margin=margin)


def drawn(p: DMM) -> Tensor:
    return draw_lam(MANY, p.model_copy(update={"per_sample": True}), stream(7, "law")).double()


def equal(one: Plan, other: Plan) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("lam", "partner", "margin"))


@pytest.mark.parametrize("partner", PARTNERS)
@pytest.mark.parametrize("law", ["uniform", "beta", "fixed"])
def test_a_plan_depends_on_its_address_alone(law: str, partner: str):
    p = DMM(law=law, partner=partner, per_sample=True)
    first = plan(9, p)
    torch.rand(5)
    assert equal(first, plan(9, p))
    assert equal(first, plan(9, p, seed=1)) == (law == "fixed" and partner != "shuffle")


def test_a_plan_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    plan(8, DMM(law="beta", partner="shuffle"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("low", "high"), [(0.5, 1.0), (0.0, 0.5), (0.3, 0.3)])
def test_the_uniform_law_is_uniform(low: float, high: float):
    lam = drawn(DMM(low=low, high=high))
    assert low - 1e-7 <= lam.min() <= lam.max() <= high + 1e-7
    if low < high:
        assert stats.kstest(lam.numpy(), stats.uniform(low, high - low).cdf).pvalue > 0.01


@pytest.mark.parametrize("concentration", [0.3, 0.5, 1.0, 2.0, 5.0, 20.0])
def test_the_beta_law_is_beta_folded_at_one_half(concentration: float):
    lam = drawn(DMM(law="beta", concentration=concentration))
    beta = stats.beta(concentration, concentration)
    inside = lam[lam < 0.999].numpy()
    assert lam.min() >= 0.5
    assert lam.max() <= 1
    share = 2 * beta.cdf(0.999) - 1
    assert abs(len(inside) / MANY - share) <= 4 * math.sqrt(share * (1 - share) / MANY)
    assert stats.kstest(inside, lambda x: (2 * beta.cdf(x) - 1) / share).pvalue > 0.01
    squares = (2 * lam - 1).square()
    assert abs(squares.mean() - 4 * beta.var()) <= 4 * squares.std() / math.sqrt(MANY)


@pytest.mark.parametrize("concentration", [1e-300, 1e-6, 1e-3])
def test_a_tiny_concentration_goes_to_one_and_not_to_one_half(concentration: float):
    lam = folded_beta((1000,), concentration, stream(0, "tiny"))
    assert lam.isfinite().all()
    assert (lam > 0.999).double().mean() > 0.98


def test_the_fixed_law_is_fixed():
    assert drawn(DMM(law="fixed", fixed=0.25)).unique().tolist() == [0.25]


@pytest.mark.parametrize("law", ["uniform", "beta", "fixed"])
def test_one_lambda_a_batch_or_one_for_each(law: str):
    each = plan(50, DMM(law=law, per_sample=True)).lam
    shared = plan(50, DMM(law=law)).lam
    assert each.shape == shared.shape == (50,)
    assert len(shared.unique()) == 1
    assert len(each.unique()) == (1 if law == "fixed" else 50)


@pytest.mark.parametrize("n", [2, 7, 8])
@pytest.mark.parametrize("partner", PARTNERS)
def test_partners_are_a_permutation(partner: str, n: int):
    who = draw_partner(n, DMM(partner=partner), stream(0, "partner"))
    assert who.dtype == torch.int64
    assert sorted(who.tolist()) == list(range(n))


def test_the_shifted_batch_has_no_partner_of_its_own():
    assert draw_partner(4, DMM(partner="roll"), stream(0)).tolist() == [3, 0, 1, 2]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("lam", [0.1, 0.15, 0.2]),
        ("constant", [0.2, 0.2, 0.2]),
        ("one_minus_lam", [0.1, 0.05, 0.0]),
        ("two_lam_minus_one", [0.0, 0.1, 0.2]),
        ("zero", [0.0, 0.0, 0.0]),
    ],
)
def test_the_margin_follows_its_rule(rule: str, expected: list[float]):
    found = mixed_margin(rule, torch.tensor([0.5, 0.75, 1.0], dtype=torch.float64), 0.2)
    assert found.tolist() == pytest.approx(expected, abs=1e-15)


def test_its_own_margin_goes_before_that_of_the_loss():
    fixed = {"law": "fixed", "fixed": 0.5}
    assert plan(3, DMM(**fixed), margin=0.4).margin.tolist() == pytest.approx([0.2] * 3)
    assert plan(3, DMM(**fixed, margin=1.0), margin=0.4).margin.tolist() == pytest.approx([0.5] * 3)
    assert plan(3, DMM(**fixed, margin=0.0), margin=0.4).margin.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    "wrong",
    [{"low": 0.8, "high": 0.6}, {"fixed": 1.5}, {"concentration": 0}, {"half": 0}, {"margin": -1}, {"lambda": 0.5}],
)
def test_bad_params_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValidationError, match="low must not exceed high" if "low" in wrong else next(iter(wrong))):
        DMM(**wrong)
