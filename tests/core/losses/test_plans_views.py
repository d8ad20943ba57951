"""Plans and identities of weighted DCL and of the losses over several views."""

import math

import pytest
import torch

from core.losses.dcl import DCL, dcl
from core.losses.dclw import DCLW, dclw
from core.losses.multiview import MVDHEL, MVPVC, MVPWE, MVAvg, MVInfoNCE, mv_avg, mv_dhel, mv_infonce, mv_pvc, mv_pwe
from core.losses.nt_xent import NTXent, nt_xent
from core.paid import Role
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
