"""What mixed pairs pay, against the sums written out."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.addresses import read
from core.losses.centres import Centres
from core.mixing.registry import Plan
from core.paid import Paid, Role
from core.recipe import Recipe
from core.runs.mixed_payment import MixedPair, pay_mixed, pay_pair
from core.runs.mixture import Mixture
from core.runs.payment import Embedded
from core.streams import stream

N, D = 5, 4
M = 0.3


def unit(name: str) -> Tensor:
    return F.normalize(torch.randn(N, D, generator=stream(0, name), dtype=torch.float64), dim=-1)


A, B, JOINT, EXTRA, MIXED, OTHER = (unit(name) for name in ("a", "b", "joint", "extra", "mixed", "other"))
LAM = torch.rand(N, generator=stream(0, "lam"), dtype=torch.float64)
PARTNER = torch.tensor([4, 3, 2, 1, 0])
PLAN = Plan(LAM, PARTNER, M * LAM, side="a", partner_margin=M * (1 - LAM))
BATCH = Embedded({"one": A, "two": B}, torch.tensor([0, 0, 1, 1, 2]), {})


def recipe_of(link: Mapping[str, str]) -> Recipe:
    recipe, refused = read({"mixing.kind": "dmm"} | link, Recipe())
    assert refused == []
    return recipe


def hinges(s: Tensor, margin: Tensor, without: tuple[tuple[int, int], ...] = ()) -> tuple[list[float], list[float]]:
    """What each row and each column pays in max-margin ranking, pair by pair."""

    def short(i: int, j: int, own: int) -> float:
        return 0.0 if i == j or (i, j) in without else max(0.0, float(margin[own] + s[i, j] - s[own, own]))

    rows = [sum(short(i, j, i) for j in range(N)) for i in range(N)]
    return rows, [sum(short(i, j, j) for i in range(N)) for j in range(N)]


def total(paid: Paid) -> float:
    return float(paid.total())


def test_a_hard_target_pays_the_loss_with_the_planned_margin():
    rows, columns = hinges(MIXED @ B.T, PLAN.margin)
    paid = pay_pair(recipe_of({"loss.kind": "ranking"}), BATCH, MixedPair(MIXED, B, "a", PLAN))
    assert total(paid) == pytest.approx((sum(rows) + sum(columns)) / N**2, abs=1e-12)


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_soft_target_pays_for_both_positives_by_their_shares(side: str):
    a, b = (MIXED, B) if side == "a" else (A, MIXED)
    s = a @ b.T
    turned = a @ b[PARTNER].T if side == "a" else a[PARTNER] @ b.T
    own, other = hinges(s, M * LAM), hinges(turned, M * (1 - LAM))
    expected = sum(float(LAM[i]) * (own[0][i] + own[1][i]) for i in range(N))
    expected += sum(float(1 - LAM[i]) * (other[0][i] + other[1][i]) for i in range(N))
    paid = pay_pair(recipe_of({"loss.kind": "ranking", "mixing.target": "soft"}), BATCH, MixedPair(a, b, side, PLAN))
    assert total(paid) == pytest.approx(expected / N**2, abs=1e-12)


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_loss_of_one_side_pays_for_the_mixed_one(side: str):
    """Here with a centre for each class, of the own class and the partner's by their shares."""
    recipe = recipe_of(
        {"loss.kind": "cosface", "loss.temperature": "0.2", "mixing.target": "soft", "mixing.side": side}
    )
    network = Centres(3, D).double().requires_grad_(False)
    logits = MIXED @ F.normalize(network.directions, dim=1).T
    labels, own = BATCH.labels, F.one_hot(BATCH.labels, 3)
    each = F.cross_entropy((logits - M * LAM[:, None] * own) / 0.2, labels, reduction="none")
    asked = M * (1 - LAM)[:, None] * own[PARTNER]
    other = F.cross_entropy((logits - asked) / 0.2, labels[PARTNER], reduction="none")
    name = "one" if side == "a" else "two"
    mixture = Mixture({name: replace(PLAN, side=side)}, {name: MIXED})
    paid = pay_mixed(recipe, replace(BATCH, companion=network), mixture)
    assert total(paid) == pytest.approx(float((LAM * each + (1 - LAM) * other).mean()), abs=1e-10)


def test_a_soft_target_in_a_softmax_is_mixup_with_margins():
    s, tau = MIXED @ B.T, 0.1

    def nll(i: int, positive: int, margin: float) -> float:
        logits = [float(s[i, j]) - (margin if j == positive else 0) for j in range(N)]
        return -logits[positive] / tau + math.log(sum(math.exp(x / tau) for x in logits))

    expected = 0.0
    for i in range(N):
        lam, partner = float(LAM[i]), int(PARTNER[i])
        expected += lam * nll(i, i, M * lam) + (1 - lam) * nll(i, partner, M * (1 - lam))
    paid = pay_pair(
        recipe_of({"loss.kind": "info_nce", "mixing.target": "soft"}), BATCH, MixedPair(MIXED, B, "a", PLAN)
    )
    assert total(paid) == pytest.approx(expected / N, abs=1e-10)


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_masked_partner_takes_no_part_in_either_direction(side: str):
    a, b = (MIXED, B) if side == "a" else (A, MIXED)
    here = [(i, int(PARTNER[i])) for i in range(N) if int(PARTNER[i]) != i]
    without = tuple(here if side == "a" else [(j, i) for i, j in here])
    rows, columns = hinges(a @ b.T, PLAN.margin, without)
    recipe = recipe_of({"loss.kind": "ranking", "mixing.target": "mask_partner"})
    paid = pay_pair(recipe, BATCH, MixedPair(a, b, side, PLAN))
    assert total(paid) == pytest.approx((sum(rows) + sum(columns)) / N**2, abs=1e-12)


