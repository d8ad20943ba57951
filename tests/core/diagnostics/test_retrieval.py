import itertools
import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from core.diagnostics.retrieval import (
    chance_recall,
    every_way,
    median,
    place,
    place_both,
    places,
    retrieval,
    retrieval_as_released,
    summarise,
    summarise_as_released,
    worst,
)
from tests.core.diagnostics.clouds import unit


def orders(row: list[float]) -> list[tuple[int, ...]]:
    """Every order of the gallery in which no score comes before a higher one."""
    return [
        p for p in itertools.permutations(range(len(row))) if all(row[i] >= row[j] for i, j in itertools.pairwise(p))
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), min_size=1, max_size=4), st.data())
def test_ranks_equal_the_mean_over_every_order_of_the_ties(table, data):
    target = [data.draw(st.integers(0, 4)) for _ in table]
    found = places(torch.tensor(table), torch.tensor(target))
    for q, row in enumerate(table):
        ranks = [1 + order.index(target[q]) for order in orders(row)]
        assert found.rank()[q].item() == pytest.approx(statistics.mean(ranks))
        assert found.rank(pessimistic=True)[q].item() == max(ranks)
        for k in (1, 2, 3, 5, 10):
            assert found.hit(k)[q].item() == pytest.approx(statistics.mean(rank <= k for rank in ranks))
            assert found.hit(k, pessimistic=True)[q].item() == (max(ranks) <= k)


@pytest.mark.parametrize("n", [12, 1300])
def test_without_ties_it_equals_scikit_learn_and_sorting(n):
    a, b = unit(n, 6, 1), unit(n, 6, 2)
    b = torch.nn.functional.normalize(a + 0.7 * b, dim=1)
    found, scores = retrieval(a, b), (a.double() @ b.double().T).numpy()
    for k, seen in ((1, found.r1), (5, found.r5), (10, found.r10)):
        assert seen == pytest.approx(top_k_accuracy_score(np.arange(n), scores, k=k), abs=1e-6)
    ranks = [1 + sum(s > row[i] for s in row) for i, row in enumerate(scores.tolist())]
    assert found.median_rank == statistics.median(ranks)
    assert (found.n, found.size, found.ties) == (n, n, 0)
    assert found == retrieval(a, b, pessimistic=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_collapsed_encoder_lands_on_chance(dtype):
    z = unit(1, 48, 3, dtype).expand(40, -1)
    jitter = z + 1e-8 * torch.randn(40, 48, dtype=dtype, generator=torch.Generator().manual_seed(0))
    for same in (z, jitter if dtype == torch.float32 else z):
        found = retrieval(same, same)
        assert (found.r1, found.r5, found.r10) == pytest.approx((1 / 40, 5 / 40, 10 / 40))
        assert (found.r1, found.r5, found.r10) == pytest.approx((found.chance1, found.chance5, found.chance10))
        assert found.median_rank == 20.5
        assert found.ties == 1
        worst = retrieval(same, same, pessimistic=True)
        assert (worst.r1, worst.r10, worst.median_rank) == (0, 0, 40)


def test_a_target_that_is_not_the_diagonal():
    gallery = torch.eye(4)
    found = retrieval(gallery[[2, 0]], gallery, np.array([2, 1]))
    assert found.r1 == 0.5
    assert found.n == 2
    assert found.size == 4
    assert found.ties == 0.5
    assert found.r5 == 1


def test_a_shuffled_gallery_gives_the_same_result():
    a, b = unit(30, 5, 1), unit(30, 5, 2)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    assert retrieval(a, b[order], order.argsort()) == retrieval(a, b)


def test_more_queries_than_a_chunk_keep_their_targets():
    gallery = unit(50, 16, 1)
    target = torch.arange(2100) % 50
    assert retrieval(gallery[target], gallery, target).r1 == 1
    assert retrieval(gallery[target], gallery, (target + 1) % 50).r1 == 0


def test_every_way_goes_both_ways_between_all():
    sides = {"image": unit(9, 4, 1), "name": unit(9, 4, 2), "sound": unit(9, 4, 3)}
    found = every_way(sides)
    assert set(found) == set(itertools.permutations(sides, 2))
    for (source, to), seen in found.items():
        assert seen == retrieval(sides[source], sides[to])
    assert found["image", "name"] != found["name", "image"]


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], [5.0, 1.0, 2.5], [4.0, 1.0, 2.0, 8.0]])
def test_the_median_lies_between_the_middle_two(values):
    assert median(torch.tensor(values)) == statistics.median(values)


