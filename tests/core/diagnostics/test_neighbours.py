import math

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors

from core.diagnostics.neighbours import (
    chance_hubness,
    cosine_blocks,
    hubness,
    hubness_of,
    is_one_point,
    membership,
    neighbours,
    occurrences,
)
from tests.core.diagnostics.clouds import unit


def tied() -> torch.Tensor:
    """Seven unit rows on whole angles of 30 degrees, some of them twice: many cosines are equal."""
    angle = torch.tensor([0, 0, 30, 60, 60, 90, 180], dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def expected_membership(z: torch.Tensor, k: int) -> list[list[float]]:
    """By its definition, with loops: above the edge for sure, on it by the share of the places that are left."""
    rows = []
    for i in range(len(z)):
        cosine = {j: round(float(z[i] @ z[j]), 9) for j in range(len(z)) if j != i}
        edge = sorted(cosine.values(), reverse=True)[k - 1]
        sure = [j for j, c in cosine.items() if c > edge]
        level = [j for j, c in cosine.items() if c == edge]
        share = (k - len(sure)) / len(level)
        rows.append([1.0 if j in sure else share if j in level else 0.0 for j in range(len(z))])
    return rows


@pytest.mark.parametrize(("n", "k"), [(2, 1), (40, 5), (1100, 10), (2050, 3)])
def test_the_neighbours_are_those_of_scikit_learn_across_blocks(n, k):
    z = unit(n, 6, 1, torch.float64)
    found = neighbours(z, k)
    distances, indices = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(z.numpy()).kneighbors()
    assert found.indices.tolist() == indices.tolist()
    assert found.cosines.numpy() == pytest.approx(1 - distances, abs=1e-12)


def test_k_is_cut_and_a_single_item_is_refused():
    assert neighbours(unit(4, 3), 10).indices.sort(dim=1).values.tolist() == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
    ]
    with pytest.raises(ValueError, match="needs a neighbour"):
        neighbours(unit(1, 3))
    with pytest.raises(ValueError, match="unit rows"):
        neighbours(2 * unit(9, 3))


def test_every_pair_is_visited_once_and_the_visit_may_overwrite():
    z, seen = unit(1100, 3, 0, torch.float64), torch.zeros(1100, 1100)
    for i, j, block in cosine_blocks(z):
        seen[i : i + len(block), j : j + block.shape[1]] += 1
    assert torch.equal(seen + seen.T.triu(1), seen.clamp(max=1) + seen.T.triu(1))
    assert bool((seen + seen.T > 0).all())
    visited = neighbours(z, 4, visit=lambda i, j, block: block.zero_())
    assert torch.equal(visited.indices, neighbours(z, 4).indices)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_equals_share_a_place_evenly(k):
    z = tied()
    found, wanted = neighbours(z, k), torch.tensor(expected_membership(z, k), dtype=torch.float64)
    assert torch.allclose(membership(z, found, torch.arange(7)), wanted)
    assert torch.allclose(occurrences(z, found), wanted.sum(dim=0))
    assert float(occurrences(z, found).sum()) == pytest.approx(7 * k)


def test_ties_are_seen_where_they_matter_alone():
    assert not bool(neighbours(unit(50, 6, 1, torch.float64), 5).tied.any())
    assert neighbours(tied(), 1).tied.tolist() == [False, False, True, False, False, True, False]
    assert not bool(neighbours(tied(), 6).tied.any())


def test_hubness_is_the_skewness_of_how_often_each_is_a_neighbour():
    z = unit(300, 20, 3, torch.float64)
    _, indices = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(z.numpy()).kneighbors()
    counts = [int((indices == i).sum()) for i in range(300)]
    found = hubness(z)
    assert found.occurrences.tolist() == counts
    assert found.skewness == pytest.approx(skew(counts), abs=1e-10)
    assert found.antihubs == pytest.approx(sum(c == 0 for c in counts) / 300)
    assert found.k == 10


def test_one_point_has_no_hubs_although_any_order_of_its_items_would():
    one = unit(1, 6).expand(40, -1)
    assert is_one_point(one)
    found = hubness(one)
    assert (found.skewness, found.antihubs) == (0, 0)
    assert not is_one_point(unit(40, 6))
    by_ties = F.normalize(torch.cat([one, unit(40, 6, 3)]), dim=1)
    assert not is_one_point(by_ties)
    assert float(hubness(by_ties, k=5).occurrences[:40].std()) < 1e-4


def test_chance_is_what_random_directions_have():
    for n, dim in ((60, 4), (400, 64)):
        chance, left_out = chance_hubness(n, dim)
        seen = [hubness(unit(n, dim, 100 + s)) for s in range(20)]
        x = torch.tensor([each.skewness for each in seen])
        assert abs(float(x.mean()) - chance) < 4 * float(x.std()) * math.sqrt(1 / 20 + 1 / 8)
        y = torch.tensor([each.antihubs for each in seen])
        assert abs(float(y.mean()) - left_out) < 4 * float(y.std()) * math.sqrt(1 / 20 + 1 / 8) + 1e-9
    assert chance_hubness(400, 64)[0] > chance_hubness(400, 4)[0]


def test_known_neighbours_give_the_same():
    z = unit(80, 5)
    assert hubness_of(z, neighbours(z, 7)).skewness == hubness(z, k=7).skewness
