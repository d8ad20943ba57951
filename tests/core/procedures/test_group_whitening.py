"""Group whitening: what it makes of a batch, and what flows back through it."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.testing import assert_close

from core.procedures.group_whitening import GroupWhitening, group_whitening


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orders(views: int, dims: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(dims, generator=g) for _ in range(views)])


def covariance(y: Tensor) -> Tensor:
    return y.mT @ y / y.shape[1]


@pytest.mark.parametrize("channels", [1, 3, 4, 20])
def test_within_a_group_the_covariance_becomes_the_identity(channels: int):
    x, order = drawn(2, 40, 8) @ drawn(8, 8, seed=1), orders(2, 8)
    y = group_whitening(x, order, GroupWhitening(channels=channels))
    assert_close(y.mean(dim=1), torch.zeros(2, 8, dtype=torch.float64))
    for view, places in zip(y, order, strict=True):
        for group in places.split(channels):
            own = view[:, group]
            assert_close(covariance(own[None])[0], torch.eye(len(group), dtype=torch.float64))


def test_between_groups_correlations_remain():
    x = drawn(1, 40, 1).expand(1, 40, 4) + 0.1 * drawn(1, 40, 4, seed=1)
    y = group_whitening(x, torch.arange(4)[None], GroupWhitening(channels=2))
    between = covariance(y)[0, :2, 2:]
    assert between.abs().max() > 0.2


def test_single_channels_are_only_standardised_and_no_order_matters():
    x = drawn(1, 30, 5) * torch.arange(1, 6) + 3
    by_hand = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True, correction=0)
    p = GroupWhitening(channels=1)
    assert_close(group_whitening(x, orders(1, 5), p), by_hand)
    assert_close(group_whitening(x, orders(1, 5, seed=3), p), by_hand)


def test_a_white_batch_is_left_alone_and_a_larger_or_moved_one_gives_the_same():
    x, order = drawn(1, 30, 6), orders(1, 6)
    p = GroupWhitening(channels=6)
    white = group_whitening(x, order, p)
    assert_close(group_whitening(white, order, p), white)
    assert_close(group_whitening(7 * x + drawn(6, seed=2), order, p), white)


def test_two_views_of_the_same_vectors_differ_by_their_shuffles_alone():
    x = (drawn(1, 30, 6) @ drawn(6, 6, seed=1)).expand(2, 30, 6)
    same = torch.arange(6).expand(2, 6)
    first, second = group_whitening(x, same, GroupWhitening(channels=2))
    assert torch.equal(first, second)
    first, second = group_whitening(x, orders(2, 6), GroupWhitening(channels=2))
    assert (first - second).norm(dim=1).mean() > 0.3


@pytest.mark.parametrize("channels", [2, 5])
def test_the_whole_gradient_equals_finite_differences_and_the_held_one_is_of_the_centring(channels: int):
    x, order = drawn(2, 9, 5).requires_grad_(), orders(2, 5)
    full = GroupWhitening(channels=channels, whiten_grad="full")
    assert gradcheck(lambda v: group_whitening(v, order, full), (x,))
    stop = GroupWhitening(channels=channels)
    up = drawn(2, 9, 5, seed=4)
    (found,) = torch.autograd.grad((group_whitening(x, order, stop) * up).sum(), x)
    y = group_whitening(x, order, stop).detach()
    centre = (x - x.mean(dim=1, keepdim=True)).detach()
    matrix = torch.linalg.lstsq(centre, y).solution
    assert_close(found, (up - up.mean(dim=1, keepdim=True)) @ matrix.mT)


@pytest.mark.parametrize("case", ["equal variances", "fewer items than channels", "collapsed"])
def test_the_whole_gradient_is_right_where_variances_coincide_or_vanish(case: str):
    white = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)[None]
    x = {"equal variances": white, "fewer items than channels": drawn(1, 3, 5), "collapsed": torch.ones(1, 4, 3)}[case]
    x = x.double().clone().requires_grad_()
    order = torch.arange(x.shape[-1])[None]
    p = GroupWhitening(channels=8, whiten_grad="full", floor=0.05)
    assert group_whitening(x, order, p).isfinite().all()
    assert gradcheck(lambda v: group_whitening(v, order, p), (x,))


def test_short_floats_are_whitened_in_float32():
    x = drawn(1, 30, 6).bfloat16()
    p = GroupWhitening()
    assert_close(group_whitening(x, orders(1, 6), p), group_whitening(x.float(), orders(1, 6), p))