def test_who_met_itself_can_be_left_out():
    rows, columns = hinges(MIXED @ B.T, PLAN.margin)
    recipe = recipe_of({"loss.kind": "ranking", "mixing.alone": "leave_out"})
    paid = pay_pair(recipe, BATCH, MixedPair(MIXED, B, "a", PLAN))
    expected = (sum(rows) + sum(columns) - rows[2] - columns[2]) / N**2
    assert rows[2] + columns[2] > 0
    assert total(paid) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("side", ["a", "b"])
def test_an_appended_positive_is_one_more_negative_of_its_mixed_item_alone(side: str):
    a, b = (MIXED, B) if side == "a" else (A, MIXED)
    rows, columns = hinges(a @ b.T, PLAN.margin)
    s = a @ b.T
    more = [max(0.0, float(PLAN.margin[i] + MIXED[i] @ EXTRA[i] - s[i, i])) for i in range(N)]
    recipe = recipe_of({"loss.kind": "ranking", "mixing.partner": "bank", "mixing.append": "on"})
    paid = pay_pair(recipe, BATCH, MixedPair(a, b, side, PLAN, EXTRA))
    assert total(paid) == pytest.approx((sum(rows) + sum(columns) + sum(more)) / N**2, abs=1e-12)
    (pairs,) = paid.pairs
    assert pairs.scores.shape == (N, 2 * N)
    met = pairs.role == Role.PARTNER
    assert met.nonzero().tolist() == [[i, N + i] for i in range(N)]
    torch.testing.assert_close(pairs.scores[met], (MIXED * EXTRA).sum(1))


def test_an_appended_positive_stands_in_the_denominator_of_a_softmax():
    recipe = recipe_of({"loss.kind": "info_nce", "mixing.partner": "bank", "mixing.append": "on"})
    paid = pay_pair(recipe, BATCH, MixedPair(MIXED, B, "a", PLAN, EXTRA))
    s = (MIXED @ B.T - torch.diag(PLAN.margin)) / 0.1
    extra = ((MIXED * EXTRA).sum(1) / 0.1)[:, None]
    expected = torch.logsumexp(torch.cat([s, extra], dim=1), dim=1) - s.diagonal()
    torch.testing.assert_close(paid.terms[""].per, expected)
    assert total(paid) == pytest.approx(float(expected.mean()))


def test_each_modality_is_ranked_against_the_joint_embedding_by_its_own_plan():
    """A third of the sum over three in the released GMC; here there are two."""
    plans = {"one": PLAN, "two": Plan(LAM, PARTNER, 0.5 * M * LAM, side="each")}
    link = {"loss.kind": "gmc", "encoder.joint": "on", "mixing.side": "each", "mixing.asks": "ranking"}
    batch = Embedded(BATCH.z, BATCH.labels, {}, JOINT)
    paid = pay_mixed(recipe_of(link), batch, Mixture(plans, {"one": MIXED, "two": OTHER}))
    expected = 0.0
    for name, z in (("one", MIXED), ("two", OTHER)):
        rows, columns = hinges(z @ JOINT.T, plans[name].margin)
        expected += (sum(rows) + sum(columns)) / N**2 / 2
    assert total(paid) == pytest.approx(expected, abs=1e-12)


def test_each_side_is_mixed_against_the_clean_other_and_worth_half():
    plans = {"one": PLAN, "two": Plan(LAM, PARTNER, 0.5 * M * LAM, side="each")}
    plans["one"] = Plan(LAM, PARTNER, M * LAM, side="each")
    recipe = recipe_of({"loss.kind": "ranking", "mixing.side": "each"})
    paid = pay_mixed(recipe, BATCH, Mixture(plans, {"one": MIXED, "two": OTHER}))
    first, second = hinges(MIXED @ B.T, M * LAM), hinges(A @ OTHER.T, 0.5 * M * LAM)
    expected = sum(sum(part) for part in (*first, *second)) / N**2 / 2
    assert total(paid) == pytest.approx(expected, abs=1e-12)


def test_gmc_itself_asks_each_mixed_modality_by_its_own_plan():
    plans = {"one": PLAN, "two": Plan(LAM, PARTNER, 0.5 * M * LAM, side="each")}
    batch = Embedded(BATCH.z, BATCH.labels, {}, JOINT)
    recipe = recipe_of({"loss.kind": "gmc", "encoder.joint": "on", "mixing.side": "each"})
    paid = pay_mixed(recipe, batch, Mixture(plans, {"one": MIXED, "two": OTHER}))
    expected = 0.0
    for name, z in (("one", MIXED), ("two", OTHER)):
        rows = torch.cat([JOINT, z])
        margin = torch.cat([plans[name].margin] * 2)
        s = rows @ rows.T
        for r in range(2 * N):
            own = (r + N) % (2 * N)
            logits = [(float(s[r, k]) - (float(margin[r]) if k == own else 0)) / 0.3 for k in range(2 * N)]
            below = sum(math.exp(x) for k, x in enumerate(logits) if k != r)
            expected += (math.log(below) - logits[own]) / (2 * N)
    assert total(paid) == pytest.approx(expected, abs=1e-10)
