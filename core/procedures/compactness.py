"""Node compactness: how far edge dropping can turn a node from its own positive, bounded without trying every graph."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class Compactness(Params):
    kind: Literal["compactness"] = "compactness"
    drop: float = Field(0.4, ge=0, le=0.9, title="Dropped edges", description="Share of a node's edges that may go.")
    slope: float = Field(0, ge=0, le=0.9, title="Slope", description="Of the activation below zero, 0 for ReLU.")
    bound: Literal["official", "per_node"] = Field(
        "official",
        title="Bound",
        description="Whose coefficients a neighbour is weighed by: its own, as released, or those of the node itself.",
    )


def propagation(graph: Tensor) -> Tensor:
    """(B, B) what a graph convolution multiplies by: the adjacency with loops, divided by both degrees' roots."""
    looped = graph + torch.eye(len(graph), dtype=graph.dtype, device=graph.device)
    root = looped.sum(dim=1).rsqrt()
    return root[:, None] * looped * root[None, :]


def propagation_range(graph: Tensor, drop: float) -> tuple[Tensor, Tensor]:
    """Least and largest entries, each (B, B), of the propagation when a share of each node's edges is dropped."""
    degree = graph.sum(dim=1)
    gone = torch.minimum((degree - 1).clamp_min(0), (drop * degree).round())
    root = (degree + 1 - gone).rsqrt()
    loops = torch.eye(len(graph), dtype=graph.dtype, device=graph.device)
    return loops / (degree + 1), root[:, None] * (graph + loops) * root[None, :]


def pre_activations(low: Tensor, high: Tensor, mapped: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds, each (B, D), of what a layer computes before its activation from `mapped` (B, D)."""
    middle, width = (high + low) / 2 @ mapped + bias, (high - low) / 2 @ mapped.abs()
    return middle - width, middle + width


def relaxed(low: Tensor, high: Tensor, weight: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """Slope and shift, each (B, D), of the line below the activation, or above it where `weight` is negative."""
    crossing = (low < 0) & (high > 0)
    width = torch.where(crossing, high - low, torch.ones_like(low))
    fall = torch.where(crossing, high - slope * low, torch.ones_like(low))
    steep = torch.where(low >= 0, torch.ones_like(low), torch.full_like(low, slope))
    lines = torch.where(crossing, fall / width, steep)
    above = torch.where(crossing & (weight < 0), (slope - 1) * high * low / fall, torch.zeros_like(low))
    return lines, above


def own_direction(z: Tensor) -> Tensor:
    """(B, D) from the mean of all other nodes' directions to each node's own."""
    unit = F.normalize(z, dim=-1)
    return unit - (unit.sum(dim=0) - unit) / (len(z) - 1)


def coefficients(
    x: Tensor,
    graph: Tensor,
    weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    other: Tensor,
    p: Compactness,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What multiplies a layer's input (B, its width) and what is added (B,): of the second layer, then of both."""
    low, high = propagation_range(graph.to(x.dtype), p.drop)
    first = x @ weights[0].T
    hidden = F.leaky_relu(propagation(graph.to(x.dtype)) @ first + biases[0], p.slope)
    asked, found = own_direction(other), []
    for mapped, weight, bias in ((hidden @ weights[1].T, weights[1], biases[1]), (first, weights[0], biases[0])):
        lines, above = relaxed(*pre_activations(low, high, mapped, bias), asked, p.slope)
        taken = lines * asked
        asked = taken @ weight
        found.append((asked, (taken * (above + bias)).sum(dim=1)))
    return found[0], found[1]


@procedure(
    Compactness,
    title="Node compactness",
    source="Yu et al. 2023, arXiv:2309.13944; the bound as in VoidHaruhi/POT-GCL",
    formula=r"s=\hat A(\hat A\,\langle x,\tilde W_1\rangle+\tilde b_1)+\tilde b_2\;\approx\;"
    r"\min_{\hat A}z_i^\top\Big(\hat z'_i-\tfrac{1}{N-1}\sum_{j\neq i}\hat z'_j\Big)",
    origin="code",
    papers=("pot_gcl",),
)
def compactness(
    x: Tensor,
    graph: Tensor,
    dropped: Tensor,
    weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    other: Tensor,
    p: Compactness,
) -> Tensor:
    """Scores how surely each node stays nearer to its positive than to the other nodes, whatever edges are dropped.

    The network is a graph convolution of two layers, each followed by its activation. Neither score is a strict lower
    bound, not even for the graph as it is: the official one weighs a neighbour by its own coefficients, the other
    bounds a neighbour's hidden units by the node's own ranges, and both take the second layer's ranges from the graph
    as it is.

    Args:
        x: (B, C) features of the nodes.
        graph: (B, B) symmetric adjacency without loops, before any edge is dropped.
        dropped: (B, B) adjacency of the view that is scored.
        weights: of both layers, (H, C) and (D, H).
        biases: of both layers, (H,) and (D,).
        other: (B, D) embeddings of the nodes in the other view; gradients flow into these too.
        p: share of dropped edges, slope of the activation, whose coefficients are used.

    Returns:
        (B,) scores; larger is more compact, below 0 the node may end up nearer to the others.
    """
    (_, inner), (own, outer) = coefficients(x, graph, weights, biases, other, p)
    step = propagation(dropped.to(x.dtype))
    if p.bound == "official":
        return step @ (step @ (x * own).sum(dim=1) + outer) + inner
    return ((step @ step @ x) * own).sum(dim=1) + step.sum(dim=1) * outer + inner
