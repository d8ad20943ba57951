"""Which steps of two sequences stand out, and what they are told from."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from core.procedures.activation import Activation, Moments, activation, moments
from core.streams import stream


def lengths(*rows: list[float]) -> Tensor:
    """(B, T, 2) sequences whose steps have these lengths."""
    return torch.tensor(rows, dtype=torch.float64)[..., None] * torch.tensor([0.6, -0.8], dtype=torch.float64)


def picked(one: Tensor, other: Tensor, **settings: Any) -> list[list[int]]:
    return moments(one, other, Moments(**settings))[:, 0].tolist()


def test_activations_have_mean_0_and_deviation_1_and_equal_steps_have_none():
    a = activation(torch.randn(4, 20, 3, generator=stream(0, "steps"), dtype=torch.float64), Activation())
    assert_close(a.mean(dim=1), torch.zeros(4, dtype=torch.float64))
    assert_close(a.std(dim=1, correction=0), torch.ones(4, dtype=torch.float64), rtol=1e-4, atol=0)
    assert activation(lengths([3.0] * 5), Activation()).abs().max() < 1e-6


def test_the_points_are_the_strongest_of_the_sum_or_of_each_alone():
    """The fourth step is loud in sight alone; the first in sound, and somewhat in sight."""
    sight, sound = lengths([4, 2, 1, 6, 1, 1]), lengths([9, 3, 1, 1, 1, 1])
    assert picked(sight, sound, share=0.34) == [[1, -1, -1, 1, -1, -1]] * 2
    louder = lengths([12, 8, 1, 1, 1, 1])
    assert picked(lengths([4, 4, 1, 5, 1, 1]), louder, share=0.34) == [[1, 1, -1, -1, -1, -1]] * 2
    own = picked(sight, sound, share=0.34, guided="own")
    assert own == [[1, -1, -1, 1, -1, -1], [1, 1, -1, -1, -1, -1]]


def test_the_weakest_are_as_many_as_the_points_and_the_others_are_neither():
    x = lengths([1, 2, 3, 4, 5, 6])
    assert picked(x, x, share=0.34, against="weakest") == [[-1, -1, 0, 0, 1, 1]] * 2
    assert picked(x, x, share=0.9, against="weakest") == [[-1, 1, 1, 1, 1, 1]] * 2


@pytest.mark.parametrize(("steps", "points"), [(1, 1), (2, 2), (3, 2), (10, 2), (32, 6)])
def test_two_steps_at_least_are_points(steps: int, points: int):
    x = torch.arange(steps, dtype=torch.float64)[None, :, None]
    found = moments(x, x, Moments())
    assert (found == 1).sum(dim=2).tolist() == [[points], [points]]
    assert (found == -1).sum(dim=2).tolist() == [[steps - points], [steps - points]]
