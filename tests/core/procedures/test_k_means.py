"""k-means: who is grouped with whom, how large groups are, and into how many parts a class is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as Theirs
from torch import Tensor

from core.procedures.k_means import KMeans, Subclasses, k_means, subclasses

SEEDS = st.integers(0, 2**31)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(seed: int, n: int, d: int = 3) -> Tensor:
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def draws(seed: int, n: int) -> Tensor:
    return torch.rand(n, generator=generator(seed + 1))


def spent(z: Tensor, found: Tensor) -> float:
    """Sum of the squared distances to the means of the groups, item by item."""
    total = 0.0
    for own in set(found.tolist()):
        group = [z[i] for i in range(len(z)) if found[i] == own]
        mean = sum(group) / len(group)
        total += sum(float((x - mean).square().sum()) for x in group)
    return total


def blobs(seed: int, groups: int = 4, each: int = 12) -> tuple[Tensor, Tensor]:
    """Groups so far apart that two seeds fall into one of them once in a hundred million draws."""
    truth = torch.arange(groups).repeat_interleave(each)[torch.randperm(groups * each, generator=generator(seed))]
    return 1e5 * torch.eye(groups, dtype=torch.float64)[truth] + points(seed, groups * each, groups), truth


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_groups_that_lie_apart_are_found(seed):
    z, truth = blobs(seed)
    found = k_means(z, draws(seed, 4), KMeans(clusters=4))
    assert torch.equal(found[:, None] == found, truth[:, None] == truth)


@given(SEEDS, st.integers(1, 8), st.integers(8, 40))
@settings(max_examples=25, deadline=None)
def test_at_the_end_each_item_is_nearest_to_the_mean_of_its_own_group_and_no_group_is_empty(seed, clusters, n):
    z = points(seed, n)
    found = k_means(z, draws(seed, clusters), KMeans(clusters=clusters, rounds=1000))
    assert set(found.tolist()) == set(range(clusters))
    means = [z[found == own].mean(dim=0) for own in range(clusters)]
    for item, own in zip(z, found.tolist(), strict=True):
        far = [float((item - mean).norm()) for mean in means]
        assert far[own] <= min(far) + 1e-9


@given(SEEDS, st.integers(2, 7), st.integers(8, 40), st.booleans())
@settings(max_examples=25, deadline=None)
def test_groups_are_there_in_full_and_balanced_ones_differ_by_one_at_most(seed, clusters, n, balanced):
    found = k_means(points(seed, n), draws(seed, clusters), KMeans(clusters=clusters, balanced=balanced))
    sizes = found.bincount(minlength=clusters)
    assert int(sizes.min()) > 0
    if balanced:
        assert sorted(set(sizes.tolist())) == sorted({n // clusters, -(-n // clusters)})


def test_from_the_same_start_it_ends_where_another_implementation_does():
    z = points(3, 60, 2)
    start = k_means(z, draws(3, 5), KMeans(clusters=5, rounds=1))
    means = np.stack([z[start == own].mean(dim=0).numpy() for own in range(5)])
    theirs = Theirs(5, init=means, n_init=1, tol=0, max_iter=1000).fit(z.numpy())
    found = k_means(z, draws(3, 5), KMeans(clusters=5, rounds=1000))
    assert spent(z, found) == pytest.approx(float(theirs.inertia_), rel=1e-9)
    assert np.array_equal(found.numpy(), theirs.labels_)
    assert spent(z, found) < spent(z, start)


def test_a_further_item_is_more_likely_a_first_centre_and_one_that_is_taken_never_again():
    z = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    seconds = [
        int(k_means(z, torch.tensor([0.0, u]), KMeans(clusters=2, rounds=1))[1]) for u in (0.0, 0.09, 0.11, 0.99)
    ]
    assert seconds == [1, 1, 0, 0]


def test_equal_items_still_fill_every_group():
    assert set(k_means(torch.ones(6, 2), draws(0, 4), KMeans(clusters=4)).tolist()) == {0, 1, 2, 3}


def test_more_groups_than_items_are_refused():
    with pytest.raises(ValueError, match="got 3 items for 4 clusters"):
        k_means(torch.ones(3, 2), draws(0, 4), KMeans(clusters=4))


def test_the_nearest_pair_comes_first_and_what_is_left_over_goes_one_to_each():
    z = torch.tensor([[0.0], [0.1], [0.2], [0.3], [10.0]], dtype=torch.float64)
    found = k_means(z, torch.tensor([0.0, 0.999]), KMeans(clusters=2, rounds=1, balanced=True))
    assert found.tolist() == [0, 0, 0, 1, 1]


@given(SEEDS, st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 12), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_class_is_cut_into_as_many_parts_as_the_smallest_goes_into_it(seed, sizes, least, balanced):
    labels = torch.cat([torch.full((size,), own) for own, size in enumerate(sizes)])
    labels = labels[torch.randperm(len(labels), generator=generator(seed))]
    p = Subclasses(least=least, balanced=balanced)
    found = subclasses(points(seed, len(labels)), labels, draws(seed, len(labels)), p)
    parts = {own: set(found[labels == own].tolist()) for own in range(len(sizes))}
    assert [len(parts[own]) for own in parts] == [max(1, size // max(min(sizes), least)) for size in sizes]
    assert sorted(part for own in parts.values() for part in own) == list(range(int(found.max()) + 1))


def test_the_parts_of_a_class_are_its_own_k_means():
    z, labels = points(5, 40), torch.arange(40) % 2
    found = subclasses(z, labels, draws(5, 40), Subclasses(least=5))
    for own in (0, 1):
        alone = k_means(z[labels == own], draws(5, 40)[labels == own], KMeans(clusters=1))
        assert torch.equal(found[labels == own], own + alone)
    cut = subclasses(z, torch.zeros_like(labels), draws(5, 40), Subclasses(least=40))
    assert cut.tolist() == [0] * 40
