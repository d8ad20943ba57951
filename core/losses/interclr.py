"""InterCLR: MoCo, and beside it a softmax against other items that online clusters say are alike or not."""

from collections.abc import Mapping
from math import ceil
from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import beside, exactly, first_cost, first_positive
from core.losses.fields import temperature, weight
from core.losses.registry import loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params, only


class InterCLR(Params):
    kind: Literal["interclr"] = "interclr"
    temperature: float = temperature(0.2)
    margin: float = Field(
        -0.5,
        ge=-1,
        le=1,
        title="Margin m",
        description="Lead asked of another item of the cluster; below 0 it is let off some.",
    )
    intra: float = weight(0.75, "Own view", "the softmax against the queue")
    inter: float = weight(0.25, "Other items", "the softmax against the memory")
    sampling: Literal["random", "hard", "semihard", "semieasy"] = Field(
        "semihard", title="Negatives", description="Which entries of other clusters are taken."
    )
    drawn: int = Field(16, ge=1, le=1024, title="Negatives J", description="How many of the memory each anchor meets.")
    pool: float = Field(
        0.1,
        ge=0.01,
        le=1,
        title="Pool",
        description="Share of the memory, the most or the least similar, that is drawn from.",
        json_schema_extra=only(sampling=("semihard", "semieasy")),
    )


def _plan(given: Mapping[str, Tensor], p: InterCLR, g: Generator) -> dict[str, Tensor]:
    a, memory = given["a"], given["memory"]
    same = given["clusters"][:, None] == given["memory_clusters"][None, :]
    score, luck = similarity(a, memory), torch.rand(same.shape, generator=g).to(a.device)
    alike = torch.where(same.any(dim=1, keepdim=True), same, True)
    place = torch.rand((len(a), p.drawn), generator=g).to(a.device)
    count = min(p.drawn, len(memory))
    if p.sampling == "random":
        order = (luck - 2 * same).argsort(dim=1, descending=True)
        others = (~same).sum(dim=1, keepdim=True).clamp_min(1)
        picks = order.gather(1, torch.minimum((place * others).long(), others - 1))
    elif p.sampling == "hard":
        picks = score.masked_fill(same, -torch.inf).topk(count, dim=1).indices
    else:
        near = score if p.sampling == "semihard" else -score
        size = min(len(memory), ceil(p.pool * len(memory)))
        pooled = torch.zeros_like(same).scatter(1, near.topk(size, dim=1).indices, True)
        picks = (luck + 2 * pooled - 4 * same).topk(count, dim=1).indices
    return {"memory_positive": (luck + 2 * alike).argmax(dim=1), "memory_picks": picks}


@loss(
    InterCLR,
    title="InterCLR (other items of a cluster)",
    source="Xie et al. 2022, arXiv:2008.11702; the released code",
    origin="code",
    papers=("interclr",),
    family="softmax",
    formula=r"-\tfrac34\log\frac{e^{s_i/\tau}}{e^{s_i/\tau}+\sum_{k\in Q}e^{s_{ik}/\tau}}"
    r"-\tfrac14\log\frac{e^{(s_{ip}-m)/\tau}}{e^{(s_{ip}-m)/\tau}+\sum_{j\in J_i}e^{s_{ij}/\tau}}",
    relations={"moco": "and the same against other items of the cluster, with a margin below 0"},
    variants=({}, {"temperature": 0.5, "margin": 0.3, "sampling": "random", "drawn": 3}),
    plan=_plan,
    planned=("memory_positive", "memory_picks"),
)
def interclr(
    a: Tensor,
    teacher: Tensor,
    bank: Tensor,
    memory: Tensor,
    clusters: Tensor,
    memory_clusters: Tensor,
    memory_positive: Tensor,
    memory_picks: Tensor,
    p: InterCLR,
    *,
    margin: Tensor | None = None,
) -> Paid:
    """Pulls each anchor to its key and to another item of its cluster, and pushes it from the rest.

    Args:
        a: (B, D) embedding of each anchor.
        teacher: (B, D) its key, without gradient.
        bank: (K, D) queue of keys, without gradient.
        memory: (M, D) every item as last seen, without gradient.
        clusters: (B,) cluster of each anchor.
        memory_clusters: (M,) cluster of each entry of the memory.
        memory_positive: (B,) place in the memory of an entry of the anchor's cluster.
        memory_picks: (B, J) places of entries of other clusters; one of its own cluster takes no part.
        p: temperature, margin, weights, and which entries are drawn.
        margin: () or (B,), instead of `p.margin`; below 0 the other item may be less alike than the negatives.

    Returns:
        "intra" and "inter", (B,) each; (B, 1 + K) and (B, 1 + J) pairs, the positive first.
    """
    own = beside(a, teacher, bank)
    chosen = torch.cat([memory_positive[:, None], memory_picks], dim=1)
    other = first_positive(torch.einsum("bd,bnd->bn", exactly(a), exactly(memory)[chosen].to(own.scores.dtype)))
    same = memory_clusters[memory_picks] == clusters[:, None]
    barred = torch.cat([torch.zeros_like(same[:, :1]), same], dim=1)
    other = Pairs(other.scores, other.role.masked_fill(barred, Role.EXCLUDED))
    asked = first_cost(other, p.temperature, p.margin if margin is None else margin)
    terms = {
        "intra": Term(first_cost(own, p.temperature)).scaled(p.intra),
        "inter": Term(asked).scaled(p.inter),
    }
    return Paid(terms, (own, other))
