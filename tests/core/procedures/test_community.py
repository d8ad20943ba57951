"""Strength of communities: what it adds up to, and what is kept for its sake."""

import networkx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from core.procedures.community import (
    CommunityAttributeMask,
    CommunityAttributes,
    CommunityEdgeDrop,
    CommunityEdges,
    CommunityStrength,
    community_attribute_mask,
    community_attributes,
    community_edge_drop,
    community_edges,
    community_strength,
    team_up_share,
)
from core.streams import stream
from tests.golden.families import HOME, load

NODES, SEEDS = st.integers(2, 9), st.integers(0, 10_000)
few = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def test_two_triangles_on_a_bridge_have_the_known_modularity():
    edges = torch.tensor([[0, 0, 1, 3, 3, 4, 2], [1, 2, 2, 4, 5, 5, 3]])
    graph = torch.zeros(6, 6, dtype=torch.float64)
    graph[edges[0], edges[1]] = graph[edges[1], edges[0]] = 1
    strength = community_strength(graph, torch.tensor([0, 0, 0, 1, 1, 1]), CommunityStrength())
    assert_close(strength, torch.full((6,), 3 / 7 - 1 / 4, dtype=torch.float64))


def test_strength_counts_from_its_start_up_to_its_most():
    assert [team_up_share(t, 500, 1) for t in (400, 550, 600, 5000)] == [0, 0.5, 1, 1]


