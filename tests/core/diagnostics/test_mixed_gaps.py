"""The laboratory of gaps against its own closed forms, and against tables that independent code produced."""

import math

import pytest
import torch

from core.diagnostics import mixed_gaps as lab
from core.diagnostics.mixed_gaps import Setting, activity, averaged, made, plan_at, plans
from core.mixing.dmm import DMM
from core.streams import stream

BATCHES, LAMBDAS = 10, 20
# Mean over 40 other batches and sd of one, of: clean active, clean zero, mixed active, mixed partner, mixed zero.
TABLE = {
    0.2: ((0.499, 0.007), (0, 0), (0.411, 0.014), (0.647, 0.035), (0, 0)),
    0.3: ((0.213, 0.007), (0, 0), (0.180, 0.012), (0.445, 0.044), (0, 0)),
    0.5: ((0.0074, 0.0016), (0.407, 0.080), (0.0143, 0.0022), (0.198, 0.032), (0.150, 0.052)),
    0.7: ((0, 0), (0.998, 0.007), (0.0023, 0.0005), (0.125, 0.027), (0.784, 0.039)),
    0.9: ((0, 0), (1, 0), (0.0013, 0.0003), (0.085, 0.022), (0.878, 0.029)),
    0.99: ((0, 0), (1, 0), (0.0013, 0.0004), (0.083, 0.025), (0.905, 0.027)),
}
# One batch: mixed active, partner, zero at rho = .7.
OTHER_RULES = {
    "constant": (0.0047, 0.181, 0.71),
    "one_minus_lam": (0.0015, 0.085, 0.86),
    "two_lam_minus_one": (0.0003, 0.021, 0.92),
    "zero": (0.0003, 0.016, 0.94),
}


