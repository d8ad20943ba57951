import pytest
import torch

from core.diagnostics.coupling import coupling, variation
from core.losses.dcl import DCL, dcl
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.nt_xent import NTXent, nt_xent
from core.paid import Pairs, Role
from tests.core.diagnostics.clouds import one_row, unit


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5, 2.0])
def test_it_is_the_factor_between_the_gradients_of_nt_xent_and_dcl(temperature: float):
    a, b = (unit(5, 7, s, torch.float64).requires_grad_() for s in (1, 2))
    whole, decoupled = nt_xent(a, b, NTXent(temperature=temperature)), dcl(a, b, DCL(temperature=temperature))
    q = coupling(whole.pairs[0], temperature=temperature)
    for anchor in range(10):
        mine, theirs = (
            torch.autograd.grad(paid.terms[""].per[anchor], (a, b), retain_graph=True) for paid in (whole, decoupled)
        )
        for g, h in zip(mine, theirs, strict=True):
            torch.testing.assert_close(g, q[anchor] * h, rtol=1e-9, atol=1e-12)


def test_with_equal_scores_it_is_the_share_of_the_negatives():
    assert float(coupling(one_row([0.3] * 8, positives=1))) == pytest.approx(7 / 8)


def test_it_falls_as_the_positive_nears_and_rises_with_the_number_of_negatives():
    near = [float(coupling(one_row([s, 0.0, 0.1], positives=1))) for s in (0.0, 0.3, 0.6, 0.9)]
    assert near == sorted(near, reverse=True)
    many = [float(coupling(one_row([0.5, *[0.0] * n], positives=1))) for n in (1, 4, 16, 64)]
    assert many == sorted(many)


def test_what_is_excluded_counts_for_nothing_and_nobody_to_push_is_full_coupling():
    row = one_row([0.5, 0.2, 0.9], positives=1)
    role = row.role.clone()
    role[0, 2] = Role.EXCLUDED
    assert coupling(Pairs(row.scores, role)).tolist() == pytest.approx(
        coupling(one_row([0.5, 0.2], positives=1)).tolist()
    )
    assert float(coupling(one_row([0.5], positives=1))) == 0


def test_it_carries_no_graph():
    a = unit(4, 3).requires_grad_()
    assert not coupling(info_nce(a, a, InfoNCE()).pairs[0]).requires_grad


def test_variation_is_the_spread_in_units_of_the_mean():
    assert variation(torch.tensor([1.0, 3.0])) == pytest.approx(0.5)
    assert variation(torch.full((5,), 0.7)) == pytest.approx(0, abs=1e-7)
