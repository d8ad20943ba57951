"""Hinges in blocks of rows against the plain formula, where a batch fills several blocks and the last one in part."""

import pytest
import torch
from torch import Tensor

from core.losses import hinges
from core.losses.hinges import hinge_sums, hinge_worst
from tests.core.losses.meta import OnlyMeta

N = 37


def plainly(scores: Tensor, lead: Tensor) -> tuple[Tensor, Tensor]:
    asked = scores.diagonal() - lead
    others = ~torch.eye(len(scores), dtype=torch.bool)
    return (
        (torch.relu(scores - asked[:, None]) * others).sum(1),
        (torch.relu(scores - asked[None, :]) * others).sum(0),
    )


def made(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    scores = torch.randn(N, N, generator=g, dtype=dtype)
    scores[torch.rand(N, N, generator=g) < 0.1] = -torch.inf
    scores.diagonal().copy_(torch.randn(N, generator=g, dtype=dtype))
    lead, *weights = torch.randn(3, N, generator=g, dtype=dtype)
    return scores.requires_grad_(), lead.requires_grad_(), *weights


@pytest.mark.parametrize("rows", [1, 5, 36, 37, 100])
def test_sums_and_gradients_equal_the_plain_ones_in_any_number_of_blocks(rows: int, monkeypatch):
    monkeypatch.setattr(hinges, "BLOCK", rows * N + 3)
    scores, lead, u, v = made()
    found = []
    for call in (hinge_sums, plainly):
        by_row, by_column = call(scores, lead)
        total = (u * by_row + v * by_column).sum()
        found.append((by_row, by_column, *torch.autograd.grad(total, (scores, lead))))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_one_direction_alone_may_be_asked_for():
    scores, lead, _, _ = made()
    for k in (0, 1):
        mine, theirs = (
            torch.autograd.grad(call(scores, lead)[k].sum(), (scores, lead)) for call in (hinge_sums, plainly)
        )
        torch.testing.assert_close(mine, theirs)


def test_the_worst_rival_is_the_largest_of_the_plain_hinges():
    scores, lead, _, _ = made()
    others, asked = ~torch.eye(N, dtype=torch.bool), scores.diagonal() - lead
    rows, columns = hinge_worst(scores, lead)
    torch.testing.assert_close(rows, (torch.relu(scores - asked[:, None]) * others).amax(1))
    torch.testing.assert_close(columns, (torch.relu(scores - asked[None, :]) * others).amax(0))


def test_at_the_kink_nobody_is_pushed():
    scores = torch.full((3, 3), 0.5, dtype=torch.float64, requires_grad=True)
    rows, columns = hinge_sums(scores, 0.0)
    (rows.sum() + columns.sum()).backward()
    assert scores.grad is not None
    assert scores.grad.eq(0).all()


def test_a_second_derivative_is_refused_not_wrong():
    scores, lead, _, _ = made()
    (force,) = torch.autograd.grad(hinge_sums(scores, lead)[0].square().sum(), scores, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        force.sum().backward()


def test_several_blocks_run_on_the_meta_device(monkeypatch):
    monkeypatch.setattr(hinges, "BLOCK", 5 * N)
    scores, lead, _, _ = (x.detach().to("meta").requires_grad_() for x in made(torch.float32))
    with OnlyMeta():
        rows, columns = hinge_sums(scores, lead)
        (rows.sum() + columns.sum()).backward()
    assert scores.grad is not None
    assert scores.grad.is_meta
