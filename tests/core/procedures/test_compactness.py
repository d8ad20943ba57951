"""What the bound of compactness promises, step by step, on any graph and any network."""

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from core.procedures.compactness import (
    Compactness,
    coefficients,
    compactness,
    own_direction,
    pre_activations,
    propagation,
    propagation_range,
    relaxed,
)
from core.streams import stream

DROPS, SLOPES, SEEDS = st.floats(0, 0.9), st.floats(0, 0.9), st.integers(0, 10_000)
SIZES = st.integers(2, 8)
few = settings(max_examples=25, deadline=None, derandomize=True, database=None)
ROOM = 1e-10


class Network(NamedTuple):
    """Nodes, their graph, two layers, and embeddings in the other view."""

    x: Tensor
    graph: Tensor
    weights: tuple[Tensor, Tensor]
    biases: tuple[Tensor, Tensor]
    other: Tensor


def drawn(nodes: int, seed: int, edges: float = 0.5) -> Network:
    g = stream(seed, "graph")

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    upper = torch.triu(torch.rand(nodes, nodes, generator=g) < edges, diagonal=1).double()
    return Network(
        normal(nodes, 4), upper + upper.T, (normal(5, 4), normal(3, 5)), (normal(5), normal(3)), normal(nodes, 3)
    )


def thinned(graph: Tensor, drop: float, seed: int) -> Tensor:
    """The graph without edges drawn one after the other, as long as no node loses more than may go."""
    degree = graph.sum(dim=1)
    left = torch.minimum((degree - 1).clamp_min(0), (drop * degree).round())
    kept = graph.clone()
    edges = torch.triu(graph).nonzero()
    for u, v in edges[torch.randperm(len(edges), generator=stream(seed, "thin"))].tolist():
        if left[u] >= 1 and left[v] >= 1:
            kept[u, v] = kept[v, u] = 0
            left[u], left[v] = left[u] - 1, left[v] - 1
    return kept


def embedded(n: Network, graph: Tensor, slope: float) -> Tensor:
    """(B, D) what the network makes of the nodes."""
    step = propagation(graph)
    hidden = F.leaky_relu(step @ n.x @ n.weights[0].T + n.biases[0], slope)
    return F.leaky_relu(step @ hidden @ n.weights[1].T + n.biases[1], slope)


@few
@given(SIZES, DROPS, SEEDS)
def test_whatever_is_dropped_the_propagation_stays_in_its_range(nodes: int, drop: float, seed: int):
    graph = drawn(nodes, seed).graph
    low, high = propagation_range(graph, drop)
    for step in (propagation(graph), propagation(thinned(graph, drop, seed))):
        assert (low - ROOM <= step).all()
        assert (step <= high + ROOM).all()


@few
@given(SIZES, DROPS, SEEDS)
def test_what_a_layer_computes_stays_in_its_range(nodes: int, drop: float, seed: int):
    n = drawn(nodes, seed)
    mapped, bias = n.x @ n.weights[0].T, n.biases[0]
    low, high = pre_activations(*propagation_range(n.graph, drop), mapped, bias)
    found = propagation(thinned(n.graph, drop, seed)) @ mapped + bias
    assert (low - ROOM <= found).all()
    assert (found <= high + ROOM).all()


@few
@given(st.floats(-3, 3), st.floats(0, 4), st.floats(0, 1), st.sampled_from([-1.5, 0.0, 2.0]), SLOPES)
def test_a_line_lies_below_the_activation_or_above_it_where_the_weight_is_negative(
    low: float, width: float, share: float, weight: float, slope: float
):
    ends = [torch.tensor([[v]], dtype=torch.float64) for v in (low, low + width, weight)]
    lines, above = relaxed(*ends, slope)
    value = ends[0] + share * width
    assert weight * lines * (value + above) <= weight * F.leaky_relu(value, slope) + ROOM
    if low >= 0 or low + width <= 0:
        assert_close(lines * (value + above), F.leaky_relu(value, slope))


def score(n: Network, slope: float) -> Tensor:
    """(B,) what the procedure is to bound, for the graph as it is."""
    return (embedded(n, n.graph, slope) * own_direction(n.other)).sum(dim=1)


@few
@given(SIZES, DROPS, SLOPES, SEEDS)
def test_of_the_graph_as_it_is_the_second_layer_s_line_is_never_above_the_score(
    nodes: int, drop: float, slope: float, seed: int
):
    n = drawn(nodes, seed)
    times, plus = coefficients(n.x, n.graph, n.weights, n.biases, n.other, Compactness(drop=drop, slope=slope))[0]
    step = propagation(n.graph)
    hidden = F.leaky_relu(step @ n.x @ n.weights[0].T + n.biases[0], slope)
    assert ((step @ hidden * times).sum(dim=1) + plus <= score(n, slope) + ROOM).all()


@pytest.mark.parametrize("bound", ["official", "per_node"])
def test_neither_bound_is_strict(bound: str):
    """Which is what the procedure says of itself."""
    n = drawn(4, 0)
    p = Compactness(drop=0, bound=bound)
    found = compactness(n.x, n.graph, n.graph, n.weights, n.biases, n.other, p)
    assert (found > score(n, 0) + 1e-3).any()


@few
@given(SIZES, DROPS, SEEDS)
def test_where_every_unit_is_on_the_bound_by_node_is_the_score_of_the_view(nodes: int, drop: float, seed: int):
    drawn_one = drawn(nodes, seed)
    n = drawn_one._replace(biases=(drawn_one.biases[0].abs() + 500, drawn_one.biases[1] + 1e5))
    view = thinned(n.graph, drop, seed)
    found = compactness(n.x, n.graph, view, n.weights, n.biases, n.other, Compactness(drop=drop, bound="per_node"))
    assert_close(found, (embedded(n, view, 0) * own_direction(n.other)).sum(dim=1), rtol=1e-9, atol=1e-7)


@few
@given(SIZES, DROPS, SEEDS, st.sampled_from(["official", "per_node"]))
def test_nodes_in_another_order_have_the_same_scores(nodes: int, drop: float, seed: int, bound: str):
    n, order = drawn(nodes, seed), torch.randperm(nodes, generator=stream(seed, "order"))
    view, p = thinned(n.graph, drop, seed), Compactness(drop=drop, bound=bound)
    found = compactness(n.x, n.graph, view, n.weights, n.biases, n.other, p)
    turned = [z[order][:, order] for z in (n.graph, view)]
    again = compactness(n.x[order], *turned, n.weights, n.biases, n.other[order], p)
    assert_close(again, found[order], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("bound", ["official", "per_node"])
def test_without_an_edge_a_node_is_bounded_by_itself_alone_and_learns(bound: str):
    n = drawn(4, 3, edges=0)
    layers = tuple(w.requires_grad_() for w in (*n.weights, *n.biases))
    found = compactness(n.x, n.graph, n.graph, n.weights, n.biases, n.other, Compactness(bound=bound))
    moved = n.x.clone()
    moved[0] += 1
    again = compactness(moved, n.graph, n.graph, n.weights, n.biases, n.other, Compactness(bound=bound))
    assert torch.equal(found[1:], again[1:])
    assert found[0] != again[0]
    assert all(z.isfinite().all() and z.abs().max() > 0 for z in torch.autograd.grad(found.sum(), layers))
