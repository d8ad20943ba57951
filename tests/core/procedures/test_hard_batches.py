"""Batches of neighbours: who is near whom, and who meets."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.procedures.hard_batches import (
    NearestCounterparts,
    NearestPlaces,
    NeighbourBatches,
    nearest_counterparts,
    nearest_places,
    neighbour_batches,
)

SIZE, K = 120, 20


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def on_a_ring(n: int = SIZE, k: int = K) -> Tensor:
    """(n, k) neighbours of items on a ring: one step ahead, one back, two ahead, ..."""
    steps = torch.tensor([sign * step for step in range(1, k // 2 + 1) for sign in (1, -1)])
    return (torch.arange(n)[:, None] + steps) % n


def built(p: NeighbourBatches, seed: int = 0, neighbours: Tensor | None = None) -> Tensor:
    found = on_a_ring() if neighbours is None else neighbours
    g = generator(seed)
    return neighbour_batches(found, torch.randperm(len(found), generator=g), torch.rand(found.shape, generator=g), p)


def test_the_nearest_places_are_those_of_the_haversine_across_the_date_line_too():
    places = [[0.0, 179.7], [0.0, -179.9], [0.0, 170.0], [60.0, 179.9], [89.0, 0.0], [89.0, 180.0], [-45.0, 20.0]]

    def far(x: list[float], y: list[float]) -> float:
        (p, q), (r, s) = ([math.radians(v) for v in place] for place in (x, y))
        return math.acos(min(1, math.sin(p) * math.sin(r) + math.cos(p) * math.cos(r) * math.cos(q - s)))

    wanted = [
        sorted((j for j in range(7) if j != i), key=lambda j, i=i: far(places[i], places[j]))[:3] for i in range(7)
    ]
    found = nearest_places(torch.tensor(places, dtype=torch.float64), NearestPlaces(k=3))
    assert found.tolist() == wanted
    assert found[0, 0] == 1
    assert found[4, 0] == 5


def test_the_nearest_counterparts_are_the_most_similar_of_the_other_view_without_the_own_match():
    a, b = (F.normalize(torch.randn(30, 5, generator=generator(s), dtype=torch.float64), dim=1) for s in (1, 2))
    found = nearest_counterparts(a, b, NearestCounterparts(k=29))
    scores = (a @ b.T).gather(1, found)
    assert (scores.diff(dim=1) <= 0).all()
    assert not (found == torch.arange(30)[:, None]).any()
    assert torch.equal(
        nearest_counterparts(a, a, NearestCounterparts(k=4)), nearest_counterparts(a, 3 * a, NearestCounterparts(k=4))
    )


@pytest.mark.parametrize("k", [3, 5])
def test_more_neighbours_than_there_are_others_are_refused(k: int):
    z = torch.randn(3, 2, generator=generator())
    with pytest.raises(ValueError, match="2 others"):
        nearest_places(z, NearestPlaces(k=k))
    with pytest.raises(ValueError, match="2 others"):
        nearest_counterparts(z, z, NearestCounterparts(k=k))


@pytest.mark.parametrize(("batch", "select"), [(2, 2), (16, 8), (25, 12), (100, 20), (120, 64)])
def test_every_item_comes_at_most_once_and_batches_are_full(batch: int, select: int):
    found = built(NeighbourBatches(batch=batch, select=select))
    assert found.shape == (SIZE // batch, batch)
    assert len(found.unique()) == found.numel()
    assert 0 <= found.min() <= found.max() < SIZE


def test_a_batch_begins_with_a_seed_its_nearest_and_drawn_ones_of_its_further_neighbours():
    for seed in range(5):
        first = built(NeighbourBatches(batch=9, select=8), seed)[0]
        order = torch.randperm(SIZE, generator=generator(seed))
        mine = on_a_ring()[first[0]]
        assert first[0] == order[0]
        assert torch.equal(first[1:5], mine[:4])
        assert set(first[5:].tolist()) <= set(mine[4:].tolist())
    assert not torch.equal(built(NeighbourBatches(batch=9, select=8))[0], mine[:9])


def test_those_drawn_are_any_of_the_further_neighbours():
    order, g = torch.arange(SIZE), generator()
    p = NeighbourBatches(batch=9, select=8)
    steps: set[int] = set()
    for _ in range(60):
        batch = neighbour_batches(on_a_ring(), order, torch.rand(SIZE, K, generator=g), p)[0]
        steps |= set(batch[5:].tolist())
    assert steps == set(on_a_ring()[0, 4:].tolist())


def test_items_in_a_batch_are_nearer_than_in_a_shuffled_one():
    def apart(batches: Tensor) -> float:
        gap = (batches[:, :, None] - batches[:, None, :]).abs()
        ring = torch.minimum(gap, SIZE - gap).double()
        return float(ring.sum() / (ring.numel() - ring.shape[0] * ring.shape[1]))

    shuffled = torch.randperm(SIZE, generator=generator(9)).reshape(-1, 12)
    for seed in range(5):
        assert apart(built(NeighbourBatches(batch=12, select=10), seed)) < apart(shuffled)


def test_item_0_is_a_neighbour_like_any_other_unless_as_released():
    order, draws = torch.tensor([1, 0, *range(2, SIZE)]), torch.rand(SIZE, K, generator=generator())
    fair, released = (
        neighbour_batches(on_a_ring(), order, draws, NeighbourBatches(batch=8, select=8, as_released=x))
        for x in (False, True)
    )
    assert fair[0].tolist()[:3] == [1, 2, 0]
    assert 0 not in released[0].tolist()
    assert 0 in released.flatten().tolist()


def test_the_same_draws_make_the_same_batches():
    p = NeighbourBatches(batch=12, select=10)
    assert torch.equal(built(p), built(p))
    assert not torch.equal(built(p), built(p, 1))
