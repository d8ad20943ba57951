"""Plans and identities of weighted DCL and of the losses over several views, of the hardest negatives, and of CACR."""

import math

import pytest
import torch

from core.diagnostics.forces import forces
from core.losses.cacr import CACR, CACRMoCo, cacr, cacr_moco
from core.losses.dcl import DCL, dcl
from core.losses.dclw import DCLW, dclw
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.multiview import MVDHEL, MVPVC, MVPWE, MVAvg, MVInfoNCE, mv_avg, mv_dhel, mv_infonce, mv_pvc, mv_pwe
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.registry import LOSSES
from core.losses.understanding_cl import HardContrastive, SimpleContrastive
from core.paid import Role
from core.streams import stream
from tests.core.diagnostics.clouds import unit


def views(count: int, size: int = 6, dim: int = 5, seed: int = 0) -> torch.Tensor:
    return unit(count * size, dim, seed, torch.float64).unflatten(0, (count, size))


def test_dclw_is_dcl_where_all_pairs_are_equally_far():
    a = unit(6, 5, 1, torch.float64)
    torch.testing.assert_close(dclw(a, a, DCLW()).terms[""].per, dcl(a, a, DCL()).terms[""].per)


def test_the_weights_of_dclw_have_mean_one_and_are_larger_for_distant_pairs():
    a, b = unit(8, 5, 1, torch.float64), unit(8, 5, 2, torch.float64)
    own, tau = (a * b).sum(dim=1), DCLW().temperature
    weight = 1 + (dcl(a, b, DCL()).terms[""].per - dclw(a, b, DCLW()).terms[""].per)[:8] / (own / tau)
    assert float(weight.mean()) == pytest.approx(1)
    assert weight[own.argsort()].diff().lt(0).all()


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize(("loss", "params"), [(mv_pvc, MVPVC), (mv_pwe, MVPWE), (mv_avg, MVAvg)])
def test_with_two_views_the_pairwise_losses_are_nt_xent(loss, params, temperature: float):
    z = views(2)
    expected = nt_xent(z[0], z[1], NTXent(temperature=temperature)).total()
    torch.testing.assert_close(loss(z, params(temperature=temperature)).total(), expected, rtol=1e-12, atol=1e-12)


def test_with_two_views_mv_infonce_is_not_nt_xent():
    z = views(2)
    difference = mv_infonce(z, MVInfoNCE()).total() - nt_xent(z[0], z[1], NTXent()).total()
    assert abs(float(difference)) > 1e-3


@pytest.mark.parametrize("count", [2, 3, 5])
def test_what_each_pays_when_everything_has_collapsed(count: int):
    size = 4
    z = unit(1, 5, 0, torch.float64).expand(count * size, -1).unflatten(0, (count, size))
    pairs_of_views = count * (count - 1)
    for paid, expected in (
        (mv_infonce(z, MVInfoNCE()), math.log(count * (count * size - 1) / pairs_of_views)),
        (mv_dhel(z, MVDHEL()), count * (math.log(size - 1) + 2) - math.log(pairs_of_views / 2) - 2),
        (mv_pvc(z, MVPVC()), math.log(1 + count * (size - 1))),
        (mv_pwe(z, MVPWE()), math.log(1 + 2 * (size - 1))),
        (mv_avg(z, MVAvg()), math.log(1 + 2 * (size - 1))),
    ):
        assert float(paid.total()) == pytest.approx(expected)


@pytest.mark.parametrize(("loss", "params"), [(mv_infonce, MVInfoNCE), (mv_dhel, MVDHEL), (mv_pwe, MVPWE)])
def test_the_order_of_the_views_does_not_matter(loss, params):
    z = views(4)
    torch.testing.assert_close(loss(z, params()).total(), loss(z[[2, 0, 3, 1]], params()).total())


