"""Strength of communities: what it adds up to, and what is kept for its sake."""

import torch
from torch.testing import assert_close

from core.procedures.community import CommunityStrength, community_strength, team_up_share


def test_two_triangles_on_a_bridge_have_the_known_modularity():
    edges = torch.tensor([[0, 0, 1, 3, 3, 4, 2], [1, 2, 2, 4, 5, 5, 3]])
    graph = torch.zeros(6, 6, dtype=torch.float64)
    graph[edges[0], edges[1]] = graph[edges[1], edges[0]] = 1
    strength = community_strength(graph, torch.tensor([0, 0, 0, 1, 1, 1]), CommunityStrength())
    assert_close(strength, torch.full((6,), 3 / 7 - 1 / 4, dtype=torch.float64))


def test_strength_counts_from_its_start_up_to_its_most():
    assert [team_up_share(t, 500, 1) for t in (400, 550, 600, 5000)] == [0, 0.5, 1, 1]
