"""The margin scene against plane trigonometry: closed forms of the leads, and finite differences of the arrows."""

import math

import numpy as np
import pytest
import torch

from core.diagnostics import scene
from core.diagnostics.scene import SITUATIONS, as_asked, draw_plans, leads, mixtures, pull_region, pulled_share, stand
from core.mixing.dmm import DMM, DynamicMixedMargin
from core.mixing.registry import MIXINGS, Plan

LAMS = (0.5, 0.54, 0.7, 0.95, 1.0)
RULES = {
    "lam": lambda lam: lam,
    "constant": lambda lam: 1.0,
    "one_minus_lam": lambda lam: 1 - lam,
    "two_lam_minus_one": lambda lam: 2 * lam - 1,
    "zero": lambda lam: 0.0,
}


def places(situation: str) -> dict[str, float]:
    """Radians, written out a second time."""
    s = SITUATIONS[situation]
    middle, half = math.pi / 2, math.radians(s.partner) / 2
    anchor, partner = middle + half, middle - half
    return {
        "anchor": anchor,
        "partner": partner,
        "own": anchor + math.radians(s.own),
        "other": partner - math.radians(s.other),
    }


def mixed_angle(at: dict[str, float], lam: float) -> float:
    x = lam * math.cos(at["anchor"]) + (1 - lam) * math.cos(at["partner"])
    y = lam * math.sin(at["anchor"]) + (1 - lam) * math.sin(at["partner"])
    return math.atan2(y, x)


def cost(at: dict[str, float], lam: float, asked: float) -> float:
    """What the mixed pair pays, in plain Python."""
    m = mixed_angle(at, lam)
    return max(0.0, asked + math.cos(m - at["other"]) - math.cos(m - at["own"]))


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lam", LAMS)
def test_the_stand_is_plane_geometry(situation: str, rule: str, lam: float):
    at, margin = places(situation), 0.3
    now = stand(SITUATIONS[situation], lam, margin, rule)
    m, asked = mixed_angle(at, lam), RULES[rule](lam) * margin
    for name, angle in {**at, "mixed": m}.items():
        assert now.angles[name] == pytest.approx(math.degrees(angle), abs=1e-5)
    assert now.mixed.lead == pytest.approx(math.cos(m - at["own"]) - math.cos(m - at["other"]), abs=1e-6)
    assert now.mixed.asked == pytest.approx(asked, abs=1e-6)
    assert now.mixed.paid == pytest.approx(cost(at, lam, asked), abs=1e-6)
    assert now.clean.lead == pytest.approx(
        math.cos(at["anchor"] - at["own"]) - math.cos(at["anchor"] - at["other"]), abs=1e-9
    )
    assert (now.clean.asked, now.clean.paid) == (margin, pytest.approx(max(0, margin - now.clean.lead), abs=1e-9))


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("lam", [0.5, 0.54, 0.65, 1.0])
def test_the_arrows_are_the_gradient_on_the_circle(situation: str, lam: float):
    at, margin, h = places(situation), 0.3, 1e-6
    asked = lam * margin
    now = stand(SITUATIONS[situation], lam, margin, "lam")
    for who in ("anchor", "partner", "own", "other"):
        up, down = ({**at, who: at[who] + sign * h} for sign in (1, -1))
        slope = (cost(up, lam, asked) - cost(down, lam, asked)) / (2 * h)
        assert now.turns[who] == pytest.approx(-math.degrees(scene.STEP * slope), abs=1e-4)


def test_a_name_on_the_edge_of_the_zone_leads_by_just_what_is_asked():
    now = stand(SITUATIONS["apart"], 0.54, 0.3, "lam")
    edge = math.radians(now.angles["mixed"] - now.mixed.near)
    mixed, own = math.radians(now.angles["mixed"]), math.radians(now.angles["own"])
    assert math.cos(mixed - own) - math.cos(mixed - edge) == pytest.approx(now.mixed.asked, abs=1e-6)


def test_the_scene_falls_silent_where_the_design_says():
    """look.md: alive at lambda .54, silent above .57, in 15 % of draws from U(1/2, 1)."""
    assert stand(SITUATIONS["apart"], 0.54, 0.3, "lam").mixed.paid > 0
    silent = stand(SITUATIONS["apart"], 0.58, 0.3, "lam")
    assert (silent.mixed.paid, set(silent.turns.values())) == (0, {0})
    low, high = pull_region(SITUATIONS["apart"], 0.3, "lam")
    assert (low, round(high, 2)) == (0.5, 0.57)
    assert pulled_share(SITUATIONS["apart"], 0.3, "lam", DMM()) == pytest.approx((high - low) / 0.5, abs=0.006)


def test_a_partner_moves_off_its_own_name_where_it_stands_well():
    """The "little far" of the paper: the partner turns towards the mixture, away from its own name."""
    now = stand(SITUATIONS["apart"], 0.54, 0.3, "lam")
    assert now.angles["other"] < now.angles["partner"]
    assert now.turns["partner"] > 0


