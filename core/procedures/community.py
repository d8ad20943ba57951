"""Communities of a graph: how strong each is, and views that keep edges and attributes for its sake."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure

_TINY = 1e-30


class CommunityStrength(Params):
    kind: Literal["community_strength"] = "community_strength"


class EdgeShares(Params):
    drop: float = Field(0.3, ge=0, le=0.9, title="Dropped edges", description="Share of the edges that go on average.")
    most: float = Field(1, ge=0, le=1, title="Highest drop", description="No edge is dropped with more probability.")


class CommunityEdges(EdgeShares):
    kind: Literal["community_edges"] = "community_edges"


class CommunityEdgeDrop(EdgeShares):
    kind: Literal["community_edge_drop"] = "community_edge_drop"
    both_ways: bool = Field(
        False, title="Both ways", description="An edge goes in both directions or in none; released, each is drawn."
    )


class AttributeShares(Params):
    drop: float = Field(0.1, ge=0, le=0.9, title="Masked attributes", description="Share that is masked on average.")
    most: float = Field(0.7, ge=0, le=1, title="Highest drop", description="None is masked with more probability.")


class CommunityAttributes(AttributeShares):
    kind: Literal["community_attributes"] = "community_attributes"


class CommunityAttributeMask(AttributeShares):
    kind: Literal["community_attribute_mask"] = "community_attribute_mask"


@procedure(
    CommunityStrength,
    title="Community strength",
    source="Chen et al. 2023, arXiv:2305.04658; what a community adds to the modularity",
    formula=r"S_c=\frac{m_c}{m}-\Big(\frac{d_c}{2m}\Big)^2",
    origin="code",
    papers=("csgcl",),
)
def community_strength(graph: Tensor, community: Tensor, p: CommunityStrength) -> Tensor:
    """Measures how much denser each node's community is than chance, as its part of the modularity.

    Args:
        graph: (B, B) symmetric adjacency without loops, with at least one edge.
        community: (B,) community of each node.
        p: nothing to choose.

    Returns:
        (B,) strength of each node's community, the same for all its members; below 0 it is looser than chance.
    """
    together = (community[:, None] == community[None, :]).to(graph.dtype)
    ends = graph.sum()
    inside = together @ (graph * together).sum(dim=1)
    return inside / ends - ((together @ graph.sum(dim=1)) / ends).square()


@procedure(
    CommunityEdges,
    title="Edges kept by community",
    source="Chen et al. 2023, arXiv:2305.04658 (CED)",
    formula=r"w_{uv}=\begin{cases}S_c&u,v\in c\\-(S_{c(u)}+S_{c(v)})&\text{otherwise}\end{cases},\qquad"
    r"\Pr=\frac{\hat w_{uv}}{\overline{\hat w}}(1-p)",
    origin="code",
    papers=("csgcl",),
)
def community_edges(edges: Tensor, community: Tensor, strength: Tensor, p: EdgeShares) -> Tensor:
    """Says how surely each edge is kept: most within strong communities, least between them.

    Args:
        edges: (2, E) both ends of each edge, E >= 1.
        community: (B,) community of each node.
        strength: (B,) strength of each node's community.
        p: share of dropped edges, highest probability to drop.

    Returns:
        (E,) probabilities to keep; where all edges weigh the same, 1 - drop for each.
    """
    weight = edge_weight(edges, community, strength)
    keep = _over_mean(weight - weight.amin(), weight.abs().amax()) * (1 - p.drop)
    return keep.clamp(min=1 - p.most, max=1)


@procedure(
    CommunityEdgeDrop,
    title="Edge dropping by community (CED)",
    source="Chen et al. 2023, arXiv:2305.04658 (CED); the released code",
    formula=r"A'_{uv}=A_{uv}\,[r_{uv}<\Pr{}_{uv}]",
    origin="code",
    papers=("csgcl",),
)
def community_edge_drop(
    graph: Tensor, community: Tensor, strength: Tensor, draws: Tensor, p: CommunityEdgeDrop
) -> Tensor:
    """Makes a view of a graph that lacks some edges, more of them between communities than within strong ones.

    Args:
        graph: (B, B) symmetric adjacency without loops, with at least one edge.
        community: (B,) community of each node.
        strength: (B,) strength of each node's community.
        draws: (B, B) uniform numbers from 0 to 1, one for each direction of an edge.
        p: share of dropped edges, highest probability to drop, whether the directions go together.

    Returns:
        (B, B) the adjacency that is left, not symmetric unless both directions go together.
    """
    edges = graph.nonzero().T
    keep = torch.zeros_like(graph).index_put_(tuple(edges), community_edges(edges, community, strength, p))
    drawn = torch.triu(draws) + torch.triu(draws, diagonal=1).T if p.both_ways else draws
    return torch.where(drawn < keep, graph, 0)


def edge_weight(edges: Tensor, community: Tensor, strength: Tensor) -> Tensor:
    """(E,) the strength of a community for edges within it; between two, what both have, with the sign turned."""
    one, other = edges
    within = community[one] == community[other]
    return torch.where(within, strength[one], -(strength[one] + strength[other]))


@procedure(
    CommunityAttributes,
    title="Attributes masked by community",
    source="Chen et al. 2023, arXiv:2305.04658 (CAV)",
    formula=r"v=\lvert X\rvert^\top S,\qquad\Pr=\min\Big(\frac{w}{\bar w}p,\,t\Big),\quad "
    r"w=\frac{\max\log v-\log v}{\max\log v-\min\log v}",
    origin="code",
    papers=("csgcl",),
)
def community_attributes(x: Tensor, strength: Tensor, p: AttributeShares) -> Tensor:
    """Says how surely each attribute is masked: least those that the nodes of strong communities carry.

    Args:
        x: (B, C) attributes of the nodes.
        strength: (B,) strength of each node's community.
        p: share of masked attributes, highest probability to mask.

    Returns:
        (C,) probabilities to mask. An attribute without a vote counts as the one with most votes, as released; a vote
        below 0, which a loose community can cast, counts as none.
    """
    votes = (x.abs().T @ strength.to(x.dtype)).clamp_min(0)
    most = votes.amax()
    levels = torch.where(votes > 0, votes, most).clamp_min(_TINY).log()
    return (_over_mean(levels.amax() - levels, levels.abs().amax() + 1) * p.drop).clamp(max=p.most)


@procedure(
    CommunityAttributeMask,
    title="Attribute masking by community (CAV)",
    source="Chen et al. 2023, arXiv:2305.04658 (CAV); the released code",
    formula=r"X'_{ua}=X_{ua}\,[r_a\ge\Pr{}_a]",
    origin="code",
    papers=("csgcl",),
)
def community_attribute_mask(x: Tensor, strength: Tensor, draws: Tensor, p: CommunityAttributeMask) -> Tensor:
    """Makes a view whose nodes all lack the same attributes, rarely those that strong communities carry.

    Args:
        x: (B, C) attributes of the nodes.
        strength: (B,) strength of each node's community.
        draws: (C,) uniform numbers from 0 to 1, one for each attribute.
        p: share of masked attributes, highest probability to mask.

    Returns:
        (B, C) the attributes with 0 where one is masked.
    """
    return x.masked_fill(draws < community_attributes(x, strength, p), 0)


def _over_mean(weight: Tensor, size: Tensor) -> Tensor:
    """`weight`, from 0 up, over its mean; 1 throughout where numbers of this size differ by no more than rounding."""
    mean = weight.mean()
    flat = mean <= 16 * torch.finfo(mean.dtype).eps * size
    return torch.where(flat, torch.ones_like(weight), weight / torch.where(flat, torch.ones_like(mean), mean))


def team_up_share(epoch: float, start: float, most: float) -> float:
    """How much the strength counts at an epoch: nothing until `start`, then 1 more every 100 epochs, up to `most`."""
    return min(max(0.0, (epoch - start) / 100), most)