def test_mv_dhel_pushes_within_a_view_only():
    z = views(3).requires_grad_()
    paid = mv_dhel(z, MVDHEL())
    (force,) = torch.autograd.grad(paid.total(), paid.pairs[0].scores)
    within = torch.block_diag(*[torch.ones(6, 6, dtype=torch.bool)] * 3)
    assert (force[paid.pairs[0].role == Role.NEGATIVE] > 0).all()
    assert ((force > 0) <= within).all()
    other_half = paid.pairs[0].role == Role.POSITIVE
    torch.testing.assert_close(force.where(other_half, 0), force.where(other_half, 0).T)


A, B = unit(9, 5, 1, torch.float64), unit(9, 5, 2, torch.float64)
HARD = ((LOSSES["hard_contrastive"], HardContrastive), (LOSSES["simple_contrastive"], SimpleContrastive))


def planned(entry, p, **more: torch.Tensor) -> torch.Tensor:
    return entry.complete({"a": A, "b": B, **more}, p, stream(0, "plan"))["hardest"]


@pytest.mark.parametrize(("entry", "params"), HARD)
@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (1 / 8, 1), (0.3, 3), (3 / 8, 3), (0.5, 4), (1.0, 8)])
def test_the_hardest_share_of_each_anchors_negatives_is_picked_rounded_up(entry, params, share: float, count: int):
    hardest, scores = planned(entry, params(hardest=share)), A @ B.T
    others = ~torch.eye(9, dtype=torch.bool)
    assert (hardest.sum(dim=1) == count).all()
    assert not (hardest & ~others).any()
    least = scores.masked_fill(~hardest, math.inf).amin(dim=1)
    assert (scores.masked_fill(hardest | ~others, -math.inf).amax(dim=1) <= least).all()


def test_what_is_excluded_is_not_picked_and_does_not_count():
    exclude = torch.zeros(9, 9, dtype=torch.bool)
    exclude[0, 1:5] = True
    hardest = planned(*HARD[0][:1], HardContrastive(hardest=0.5), exclude=exclude)
    assert not (hardest & exclude).any()
    assert hardest.sum(dim=1).tolist() == [2, *[4] * 8]


def test_the_share_is_of_equal_scores_too():
    point = A[:1].expand(9, -1)
    p = HardContrastive(hardest=0.5)
    made = HARD[0][0].complete({"a": point, "b": point}, p, stream(0, "plan"))["hardest"]
    assert (made.sum(dim=1) == 4).all()


def pay(entry, p) -> torch.Tensor:
    return entry.pay({"a": A, "b": B}, p, stream(0, "plan")).total()


def test_with_all_negatives_the_hard_loss_is_info_nce():
    expected = info_nce(A, B, InfoNCE(temperature=0.3)).total()
    torch.testing.assert_close(pay(HARD[0][0], HardContrastive(temperature=0.3, hardest=1)), expected)


def test_the_simple_loss_is_what_info_nce_tends_to_at_a_high_temperature():
    """tau (L - log B) -> -s_ii + mean of all s, of which the positive is one; negatives alone weigh B / (B - 1)."""
    hot, scores = 1000.0, A @ B.T
    limit = hot * (torch.logsumexp(scores / hot, dim=1) - scores.diagonal() / hot - math.log(9))
    simple = pay(HARD[1][0], SimpleContrastive()) * 8 / 9
    assert float(limit.mean()) == pytest.approx(float(simple), abs=1e-3)


def test_the_hardest_negative_alone_at_a_low_temperature_is_a_triplet_without_margin():
    scores = A @ B.T
    nearest = scores.masked_fill(torch.eye(9, dtype=torch.bool), -math.inf).amax(dim=1)
    expected = torch.relu(nearest - scores.diagonal()).mean()
    paid = 0.01 * pay(HARD[0][0], HardContrastive(temperature=0.01, hardest=0.01))
    assert float(paid) == pytest.approx(float(expected), abs=0.007)


def test_the_harder_the_negatives_the_more_hard_simple_pays():
    paid = [float(pay(HARD[1][0], SimpleContrastive(hardest=share))) for share in (0.01, 0.25, 0.5, 1.0)]
    assert paid == sorted(paid, reverse=True)


