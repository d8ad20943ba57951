"""The device that stands in for a GPU takes what a GPU takes and refuses what a GPU refuses."""

import pytest
import torch

from tests.core.elsewhere import Far, elsewhere, here, there

X = torch.arange(6.0).reshape(3, 2)


def test_it_says_where_it_is_and_computes():
    with elsewhere():
        z = there(X)
        made = [z @ z.T, torch.zeros(2, device=z.device), torch.tensor([1.0], device=z.device), z.new_tensor([2.0])]
        assert all(isinstance(x, Far) and x.is_meta for x in (*made, torch.ones(2).to(z)))
        assert torch.equal(here(z @ z.T), X @ X.T)
        assert float(z.sum()) == 15
        assert z.tolist() == X.tolist()
        assert not isinstance(z.cpu(), Far)


def test_views_and_gradients_stay_there():
    with elsewhere():
        z = there(X.clone()).requires_grad_()
        (slope,) = torch.autograd.grad(z.square().sum(), z)
        assert torch.equal(here(slope), 2 * X)
        table = torch.zeros(2, 2, device=z.device)
        table.diagonal().fill_(1)
        table[0].mul_(3)
        assert table.tolist() == [[3, 0], [0, 1]]


def test_numbers_and_indices_may_come_from_the_cpu():
    with elsewhere():
        z = there(X)
        assert here(z + torch.tensor(1.0)).tolist() == (X + 1).tolist()
        assert z[torch.tensor([2, 0])].tolist() == X[[2, 0]].tolist()


@pytest.mark.parametrize(
    "mixed", [lambda z: z + torch.ones(3, 2), lambda z: torch.cat([z, torch.ones(1, 2)]), lambda z: torch.eye(3) @ z]
)
def test_a_tensor_of_the_cpu_gives_itself_away(mixed):
    with elsewhere(), pytest.raises(AssertionError, match="mixes"):
        mixed(there(X))


def test_numpy_reads_nothing_over_there():
    with elsewhere(), pytest.raises(RuntimeError, match="numpy"):
        there(X).numpy()
