"""The shared arithmetic, each piece alone."""

import math

import pytest
import torch

from core.losses.scores import distance, less_margin, similarity, twice, without

HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", HALVES)
def test_short_floats_are_multiplied_in_float32(dtype: torch.dtype):
    a = torch.full((1, 64), 0.1, dtype=dtype)
    exact = 64 * a[0, 0].double() ** 2
    assert similarity(a, a).dtype == distance(a, a, squared=False).dtype == torch.float32
    assert similarity(a, a).item() == pytest.approx(exact.item(), rel=1e-6)


@pytest.mark.parametrize("squared", [False, True])
def test_coinciding_points_have_distance_and_gradient_zero(squared: bool):
    a = torch.ones(2, 3, requires_grad=True)
    d = distance(a, torch.ones(2, 3), squared)
    d.sum().backward()
    assert d.eq(0).all()
    assert a.grad is not None
    assert a.grad.eq(0).all()


def test_near_points_keep_their_digits():
    a = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    b = a + torch.tensor([[0.0, 1e-9]], dtype=torch.float64)
    assert distance(a, b, squared=False).item() == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("apart", [1.0, 1e-2, 1e-4])
def test_distances_of_float32_are_those_of_float64_rounded(squared: bool, apart: float):
    g = torch.Generator().manual_seed(0)
    a, aside, weight = torch.randn(3, 2, 9, 9, generator=g).unbind()
    b = a + apart * aside
    found = []
    for dtype in (torch.float32, torch.float64):
        x, y = a.to(dtype).requires_grad_(), b.to(dtype).requires_grad_()
        d = distance(x, y, squared)
        assert d.dtype == dtype
        found.append([d.double(), *(z.double() for z in torch.autograd.grad((d * weight.to(dtype)).sum(), (x, y)))])
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("margin", [0.3, torch.tensor(0.3, dtype=torch.float64)], ids=["number", "tensor"])
def test_a_margin_is_taken_off_the_positives_alone_in_full_precision(margin: float | torch.Tensor):
    scores = torch.zeros(2, 2, dtype=torch.float64)
    asked = less_margin(scores, torch.eye(2, dtype=torch.bool), margin)
    assert asked.tolist() == [[-0.3, 0.0], [0.0, -0.3]]


def test_a_margin_per_anchor_belongs_to_its_row():
    asked = less_margin(torch.zeros(2, 2), torch.ones(2, 2, dtype=torch.bool), torch.tensor([0.25, 0.5]))
    assert asked.tolist() == [[-0.25, -0.25], [-0.5, -0.5]]


def test_the_excluded_become_minus_infinity_and_without_any_nothing_changes():
    logits = torch.tensor([[1.0, 2.0]])
    assert without(logits, torch.tensor([[False, True]])).tolist() == [[1.0, -math.inf]]
    assert without(logits, None) is logits


def test_a_margin_per_item_serves_both_views():
    assert twice(0.2) == 0.2
    assert twice(torch.tensor(0.5)).shape == ()
    assert twice(torch.tensor([1.0, 2.0])).tolist() == [1.0, 2.0, 1.0, 2.0]