def test_without_sharpness_cacr_is_alignment_less_the_mean_distance_of_negatives():
    z = views(4)
    d2 = torch.cdist(z.flatten(0, 1), z.flatten(0, 1)).square().unflatten(0, (4, 6)).unflatten(2, (4, 6))
    near = [d2[x, i, y, i] for x in range(4) for y in range(4) if x != y for i in range(6)]
    far = [d2[x, i, y, j] for x in range(4) for y in range(x) for i in range(6) for j in range(6) if i != j]
    paid = cacr(z, z, CACR(positive=0, negative=0)).total()
    torch.testing.assert_close(paid, torch.stack(near).mean() - torch.stack(far).mean())


def test_the_farther_positive_and_the_nearer_negative_have_the_larger_force_where_the_weights_are_held():
    z = views(4).requires_grad_()
    paid = cacr(z, z.detach(), CACR(held=True))
    (scores, role), (force,) = (paid.pairs[0].scores, paid.pairs[0].role), forces(paid)
    for x in range(24):
        positive = role[x] == Role.POSITIVE
        assert (-force[x][positive])[scores[x][positive].argsort()].diff().lt(0).all()
    for x in range(18):
        for y in range(x // 6 + 1, 4):
            own = slice(6 * y, 6 * y + 6)
            negative = role[x, own] == Role.NEGATIVE
            assert force[x, own][negative][scores[x, own][negative].argsort()].diff().gt(0).all()


def test_the_sharper_the_farther_are_the_positives_and_the_nearer_the_negatives_that_count():
    z = views(4)
    pulls, pushes = [], []
    for sharpness in (0.0, 0.5, 1.0, 3.0, 5.0):
        terms = cacr(z, z, CACR(positive=sharpness, negative=sharpness)).terms
        pulls.append(float(terms["attraction"].value()))
        pushes.append(float(terms["repulsion"].value()))
    assert pulls == sorted(pulls)
    assert pushes == sorted(pushes)


def test_holding_the_weights_changes_gradients_and_not_what_is_paid():
    z = views(4).requires_grad_()
    free, held = (cacr(z, z.detach(), CACR(held=held)).total() for held in (False, True))
    torch.testing.assert_close(free, held)
    g, h = (torch.autograd.grad(total, z, retain_graph=True)[0] for total in (free, held))
    assert float((g - h).abs().max()) > 1e-4


def test_the_plan_of_cacr_holds_the_views_as_they_stand():
    entry, z = LOSSES["cacr_moco"], views(2).requires_grad_()
    made = entry.complete({"views": z, "teacher": A[:6]}, CACRMoCo(), stream(0, "plan"))["fixed_views"]
    assert torch.equal(made, z)
    assert not made.requires_grad


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_against_a_teacher_one_view_of_cacr_is_info_nce_up_to_the_scale(temperature: float):
    z, keys = views(1), unit(6, 5, 3, torch.float64)
    paid = cacr_moco(z, keys, z, CACRMoCo(temperature=temperature))
    expected = 2 * temperature * info_nce(z[0], keys, InfoNCE(temperature=temperature)).total()
    torch.testing.assert_close(paid.total(), expected)


def test_the_view_that_is_farthest_from_its_key_weighs_most():
    z, keys = views(3).requires_grad_(), unit(6, 5, 3, torch.float64)
    one = z.detach()[:1].expand(3, -1, -1)
    costs = cacr_moco(one, keys, one, CACRMoCo()).terms[""].per.reshape(3, 6)
    torch.testing.assert_close(costs[0], costs[2])
    weighed = cacr_moco(one, keys, z.detach(), CACRMoCo()).terms[""].per.reshape(3, 6)
    distance = (z.detach() - keys).square().sum(dim=2)
    assert torch.equal(weighed.argmax(dim=0), distance.argmax(dim=0))
    torch.testing.assert_close(weighed.sum(dim=0), costs.sum(dim=0))


def test_as_released_the_euclidean_form_grows_with_the_batch():
    z, keys = views(2), unit(6, 5, 3, torch.float64)
    mean, summed = (cacr_moco(z, keys, z, CACRMoCo(cost="euclidean", as_released=r)).total() for r in (False, True))
    torch.testing.assert_close(summed, 6 * mean)