@pytest.mark.parametrize("situation", SITUATIONS)
def test_leads_over_lambda_are_those_of_the_stands(situation: str):
    lam = torch.tensor(LAMS, dtype=torch.float64)
    lead, asked = leads(SITUATIONS[situation], lam, 0.3, "constant")
    each = [stand(SITUATIONS[situation], value, 0.3, "constant").mixed for value in LAMS]
    assert torch.allclose(lead, torch.tensor([pair.lead for pair in each], dtype=torch.float64), atol=1e-6)
    assert torch.allclose(asked, torch.tensor([pair.asked for pair in each], dtype=torch.float64), atol=1e-6)


def test_no_region_where_nothing_is_asked_of_a_pair_that_leads():
    assert pull_region(SITUATIONS["apart"], 0.3, "zero", low=0.6) is None
    assert pulled_share(SITUATIONS["apart"], 0.3, "zero", DMM(law="fixed", fixed=0.6)) == 0
    assert pulled_share(SITUATIONS["apart"], 0.3, "lam", DMM(law="fixed", fixed=0.55)) == 1


def test_inputs_are_mixed_without_renormalising():
    two = torch.tensor([[1.0, 0.0, 4.0], [0.0, 2.0, 0.0]])
    found = mixtures(two, torch.tensor([0.0, 0.25, 1.0]), "input")
    assert found.tolist() == [[0, 2, 0], [0.25, 1.5, 1], [1, 0, 4]]


@pytest.mark.parametrize("p", [DMM(margin=0.4), DMM(margin=0.4, rule="constant"), DMM(per_sample=True)])
def test_drawn_plans_are_as_asked_and_repeat(p: DMM):
    margin = 0.2 if p.margin is None else p.margin
    found = draw_plans(p, 6, 30, seed=3, margin=0.2)
    assert found == draw_plans(p, 6, 30, seed=3, margin=0.2)
    assert found != draw_plans(p, 6, 30, seed=4, margin=0.2)
    assert [len(column) for column in (found.steps, found.lam, found.margin, found.low, found.high)] == [30] * 5
    assert as_asked(found, p.rule, margin).word == "as asked"
    assert all(
        low - 1e-6 <= mean <= high + 1e-6 for low, mean, high in zip(found.low, found.margin, found.high, strict=True)
    )


def test_a_margin_multiplied_in_place_falls_and_is_named(monkeypatch):
    class Decaying(DynamicMixedMargin):
        """The fault of the released recommender code: the margin is multiplied for good on every call."""

        left = 1.0

        def plan(self, n, p, g, known) -> Plan:
            right = super().plan(n, p, g, known)
            self.left *= float(right.lam[0])
            return Plan(right.lam, right.partner, right.margin * self.left)

    monkeypatch.setitem(MIXINGS._entries, "dmm", MIXINGS["dmm"].__class__(**{**vars(MIXINGS["dmm"]), "call": Decaying}))
    found = draw_plans(DMM(margin=0.3), 4, 40, seed=0, margin=0.3)
    assert found.margin[-1] < 1e-3 * found.margin[0]
    assert np.polyfit(found.steps, found.margin, 1)[0] < 0
    verdict = as_asked(found, "lam", 0.3)
    assert (verdict.word, verdict.state) == ("not as asked", "bad")
    assert "first at step 0" in verdict.sentence


def test_recorded_rows_without_a_mixing_are_left_out():
    rows = [
        {"step": 0, "loss": 1.0},
        {"step": 1, "loss": 1.0, "lam": 0.6, "margin": 0.3, "margin.low": 0.3, "margin.high": 0.3},
    ]
    found = scene.recorded(rows)
    assert (found.steps, found.lam, found.margin) == ((1,), (0.6,), (0.3,))
    assert as_asked(found, "lam", 0.5).word == "as asked"
    assert as_asked(found, "constant", 0.5).word == "not as asked"
    assert as_asked(scene.recorded([]), "lam", 0.5).word == "no draws"
    assert as_asked(scene.Drawn((0,), (0.6,), (0.0,), (0.0,), (0.0,)), "lam", 0).word == "no margin"


def test_the_decay_of_the_released_rule_is_drawn_and_named():
    found = draw_plans(DMM(margin=0.4, rule="released_decay"), 4, 30, seed=0, margin=0.2)
    product = np.cumprod(found.lam)
    assert found.margin == pytest.approx(tuple(0.4 * product), rel=1e-4)
    assert (as_asked(found, "released_decay", 0.4).word, as_asked(found, "lam", 0.4).word) == ("decays", "not as asked")


@pytest.mark.parametrize("partner", ["hard", "other_class", "bank"])
def test_partners_that_depend_on_the_network_do_not_change_the_margins(partner: str):
    plain, chosen = (draw_plans(DMM(partner=p), 4, 5, seed=0, margin=0.2) for p in ("flip", partner))
    assert (plain.lam, plain.margin) == (chosen.lam, chosen.margin)


def test_a_learned_margin_is_called_so():
    found = draw_plans(DMM(rule="learned"), 4, 5, seed=0, margin=0.2)
    assert as_asked(found, "learned", 0.2).word == "learned"
    assert as_asked(found, "learned", 0).word == "learned"
