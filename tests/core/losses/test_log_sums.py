"""Log-sums in blocks of rows against the plain formula, where a batch fills several blocks and the last one in part."""

import math

import pytest
import torch
from torch import Tensor

from core.losses import log_sums
from core.losses.log_sums import log_sum, log_sum_and_mean
from tests.core.losses.meta import OnlyMeta

ROWS, COLUMNS = 37, 23


def plainly(scores: Tensor, taken: Tensor, pulled: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    level = (scores / tau.reshape(-1, 1)).masked_fill(~taken, -torch.inf).logsumexp(dim=1)
    return level, (scores * pulled).sum(dim=1) / pulled.sum(dim=1).clamp_min(1)


def made(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The last row has none that is taken in its mask, and none that is pulled."""
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(ROWS, COLUMNS, generator=g, dtype=torch.float64)
    taken, pulled = torch.rand(2, ROWS, COLUMNS, generator=g) < 0.5
    taken[-1], pulled[-1] = False, False
    tau = 0.1 + torch.rand(ROWS, generator=g, dtype=torch.float64)
    return scores.requires_grad_(), taken, pulled, tau.requires_grad_()


@pytest.mark.parametrize("rows", [1, 5, 36, 37, 100])
@pytest.mark.parametrize("single", [False, True], ids=["a temperature each", "one temperature"])
def test_values_and_gradients_equal_the_plain_ones_in_any_number_of_blocks(rows: int, single: bool, monkeypatch):
    monkeypatch.setattr(log_sums, "BLOCK", rows * COLUMNS + 3)
    scores, taken, pulled, tau = made()
    tau = tau[0].detach().requires_grad_() if single else tau
    u, v = torch.randn(2, ROWS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for call in (log_sum_and_mean, plainly):
        level, mean = call(scores, taken, pulled, tau)
        total = (u[:-1] * level[:-1]).sum() + (v * mean).sum()
        found.append((level, mean, *torch.autograd.grad(total, (scores, tau))))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_without_a_mask_all_are_taken_and_a_number_is_a_temperature():
    scores, _, _, _ = made()
    torch.testing.assert_close(log_sum(scores, None, 0.5), (scores / 0.5).logsumexp(dim=1), rtol=0, atol=1e-12)


def test_a_row_with_none_is_minus_infinity_and_moves_nothing():
    scores, taken, _, tau = made()
    level = log_sum(scores, taken, tau)
    assert level[-1] == -torch.inf
    for force in torch.autograd.grad(torch.nn.functional.softplus(level).sum(), (scores, tau)):
        assert force.isfinite().all()
        assert force[-1].eq(0).all()


def test_scores_far_beyond_the_range_of_the_exponential_are_no_trouble():
    scores = torch.tensor([[1e4, -1e4], [-1e4, -1e4]], requires_grad=True)
    level = log_sum(scores, None, 0.01)
    (force,) = torch.autograd.grad(level.sum(), scores)
    torch.testing.assert_close(level, torch.tensor([1e6, -1e6 + math.log(2)]))
    torch.testing.assert_close(force, torch.tensor([[100.0, 0.0], [50.0, 50.0]]))


def test_a_second_derivative_is_refused_not_wrong():
    scores, taken, _, _ = made()
    level = log_sum(scores, taken)[:-1]
    (force,) = torch.autograd.grad(level.square().sum(), scores, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        force.sum().backward()


def test_several_blocks_run_on_the_meta_device(monkeypatch):
    monkeypatch.setattr(log_sums, "BLOCK", 5 * COLUMNS)
    scores, taken, pulled, tau = (x.detach().to("meta") for x in made())
    with OnlyMeta():
        level, mean = log_sum_and_mean(scores.requires_grad_(), taken, pulled, tau.requires_grad_())
        (level.sum() + mean.sum()).backward()
    assert scores.grad is not None
    assert scores.grad.is_meta
    assert tau.grad is not None
