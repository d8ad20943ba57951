"""What DMM draws: its laws, partners and margins, and that a draw depends on its address alone."""

import math

import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import Tensor

from core.mixing.dmm import DMM, DynamicMixedMargin, draw_lam, draw_partner, mixed_margin
from core.mixing.laws import folded_beta
from core.mixing.options import PERMUTATIONS
from core.mixing.registry import Known, Plan
from core.streams import stream

MIX = DynamicMixedMargin()
MANY = 20_000
PARTNERS = ("flip", "roll", "shuffle")


def plan(n: int, p: DMM, *, seed: int = 0, margin: float = 0.2) -> Plan:
    return DynamicMixedMargin().plan(n, p, stream(seed, "mixing", 0), Known(margin=margin))


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


@pytest.mark.parametrize("concentration", [0.3, 1.0, 5.0])
def test_the_unfolded_beta_law_is_beta_and_its_folds_are_those_of_the_folded_one(concentration: float):
    lam = drawn(DMM(law="beta_unfolded", concentration=concentration))
    inside = lam[(lam > 0.001) & (lam < 0.999)].numpy()
    beta = stats.beta(concentration, concentration)
    share = beta.cdf(0.999) - beta.cdf(0.001)
    assert stats.kstest(inside, lambda x: (beta.cdf(x) - beta.cdf(0.001)) / share).pvalue > 0.01
    folded = drawn(DMM(law="beta", concentration=concentration))
    torch.testing.assert_close(torch.maximum(lam, 1 - lam), folded)
    assert (lam < 0.5).double().mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(MANY))


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


@pytest.mark.parametrize("n", [7, 8])
def test_one_lambda_for_two_partners(n: int):
    found = plan(n, DMM(per_sample=True, share="pair"))
    assert torch.equal(found.lam, found.lam[found.partner])
    assert len(found.lam.unique()) == -(-n // 2)


def test_only_those_who_are_each_others_partner_share_one():
    angles = torch.tensor([0.0, 10.0, 25.0]).deg2rad()
    z = torch.stack([angles.cos(), angles.sin()], dim=1)
    shared, own = (
        MIX.plan(3, DMM(per_sample=True, share=share, partner="hard"), stream(0), Known(margin=0.2, z=z)).lam.tolist()
        for share in ("pair", "sample")
    )
    assert shared == [own[0], own[0], own[2]]
    bank = DMM(per_sample=True, share="pair", partner="bank")
    assert len(MIX.plan(9, bank, stream(0), Known(margin=0.2, memory={"bank.a": z})).lam.unique()) == 9


@pytest.mark.parametrize("n", [1, 2, 7, 8])
@pytest.mark.parametrize("partner", PERMUTATIONS)
def test_partners_are_a_permutation(partner: str, n: int):
    who = draw_partner(n, DMM(partner=partner), stream(0, "partner"))
    assert who.dtype == torch.int64
    assert sorted(who.tolist()) == list(range(n))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [2, 3, 16])
def test_in_a_ring_nobody_meets_itself(n: int, seed: int):
    who = draw_partner(n, DMM(partner="derangement"), stream(seed))
    assert not (who == torch.arange(n)).any()
    here, seen = 0, []
    for _ in range(n):
        here = int(who[here])
        seen.append(here)
    assert sorted(seen) == list(range(n))


def test_hard_partners_are_the_most_similar_others_and_far_ones_the_least():
    angles = torch.tensor([0.0, 10.0, 25.0, 180.0]).deg2rad()
    z = torch.stack([angles.cos(), angles.sin()], dim=1) * torch.tensor([[1.0], [5.0], [0.1], [2.0]])
    assert draw_partner(4, DMM(partner="hard"), stream(0), z=z).tolist() == [1, 0, 1, 2]
    assert draw_partner(4, DMM(partner="farthest"), stream(0), z=z).tolist() == [3, 3, 3, 0]


@pytest.mark.parametrize("same", [True, False])
def test_partners_by_class_are_random_others_and_whoever_has_none_is_alone(same: bool):
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    p = DMM(partner="same_class" if same else "other_class")
    met: list[set[int]] = [set() for _ in labels]
    for seed in range(200):
        found = MIX.plan(6, p, stream(seed), Known(margin=0.2, labels=labels))
        for i, j in enumerate(found.partner.tolist()):
            met[i].add(j)
        assert found.alone.tolist() == [False] * 5 + [same]
    allowed = [{j for j in range(6) if j != i and (labels[i] == labels[j]) == same} or {i} for i in range(6)]
    assert met == allowed


@pytest.mark.parametrize(("partner", "what"), [("hard", "embeddings"), ("same_class", "labels")])
def test_what_a_partner_is_chosen_by_is_asked_for(partner: str, what: str):
    with pytest.raises(ValueError, match=f"no {what} were given; give {what}, or choose partner flip"):
        draw_partner(4, DMM(partner=partner), stream(0))