def drawn(nodes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A graph with an edge, a community of each node, and attributes."""
    g = stream(seed, "communities")
    upper = torch.triu(torch.rand(nodes, nodes, generator=g) < 0.5, diagonal=1).double()
    upper[0, 1] = 1
    x = torch.randn(nodes, 5, generator=g, dtype=torch.float64) * (torch.rand(nodes, 5, generator=g) < 0.7)
    return upper + upper.T, torch.randint(3, (nodes,), generator=g), x


def ends(graph: Tensor) -> Tensor:
    return torch.triu(graph).nonzero().T


@few
@given(NODES, SEEDS)
def test_the_strengths_of_all_communities_add_up_to_the_modularity(nodes: int, seed: int):
    graph, community, _ = drawn(nodes, seed)
    strength = community_strength(graph, community, CommunityStrength())
    groups = [(community == c).nonzero().flatten().tolist() for c in community.unique()]
    whole = networkx.community.modularity(networkx.from_numpy_array(graph.numpy()), groups)
    assert float(sum(strength[group[0]] for group in groups)) == pytest.approx(whole, abs=1e-12)
    assert all(len(strength[group].unique()) == 1 for group in groups)
    named = community_strength(graph, 7 - 2 * community, CommunityStrength())
    assert torch.equal(named, strength)


@few
@given(NODES, SEEDS, st.floats(0, 0.9), st.floats(0, 1))
def test_edges_are_kept_by_their_weight_within_the_bounds(nodes: int, seed: int, drop: float, most: float):
    graph, community, _ = drawn(nodes, seed)
    strength = community_strength(graph, community, CommunityStrength())
    edges = ends(graph)
    keep = community_edges(edges, community, strength, CommunityEdges(drop=drop, most=most))
    assert ((keep >= 1 - most) & (keep <= 1)).all()
    weights = [
        float(strength[u]) if community[u] == community[v] else -float(strength[u] + strength[v])
        for u, v in edges.T.tolist()
    ]
    by_weight = keep[torch.tensor(weights).argsort()]
    assert (by_weight.diff() >= -1e-9).all()
    assert torch.equal(community_edges(edges.flip(0), community, strength, CommunityEdges(drop=drop, most=most)), keep)
    free = community_edges(edges, community, strength, CommunityEdges(drop=drop))
    assert free.mean() <= 1 - drop + 1e-9
    if free.max() < 1:
        assert float(free.mean()) == pytest.approx(1 - drop)


@few
@given(NODES, SEEDS, st.floats(0, 0.9), st.floats(0, 1))
def test_attributes_are_masked_the_less_the_more_votes_they_have(nodes: int, seed: int, drop: float, most: float):
    graph, community, x = drawn(nodes, seed)
    strength = community_strength(graph, community, CommunityStrength()).clamp_min(0)
    p = CommunityAttributes(drop=drop, most=most)
    masked = community_attributes(x, strength, p)
    assert ((masked >= 0) & (masked <= most)).all()
    assert masked.mean() <= drop + 1e-9
    votes = [sum(abs(v) * s for v, s in zip(row, strength.tolist(), strict=True)) for row in x.T.tolist()]
    voted = torch.tensor([v for v in votes if v > 0])
    if len(voted):
        assert (masked[torch.tensor(votes) > 0][voted.argsort()].diff() <= 1e-9).all()
        assert_close(community_attributes(100 * x, strength, p), masked, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_votes_and_equal_weights_are_equal_whatever_rounding_says(dtype: torch.dtype):
    """The same numbers are added up in another order for each attribute."""
    numbers = torch.tensor([0.1, 0.2, 0.3, 0.7, 1.1, 1e-3, 5.3], dtype=dtype)
    x = torch.stack([numbers.roll(k) for k in range(7)])
    masked = community_attributes(x, torch.full((7,), 0.13, dtype=dtype), CommunityAttributes(drop=0.2))
    assert_close(masked, torch.full((7,), 0.2, dtype=dtype))
    strength = torch.tensor([0.1 + 0.2, 0.1 + 0.2, 0.3, 0.3], dtype=torch.float64)
    edges, community = torch.tensor([[0, 2], [1, 3]]), torch.tensor([0, 0, 1, 1])
    keep = community_edges(edges, community, strength, CommunityEdges(drop=0.4))
    assert_close(keep, torch.full((2,), 0.6, dtype=torch.float64))


def karate() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Graph, communities, their strength and attributes of the authors' example."""
    z = load(HOME / "csgcl.npz")
    community, x = z["karate_com"], z["karate_cav_X"].double()
    graph = torch.zeros(len(community), len(community), dtype=torch.float64)
    graph[tuple(z["karate_edges"])] = 1
    return graph, community, community_strength(graph, community, CommunityStrength()), x


def test_edges_are_dropped_as_often_as_the_authors_numbers_say():
    graph, community, strength, _ = karate()
    z, p = load(HOME / "csgcl.npz"), CommunityEdgeDrop(drop=0.3)
    g = stream(0, "drop")
    views = [
        community_edge_drop(graph, community, strength, torch.rand(34, 34, generator=g, dtype=torch.float64), p)
        for _ in range(2000)
    ]
    often = torch.stack(views).mean(dim=0)
    assert (often[graph == 0] == 0).all()
    keep = z["karate_ced_keep_p0.3"].double()
    assert_close(often[tuple(z["karate_edges"])], keep, rtol=0, atol=5 * 0.5 / 2000**0.5)
    assert any(not torch.equal(view, view.T) for view in views)


def test_both_directions_of_an_edge_go_together_where_that_is_asked():
    graph, community, strength, _ = karate()
    draws = torch.rand(34, 34, generator=stream(0, "drop"), dtype=torch.float64)
    view = community_edge_drop(graph, community, strength, draws, CommunityEdgeDrop(both_ways=True))
    assert torch.equal(view, view.T)
    one = community_edge_drop(graph, community, strength, draws, CommunityEdgeDrop())
    assert torch.equal(view.triu(), one.triu())
    assert 0 < view.sum() < graph.sum()


def test_attributes_are_masked_for_all_nodes_at_once_as_often_as_the_authors_numbers_say():
    _, _, strength, x = karate()
    p, g = CommunityAttributeMask(drop=0.1), stream(0, "mask")
    views = [
        community_attribute_mask(x, strength, torch.rand(16, generator=g, dtype=torch.float64), p) for _ in range(2000)
    ]
    masked = torch.stack([(view == 0).all(dim=0) for view in views])
    assert all(torch.equal(view[:, ~gone], x[:, ~gone]) for view, gone in zip(views, masked, strict=True))
    probability = load(HOME / "csgcl.npz")["karate_cav_drop_p0.1"].double()
    assert_close(masked.double().mean(dim=0), probability, rtol=0, atol=5 * 0.5 / 2000**0.5)
