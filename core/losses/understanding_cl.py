"""The losses that take the contrastive loss apart: only the hardest negatives, or no weighing by hardness at all."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.fields import lead, temperature, weight
from core.losses.registry import loss
from core.losses.scores import less_margin, similarity, without
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params

_SOURCE = "Wang and Liu 2021, arXiv:2012.09740"


def _share(default: float) -> Any:
    return Field(
        default, ge=0.01, le=1, title="Hardest share α", description="Share of an anchor's negatives that takes part."
    )


class HardContrastive(Params):
    kind: Literal["hard_contrastive"] = "hard_contrastive"
    temperature: float = temperature(0.3)
    hardest: float = _share(0.0819)
    margin: float = lead()


class SimpleContrastive(Params):
    kind: Literal["simple_contrastive"] = "simple_contrastive"
    push: float = weight(1, "Push λ", "the mean over the negatives")
    hardest: float = _share(1)
    margin: float = Field(0, ge=0, le=1, title="Margin m", description="Adds a constant: no pair is ever let off.")


def _plan(given: Mapping[str, Tensor], p: HardContrastive | SimpleContrastive, g: Generator) -> dict[str, Tensor]:
    """The highest scores of each anchor, rounded up to a whole number of its negatives."""
    scores = similarity(given["a"], given["b"])
    out = barred(diagonal_roles(*scores.shape, scores.device), given.get("exclude")) != Role.NEGATIVE
    if p.hardest == 1:
        return {"hardest": ~out}
    most = math.ceil(p.hardest * (len(out) - 1) - 1e-6)
    count = (p.hardest * (~out).sum(dim=1, keepdim=True) - 1e-6).ceil()
    places = scores.masked_fill(out, -torch.inf).topk(most, dim=1).indices
    leading = torch.arange(most, device=out.device) < count
    return {"hardest": torch.zeros_like(out).scatter(1, places, leading) & ~out}


def _taking_part(a: Tensor, b: Tensor, hardest: Tensor, exclude: Tensor | None) -> Pairs:
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    return Pairs(similarity(a, b), role.masked_fill((role == Role.NEGATIVE) & ~hardest, Role.EXCLUDED))


@loss(
    HardContrastive,
    title="Hard contrastive",
    source=_SOURCE,
    origin="recalled",
    papers=("understanding_cl",),
    family="softmax",
    formula=r"-\log\frac{e^{(s_{ii}-m)/\tau}}{e^{(s_{ii}-m)/\tau}+\sum_{s_{ij}\ge s_\alpha^{(i)}}e^{s_{ij}/\tau}}",
    relations={"info_nce": "with the hardest negatives of each anchor only"},
    variants=({}, {"temperature": 0.1, "margin": 0.3, "hardest": 0.6}),
    plan=_plan,
    planned=("hardest",),
)
def hard_contrastive(
    a: Tensor,
    b: Tensor,
    hardest: Tensor,
    p: HardContrastive,
    *,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Picks out each anchor's positive among its hardest negatives alone.

    Args:
        a: (B, D) anchors.
        b: (B, D) candidates; the positive of anchor i is candidate i.
        hardest: (B, B) which negatives of each anchor take part.
        p: temperature, share of the negatives, margin.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does.

    Returns:
        One term per anchor; one (B, B) matrix of pairs, with what is left out as excluded.
    """
    pairs = _taking_part(a, b, hardest, exclude)
    asked = less_margin(pairs.scores, pairs.role == Role.POSITIVE, p.margin if margin is None else margin)
    logits = without(asked / p.temperature, pairs.role == Role.EXCLUDED)
    return Paid({"": Term(-F.log_softmax(logits, dim=1).diagonal())}, (pairs,))


@loss(
    SimpleContrastive,
    title="Simple contrastive",
    source=f"{_SOURCE}, with the hardest alone: hard simple; the push is a mean, not a sum",
    origin="recalled",
    papers=("understanding_cl",),
    family="logistic",
    formula=r"-(s_{ii}-m)+\frac{\lambda}{|H_i|}\sum_{j\in H_i}s_{ij},\quad H_i=\{j\neq i:s_{ij}\ge s_\alpha^{(i)}\}",
    relations={
        "info_nce": "with all negatives pushed equally hard, as at an infinite temperature",
        "hard_contrastive": "without a softmax: an equal push on each of the hardest",
    },
    variants=({}, {"push": 0.5, "margin": 0.3, "hardest": 0.4}),
    plan=_plan,
    planned=("hardest",),
)
def simple_contrastive(
    a: Tensor,
    b: Tensor,
    hardest: Tensor,
    p: SimpleContrastive,
    *,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Raises each anchor's score with its positive and lowers the mean of the others, however hard they are.

    Args:
        a: (B, D) anchors.
        b: (B, D) candidates; the positive of anchor i is candidate i.
        hardest: (B, B) which negatives of each anchor take part.
        p: weight of the push, share of the negatives, margin.
        margin: () or (B,), instead of `p.margin`; it shifts what is paid and leaves every gradient as it is.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does.

    Returns:
        One term per anchor, which may be negative; one (B, B) matrix of pairs, with what is left out as excluded.
    """
    pairs = _taking_part(a, b, hardest, exclude)
    asked = less_margin(pairs.scores, pairs.role == Role.POSITIVE, p.margin if margin is None else margin)
    negative = pairs.role == Role.NEGATIVE
    push = asked.masked_fill(~negative, 0).sum(dim=1) / negative.sum(dim=1).clamp_min(1)
    return Paid({"": Term(p.push * push - asked.diagonal())}, (pairs,))