def test_partners_from_the_bank_are_rows_of_it_and_never_the_item_itself():
    memory = {"bank.a": torch.zeros(50, 3)}
    found = MIX.plan(30, DMM(partner="bank"), stream(0), Known(margin=0.2, memory=memory))
    assert found.from_bank is not None
    assert found.from_bank.all()
    assert 30 < int(found.partner.max()) < 50
    assert not found.alone.any()


def test_a_bank_is_a_queue_of_the_newest():
    p, memory = DMM(partner="bank", bank=5), {}
    for step in range(4):
        items = torch.full((2, 1), float(step))
        memory = MIX.remember(memory, plan(2, p), {"left": items, "right": -items}, p)
    assert memory["bank.left"].flatten().tolist() == [1, 2, 2, 3, 3]
    assert memory["bank.right"].flatten().tolist() == [-1, -2, -2, -3, -3]


@pytest.mark.parametrize(("shift", "expected"), [(2, [2, 3, 0, 1]), (4, [0, 1, 2, 3]), (5, [3, 0, 1, 2])])
def test_the_batch_is_shifted_by_as_many_places_as_are_asked(shift: int, expected: list[int]):
    found = plan(4, DMM(partner="roll", shift=shift))
    assert found.partner.tolist() == expected
    assert found.alone.all() == (shift == 4)


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
        ("learned", [0.2 / (1 + math.exp(-2 * x)) for x in (0, 0.5, 1)]),
        ("released_decay", [0.1, 0.15, 0.2]),
    ],
)
def test_the_margin_follows_its_rule(rule: str, expected: list[float]):
    found = mixed_margin(rule, torch.tensor([0.5, 0.75, 1.0], dtype=torch.float64), 0.2)
    assert found.tolist() == pytest.approx(expected, abs=1e-15)


def test_the_learned_margin_takes_its_scalars_and_pays_for_leaving_the_papers_rule():
    p = DMM(rule="learned", prior=3, law="fixed", fixed=0.75)
    scalars = {"margin_level": torch.tensor(0.4), "margin_slope": torch.tensor(-1.0)}
    found = MIX.plan(2, p, stream(0), Known(margin=0.2, learned=scalars))
    share = 1 / (1 + math.exp(-(0.4 - 0.5)))
    assert found.margin.tolist() == pytest.approx([0.2 * share] * 2)
    assert float(found.penalty) == pytest.approx(3 * (0.2 * share - 0.15) ** 2)


def test_the_decayed_margin_is_m_times_all_lambdas_so_far():
    p, memory, expected = DMM(rule="released_decay", low=0, high=0.5), {}, 1.5
    for step in range(30):
        found = MIX.plan(4, p, stream(0, step), Known(margin=1.5, memory=memory))
        expected *= float(found.lam[0])
        assert found.margin.tolist() == pytest.approx([expected] * 4, rel=1e-5)
        memory = MIX.remember(memory, found, {}, p)
    assert expected < 1e-9


def test_a_soft_target_asks_its_partners_share_by_the_same_rule():
    found = plan(4, DMM(target="soft", law="fixed", fixed=0.7), margin=0.5)
    assert found.margin.tolist() == pytest.approx([0.35] * 4)
    assert found.partner_margin is not None
    assert found.partner_margin.tolist() == pytest.approx([0.15] * 4)


def test_its_own_margin_goes_before_that_of_the_loss():
    fixed = {"law": "fixed", "fixed": 0.5}
    assert plan(3, DMM(**fixed), margin=0.4).margin.tolist() == pytest.approx([0.2] * 3)
    assert plan(3, DMM(**fixed, margin=1.0), margin=0.4).margin.tolist() == pytest.approx([0.5] * 3)
    assert plan(3, DMM(**fixed, margin=0.0), margin=0.4).margin.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"low": 0.8, "high": 0.6}, "low must not exceed high"),
        ({"fixed": 1.5}, "fixed"),
        ({"concentration": 0}, "concentration"),
        ({"half": 0}, "half"),
        ({"margin": -1}, "margin"),
        ({"start": 2}, "start"),
        ({"layer": 0}, "layer"),
        ({"lambda": 0.5}, "lambda"),
        ({"rule": "released_decay", "per_sample": True}, "turn per_sample off"),
        ({"rule": "released_decay", "side": "each"}, "a side other than each"),
        ({"target": "soft", "partner": "hard"}, "must be a permutation, so choose flip, roll, shuffle, derangement"),
        ({"target": "soft", "side": "both"}, "one side must be clean"),
        ({"target": "soft", "rule": "released_decay"}, "choose another rule or target hard"),
        ({"target": "mask_partner", "partner": "bank"}, "not in the batch, so choose another partner"),
    ],
)
def test_bad_params_are_refused(wrong: dict[str, object], said: str):
    with pytest.raises(ValidationError, match=said):
        DMM(**wrong)


def test_every_knob_has_a_title_and_a_description():
    for name, field in DMM.model_fields.items():
        assert name == "kind" or (field.title and field.description and field.description.endswith("."))