def gap(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("rho", TABLE)
def test_the_shares_are_those_of_the_table(rho: float):
    """Even lambdas have the mean of many draws, as is held below, and hardly any noise of their own."""
    s = Setting(closeness=rho)
    rows = []
    for draw in range(BATCHES):
        batch = made(s, 0, draw)
        clean, mixed = activity(s, batch), averaged(s, batch, seed=draw, count=LAMBDAS, even=True)
        rows.append([clean.share, clean.silent, mixed.share, mixed.partner, mixed.silent])
    means = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
    for found, (mean, sd) in zip(means, TABLE[rho], strict=True):
        printed = 0.5 * 10 ** -len(str(mean).partition(".")[2]) if mean not in (0, 1) else 0.00005
        assert found == pytest.approx(mean, abs=4 * sd / BATCHES**0.5 + printed)


@pytest.mark.parametrize("rule", OTHER_RULES)
def test_other_rules_wake_more_or_fewer(rule: str):
    """The table has one batch; our ten must contain it within four sd of one, as estimated from them."""
    s = Setting(closeness=0.7, rule=rule)
    rows = []
    for draw in range(BATCHES):
        found = averaged(s, made(s, 0, draw), seed=draw)
        rows.append([found.share, found.partner, found.silent])
    sample = torch.tensor(rows, dtype=torch.float64)
    for mean, sd, listed in zip(sample.mean(0), sample.std(0), OTHER_RULES[rule], strict=True):
        assert float(mean) == pytest.approx(listed, abs=4 * float(sd))


# rho -> one batch there: clean 1 - p, mixed 1 - p, clean |g|, mixed |g|.
SOFTMAX = {0.5: (0.19, 0.78, 0.042, 0.152), 0.7: (1.4e-2, 0.30, 3.0e-3, 4.5e-2), 0.9: (8.6e-4, 0.11, 1.7e-4, 9.8e-3)}


@pytest.mark.parametrize("rho", SOFTMAX)
def test_a_softmax_is_woken(rho: float):
    """The table has one batch; our ten must contain it within four sd of one, as estimated from them."""
    s = Setting(family="softmax", closeness=rho)
    rows = []
    for draw in range(BATCHES):
        clean, mixed = activity(s, made(s, 0, draw)), averaged(s, made(s, 0, draw), seed=draw)
        rows.append([clean.share, mixed.share, float(clean.norms.mean()), mixed.length])
        assert rho < 0.9 or mixed.partner > 3 * mixed.third
    sample = torch.tensor(rows, dtype=torch.float64)
    for mean, sd, listed in zip(sample.mean(0), sample.std(0), SOFTMAX[rho], strict=True):
        assert float(mean) == pytest.approx(listed, abs=4 * float(sd))


def test_the_weights_are_the_terms_that_a_loop_counts():
    s = Setting(closeness=0.35, n=9, dim=12, partner="roll")
    batch = made(s, 4)
    plan = plan_at(s, batch, 0, 0.6)
    found = activity(s, batch, plan)
    mixture = 0.6 * batch.a + 0.4 * batch.a[plan.partner]
    scores = (mixture / mixture.norm(dim=1, keepdim=True)) @ batch.b.T
    paid = 0
    for i in range(9):
        for j in range(9):
            terms = (int(scores[k, k] - scores[i, j] < 0.6 * s.margin) for k in (i, j))
            asks = sum(terms) if i != j else 0
            paid += asks
            assert float(found.weight[i, j]) == pytest.approx(asks / 2, abs=1e-9)
    assert found.share == pytest.approx(paid / (2 * 9 * 8))
    towards = [float(found.weight[i, plan.partner[i]]) for i in range(9)]
    assert found.towards(plan.partner) == pytest.approx(sum(towards) / 9)


def test_the_weights_of_a_softmax_are_its_probabilities():
    s = Setting(family="softmax", closeness=0.5, n=7, dim=8)
    batch = made(s, 1)
    p = sum(torch.softmax(batch.a @ batch.b.T / s.temperature, dim=dim) for dim in (0, 1)) / 2
    found = activity(s, batch)
    assert torch.allclose(found.weight, p - torch.diag(p.diagonal()), atol=1e-12)
    assert found.share == pytest.approx(float(1 - p.diagonal().mean()))


def test_what_is_revived_is_the_partner_and_no_third_name():
    """With separated pairs hardly any third name is pushed: the revived terms are the partners'."""
    s = Setting(closeness=0.9)
    found = averaged(s, made(s, 0), 0)
    assert found.third < 1e-4
    assert found.partner > 0.05
    assert found.share == pytest.approx((found.partner + 62 * found.third) / 63)


def test_leaving_the_partner_out_removes_what_was_revived():
    s = Setting(closeness=0.8)
    batch = made(s, 0)
    masked = averaged(s.model_copy(update={"target": "mask_partner"}), batch, 0)
    assert masked.partner == 0
    assert masked.silent > 0.97
    assert averaged(s, batch, 0).silent < 0.9
    soft = Setting(closeness=0.9, family="softmax")
    batch = made(soft, 0)
    assert (
        averaged(soft.model_copy(update={"target": "mask_partner"}), batch, 0).share
        < averaged(soft, batch, 0).share / 3
    )


@pytest.mark.parametrize(("each", "still", "silent"), [("batch", 0.66, 0.86), ("sample", 0, 0.80), ("pair", 0, 0.86)])
def test_one_lambda_for_each_leaves_no_step_without_a_gradient(each: str, still: float, silent: float):
    """At rho .8: steps without any gradient, and silent anchors in a step.

    Two partners that share one lambda are silent as often as under one lambda for the batch, only not all at once.
    """
    s = Setting(closeness=0.8, each=each)
    found = [activity(s, made(s, 0, k), plan).silent for k in range(5) for plan in plans(s, made(s, 0, k), k, 40)]
    assert sum(value == 1 for value in found) / 200 == pytest.approx(still, abs=0.14 if still else 0)
    assert sum(found) / 200 == pytest.approx(silent, abs=0.05)


def test_hard_partners_are_more_and_shorter_than_far_ones():
    """Eight clusters: the nearest other anchor is nearly always asked, the farthest hardly ever."""
    g = stream(0, "test", "clusters")
    centre = torch.randn(8, 64, generator=g, dtype=torch.float64).repeat(8, 1)
    a = torch.nn.functional.normalize(centre + 0.35 * torch.randn(64, 64, generator=g, dtype=torch.float64), dim=1)
    b = torch.nn.functional.normalize(a + 0.05 * torch.randn(64, 64, generator=g, dtype=torch.float64), dim=1)
    batch = lab.Batch(a, b, torch.arange(64))
    asked = {p: averaged(Setting(partner=p), batch, 0).partner for p in ("hard", "flip", "farthest")}
    assert asked["hard"] > 2 * asked["flip"] > 0
    assert asked["farthest"] < asked["flip"]


def test_who_is_his_own_partner_is_left_out_of_the_partners():
    s = Setting(n=5, dim=8, closeness=0.9)
    batch = made(s, 0)
    found = activity(s, batch, plan_at(s, batch, 0, 0.5))
    assert found.towards(torch.tensor([4, 3, 2, 1, 0])) == pytest.approx(
        float(found.weight[[0, 1, 3, 4], [4, 3, 1, 0]].mean())
    )
    assert math.isnan(found.towards(torch.arange(5)))


def test_mixing_flattens_the_hardness_curve():
    """D5: the easy end is raised four times, the hard end lowered by a fifth; a softmax likewise at its easy end."""

    def curve(**more):
        s = Setting(**lab.SPREAD_OUT, **more)
        batches = [lab.synthetic(256, 64, s.closeness, s.spread, stream(0, "test", "hardness", k)) for k in range(3)]
        found = [lab.hardness_curve(s, batch, 0, count=25) for batch in batches]
        assert [int(each.count.sum()) for each in found] == [256] * 3
        ends = [[(float(x[0]), float(x[-3:-1].mean())) for x in (each.clean, each.mixed)] for each in found]
        return torch.tensor(ends, dtype=torch.float64).mean(0).tolist()

    (hard, easy), (hard_mixed, easy_mixed) = curve()
    assert (hard, easy) == (pytest.approx(1.505, rel=0.1), pytest.approx(0.0275, rel=0.2))
    assert hard_mixed / hard == pytest.approx(0.8, abs=0.06)
    assert easy_mixed / easy == pytest.approx(4.2, abs=1)
    (hard, easy), (hard_mixed, easy_mixed) = curve(family="softmax")
    assert (hard, hard_mixed / hard) == (pytest.approx(14.3, rel=0.05), pytest.approx(0.97, abs=0.05))
    assert easy_mixed > 4 * easy


def test_the_floor_of_easy_hinges_is_the_other_direction():
    s = Setting(**lab.SPREAD_OUT)
    batch = made(s, 0)
    scores = batch.a @ batch.b.T
    easy = (scores.diagonal()[:, None] - scores).fill_diagonal_(math.inf).amin(1) >= s.margin
    row_only = activity(s, batch).weight.clone()
    assert bool(easy.any())
    mine = scores.diagonal()[:, None] - scores >= s.margin
    assert float(row_only[easy & ~(row_only > 0).any(1)].sum()) == 0
    assert bool((activity(s, batch).norms[easy] > 0).any())
    assert bool(mine[easy].logical_or(torch.eye(len(batch), dtype=torch.bool)[easy]).all())


def test_the_weights_of_a_logistic_loss_are_its_slopes():
    s = Setting(family="logistic", closeness=0.5, n=7, dim=8)
    batch = made(s, 1)
    scores = batch.a @ batch.b.T
    slope = torch.sigmoid(scores - scores.diagonal()[:, None]).fill_diagonal_(0)
    found = activity(s, batch)
    assert torch.allclose(found.weight, slope, atol=1e-12)
    assert found.share == pytest.approx(float(slope.sum()) / 42)
    lifted = activity(s, batch, plan_at(s, batch, 0, 0.6))
    assert lifted.share > found.share


def test_the_weights_of_an_angular_softmax_are_its_probabilities():
    s = Setting(family="angular", closeness=0.5, n=7, dim=8)
    batch = made(s, 1)
    p = torch.softmax(batch.a @ batch.b.T / s.temperature, dim=1)
    found = activity(s, batch)
    assert torch.allclose(found.weight, p - torch.diag(p.diagonal()), atol=1e-9)
    assert averaged(s, batch, 0, 10).partner > found.towards(torch.arange(6, -1, -1))


def test_the_setting_uses_the_registered_parts():
    s = Setting(margin=0.3, rule="constant", partner="roll", each="sample", renormalise="none")
    expected = {"rule": "constant", "partner": "roll", "per_sample": True, "level": "embedding", "renormalise": "none"}
    assert s.mixing == DMM(margin=0.3, **expected)
    assert (s.loss.kind, s.loss.margin) == ("ranking", 0.3)
    assert [Setting(family=f).loss.kind for f in ("logistic", "angular")] == ["bpr", "angular"]
    assert Setting(family="angular").loss.margin == 0
    soft = Setting(family="softmax", temperature=0.2)
    assert (soft.loss.kind, soft.loss.temperature, soft.loss.margin) == ("clip", 0.2, 0)


def test_every_draw_has_its_address():
    s = Setting(n=8, partner="shuffle")
    batch = made(s, 3)
    assert torch.equal(batch.a, made(s, 3).a)
    assert not torch.equal(batch.a, made(s, 3, 1).a)
    first, again = ([p.partner.tolist() for p in plans(s, batch, 3, 4)] for _ in range(2))
    assert first == again
    assert first[0] != first[1]
    assert plan_at(s, batch, 3, 0.6).lam.tolist() == pytest.approx([0.6] * 8)
    each = plan_at(s.model_copy(update={"each": "sample"}), batch, 3, 0.6).lam
    assert len(set(each.tolist())) == 8


def test_even_lambdas_have_the_mean_of_many_draws():
    s = Setting(closeness=0.8)
    batch = made(s, 0)
    even, drawn = averaged(s, batch, 0, 20, even=True), averaged(s, batch, 0, 1500)
    assert even.partner == pytest.approx(drawn.partner, rel=0.15)
    assert even.length == pytest.approx(drawn.length, rel=0.15)
    lams = [float(plan.lam[0]) for plan in plans(s, batch, 0, 20, even=True)]
    assert lams == pytest.approx([0.5125 + 0.025 * k for k in range(20)])
    own = s.model_copy(update={"each": "sample"})
    assert len(set(next(plans(own, batch, 0, 1, even=True)).lam.tolist())) == 64