def test_chance_is_never_above_one():
    assert (chance_recall(1, 4), chance_recall(10, 4)) == (0.25, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_no_numbers_never_count_as_hits(bad):
    with pytest.raises(ValueError, match="NaN or infinity"):
        places(torch.tensor([[0.1, bad]]))
    with pytest.raises(ValueError, match="NaN or infinity"):
        retrieval(torch.tensor([[bad, 0.0]]), torch.eye(2))


@pytest.mark.parametrize("target", [[0], [0, 3], [-1, 0]])
def test_targets_must_lie_in_the_gallery(target):
    with pytest.raises(ValueError, match="one index of a gallery column"):
        places(torch.zeros(2, 3), torch.tensor(target))


def test_only_unit_rows_are_searched():
    with pytest.raises(ValueError, match="unit rows"):
        retrieval(2 * torch.eye(3), torch.eye(3))


def test_an_optimist_and_a_pessimist_differ_only_in_ties():
    found = places(torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.5]]))
    assert summarise(found).r1 == 0.75
    assert summarise(found, pessimistic=True).r1 == 0.5


def test_the_mean_rank_and_the_recall_at_50_are_those_of_a_sorted_list():
    a, b = unit(120, 6, 1, torch.float64), unit(120, 6, 2, torch.float64)
    found = retrieval(a, b)
    ranks = [1 + sum(s > row[i] for s in row) for i, row in enumerate((a @ b.T).tolist())]
    assert found.mean_rank == pytest.approx(statistics.mean(ranks))
    assert found.r50 == pytest.approx(statistics.mean(rank <= 50 for rank in ranks))
    assert found.chance50 == pytest.approx(50 / 120)


def test_the_released_numbers_are_the_median_rounded_down_and_a_total_with_the_recall_at_50():
    """Ranks 1, 2, 3, 3: the median from 0 is 1.5, so 2 as released where the usual one is 2.5."""
    scores = torch.tensor([[3.0, 2, 1, 0], [3, 2, 1, 0], [3, 2, 1, 0], [3, 0, -1, 2]])
    target = torch.tensor([0, 1, 2, 1])
    found, usual = summarise_as_released(places(scores, target)), summarise(places(scores, target))
    assert (found.median_rank, usual.median_rank) == (2, 2.5)
    assert (found.r1, found.r5, found.total, found.mean_rank) == (0.25, 1, 2.25, 2.25)
    z, other = unit(30, 5, 3), unit(30, 5, 4)
    assert retrieval_as_released(z, other).r5 == pytest.approx(retrieval(z, other).r5)
    assert retrieval_as_released(z, z).total == 3


@pytest.mark.parametrize("n", [5, 1024, 1100])
def test_one_pass_places_both_ways(n):
    a, b = unit(n, 4, 1), unit(n, 4, 2)
    a[:3] = b[:3] = unit(1, 4, 3)
    for found, wanted in zip(place_both(a, b), (place(a, b), place(b, a)), strict=True):
        assert torch.equal(found.above, wanted.above)
        assert torch.equal(found.level, wanted.level)
        assert found.size == n
    with pytest.raises(ValueError, match="row by row"):
        place_both(a, b[1:])


def test_the_worst_queries_come_first_with_their_rank():
    found = places(torch.tensor([[9.0, 1, 1], [2, 1, 3], [1, 1, 1]]))
    order, rank = worst(found, 2)
    assert order.tolist() == [1, 2]
    assert rank.tolist() == [3, 2]
