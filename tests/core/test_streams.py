"""The only source of randomness: stable, addressed, independent."""

import math
import random
from itertools import combinations

import numpy as np
import pytest
import torch

from core.streams import drawing_from, stream

ADDRESSES = [
    (0, "batches", 0),
    (1, "batches", 0),
    (0, "batches", 1),
    (0, "mixing", 0),
    (0, "batches", "0"),
    (0, "batches", 0, 0),
    (0,),
    (0, "batches"),
    (0, "batches0"),
    (-1, "batches", 0),
]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ((0, "batches", 0), [1337538046, 380121105, 1116820945]),
        ((7, "mixing", 12), [1573279498, 598985702, 399194221]),
    ],
)
def test_a_draw_of_today_is_the_draw_of_tomorrow(address: tuple[int, str, int], expected: list[int]):
    seed, *purpose = address
    assert torch.randint(0, 2**31, (3,), generator=stream(seed, *purpose)).tolist() == expected


def test_the_same_address_gives_the_same_draws_whatever_was_drawn_before():
    first = torch.rand(5, generator=stream(3, "purpose", 4))
    torch.rand(100, generator=stream(3, "other"))
    kept = stream(3, "purpose", 4)
    torch.rand(7, generator=stream(3, "purpose", 4))
    assert torch.equal(first, torch.rand(5, generator=kept))


def test_a_module_draws_its_weights_from_an_address_and_leaves_the_generator_where_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with drawing_from(3, "weights", "left"):
        drawn = torch.nn.Linear(4, 2).weight
    assert torch.equal(torch.rand(3), expected)
    bound = 1 / math.sqrt(4)
    by_hand = (torch.rand(2, 4, generator=stream(3, "weights", "left")) * 2 - 1) * bound
    torch.testing.assert_close(drawn.detach(), by_hand)


def test_every_part_of_the_address_counts():
    seeds = [stream(seed, *purpose).initial_seed() for seed, *purpose in ADDRESSES]
    assert len(set(seeds)) == len(ADDRESSES)


def test_streams_are_uncorrelated():
    n = 4000
    draws = [torch.randn(n, generator=stream(seed, *purpose), dtype=torch.float64) for seed, *purpose in ADDRESSES]
    for x, y in combinations(draws, 2):
        assert abs(x @ y) / n < 4 / math.sqrt(n)


def test_the_first_draws_of_many_streams_are_uniform():
    first = torch.tensor([torch.rand((), generator=stream(0, "step", i)).item() for i in range(2000)])
    assert abs(first.mean() - 0.5) < 4 / math.sqrt(12 * 2000)
    assert first.unique().numel() > 1990
    lagged = (first[1:] - 0.5) @ (first[:-1] - 0.5) / 1999 * 12
    assert abs(lagged) < 4 / math.sqrt(2000)


def test_no_global_generator_is_touched():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]  # noqa: NPY002
    torch.rand(3, generator=stream(0, "anything"))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert (states[2] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_the_generator_lives_on_the_cpu():
    assert stream(0, "anything").device.type == "cpu"
