import pytest
import torch
import torch.nn.functional as F

from core.procedures.feature_transform import (
    Extrapolation,
    Interpolation,
    negative_interpolation,
    positive_extrapolation,
)
from core.streams import stream


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(shape, generator=stream(seed, "unit"), dtype=torch.float64), dim=-1)


@pytest.mark.parametrize("stretch", [0.0, 0.3, 1.0, 1.4, 2.0])
def test_the_score_of_a_pair_follows_the_papers_identity(stretch: float):
    a, b = unit(9, 5, seed=1), unit(9, 5, seed=2)
    score = (a * b).sum(1)
    far = positive_extrapolation(a, b, torch.tensor(stretch), Extrapolation())
    torch.testing.assert_close((far[0] * far[1]).sum(1), score + 2 * stretch * (1 - stretch) * (1 - score))


def test_above_1_every_positive_is_harder_below_1_easier_and_1_leaves_it():
    a, b = unit(9, 5, seed=1), unit(9, 5, seed=2)
    score = (a * b).sum(1)
    for stretch, sign in ((1.5, -1), (0.5, 1)):
        x, y = positive_extrapolation(a, b, torch.tensor(stretch), Extrapolation())
        assert (sign * ((x * y).sum(1) - score) > 0).all()
    assert all(map(torch.equal, positive_extrapolation(a, b, torch.ones(()), Extrapolation()), (a, b)))


def test_a_stretch_by_coordinate_keeps_the_sum_of_the_pair():
    a, b = unit(9, 5, seed=1), unit(9, 5, seed=2)
    x, y = positive_extrapolation(a, b, 1 + torch.rand(9, 5, generator=stream(0)).double(), Extrapolation())
    torch.testing.assert_close(x + y, a + b)


def test_unit_length_where_asked_and_nothing_breaks_where_a_pair_cancels():
    a, b = unit(9, 5, seed=1), unit(9, 5, seed=2)
    for z in positive_extrapolation(a, b, torch.tensor(1.7), Extrapolation(normalise=True)):
        torch.testing.assert_close(z.norm(dim=1), torch.ones(9).double())
    a.requires_grad_()
    x, _ = positive_extrapolation(a, -a.detach(), torch.tensor(0.5), Extrapolation(normalise=True))
    x.sum().backward()
    assert x.eq(0).all()
    assert a.grad is not None
    assert a.grad.isfinite().all()


def test_the_ends_of_the_share_are_the_entry_and_its_partner_and_a_mixture_is_never_longer():
    bank, order = unit(8, 5), torch.randperm(8, generator=stream(1))
    assert torch.equal(negative_interpolation(bank, order, torch.ones(()), Interpolation()), bank)
    assert torch.equal(negative_interpolation(bank, order, torch.zeros(()), Interpolation()), bank[order])
    mixed = negative_interpolation(bank, order, torch.rand(8, 1, generator=stream(2)).double(), Interpolation())
    assert (mixed.norm(dim=1) <= 1 + 1e-12).all()


def test_one_share_for_all_keeps_the_centre_of_the_bank():
    bank, order = unit(8, 5), torch.randperm(8, generator=stream(1))
    mixed = negative_interpolation(bank, order, torch.tensor(0.3).double(), Interpolation())
    torch.testing.assert_close(mixed.mean(0), bank.mean(0))
