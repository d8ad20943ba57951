"""Batches of one cluster: who meets whom, what is left over, and the clusters of all stages together."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.procedures.cluster_batches import ClusterBatches, CumulativeLabels, cluster_batches, cumulative_labels

CLUSTERS = st.lists(st.integers(0, 4), min_size=1, max_size=60)


def in_turn(clusters: list[int], order: list[int], batch: int) -> list[list[int]]:
    """As the released sampler does it: a queue for each cluster, one batch of each in turn while one is full."""
    queues = {own: [item for item in order if clusters[item] == own] for own in sorted(set(clusters))}
    found = []
    while any(len(queue) >= batch for queue in queues.values()):
        for queue in queues.values():
            if len(queue) >= batch:
                found.append([queue.pop(0) for _ in range(batch)])
    return found


@given(CLUSTERS, st.integers(2, 9), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_clusters_are_visited_in_turn_and_every_batch_is_of_one(clusters, batch, seed):
    order = torch.randperm(len(clusters), generator=torch.Generator().manual_seed(seed))
    found = cluster_batches(torch.tensor(clusters), order, ClusterBatches(batch=batch))
    assert found.tolist() == in_turn(clusters, order.tolist(), batch)
    assert found.shape[1] == batch
    assert all(len({clusters[item] for item in row}) == 1 for row in found.tolist())


@given(CLUSTERS, st.integers(2, 9), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_put_together_all_items_come_once_but_for_those_that_fill_no_batch_and_no_more_batches_than_need_be_are_mixed(
    clusters, batch, seed
):
    order = torch.randperm(len(clusters), generator=torch.Generator().manual_seed(seed))
    found = cluster_batches(torch.tensor(clusters), order, ClusterBatches(batch=batch, rest="gather")).tolist()
    items = [item for row in found for item in row]
    assert len(items) == len(set(items)) == len(clusters) // batch * batch
    pure = in_turn(clusters, order.tolist(), batch)
    assert found[: len(pure)] == pure
    rest = [clusters[item] for row in found[len(pure) :] for item in row]
    assert rest == sorted(rest)


def test_another_order_makes_other_batches_of_the_same_clusters():
    clusters, p = torch.arange(40) % 2, ClusterBatches(batch=5)
    one = cluster_batches(clusters, torch.arange(40), p)
    other = cluster_batches(clusters, torch.arange(40).flip(0), p)
    assert not torch.equal(one, other)
    assert torch.equal(clusters[one], clusters[other])


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_items_share_a_number_if_they_shared_every_cluster(clusters, count, seed):
    stages = torch.randint(clusters, (count, 30), generator=torch.Generator().manual_seed(seed))
    found = cumulative_labels(stages, CumulativeLabels(clusters=clusters))
    by_hand = [sum(int(stage[i]) * clusters ** (count - 1 - r) for r, stage in enumerate(stages)) for i in range(30)]
    assert found.tolist() == by_hand
    assert torch.equal(found[:, None] == found, (stages[:, :, None] == stages[:, None, :]).all(dim=0))


def test_as_released_earlier_stages_are_forgotten():
    stages = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]])
    assert cumulative_labels(stages, CumulativeLabels(clusters=2)).tolist() == [0, 2, 1, 3]
    assert cumulative_labels(stages, CumulativeLabels(clusters=2, as_released=True)).tolist() == [0, 0, 3, 3]


@pytest.mark.parametrize(
    ("stages", "clusters", "said"),
    [
        (torch.tensor([[0, 3]]), 3, "run from 0 to 2; got 0 to 3"),
        (torch.tensor([[-1, 0]]), 3, "got -1 to 0"),
        (torch.zeros(22, 2, dtype=torch.int64), 10, "22 stages of 10 clusters"),
    ],
)
def test_clusters_out_of_range_and_too_many_stages_are_refused(stages, clusters, said):
    with pytest.raises(ValueError, match=said):
        cumulative_labels(stages, CumulativeLabels(clusters=clusters))
