"""How far apart pairs still learn, clean and mixed: a laboratory of made-up pairs.

Pairs of unit vectors z_i, t_i have the cosine rho; everything else is random in d dimensions. The *gap* of a pair is
D = s_ii - s_ij. What is counted comes from the registered losses and the registered mixing by automatic
differentiation; `gap_forms` has closed forms that know nothing of them, so that each can be held against the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.diagnostics.registry import diagnostic
from core.diagnostics.synthetic import Batch, pay, synthetic
from core.losses.angular import Angular
from core.losses.bpr import BPR
from core.losses.clip import Clip
from core.losses.ranking import Ranking
from core.mixing.dmm import DMM
from core.mixing.options import FixedRule, Renormalise
from core.mixing.registry import MIXINGS, Known, Mixing, Plan
from core.params import Params
from core.streams import stream

SOURCE = "So et al. 2023, doi 10.1109/ACCESS.2023.3286931, for the mixed pair and its margin; the count is our own"
DRAWS = 40
EDGES = (-0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
SPREAD_OUT = {"closeness": 0.52, "spread": 0.47}  # rho evenly between .05 and .99: from hard pairs to easy ones


class Setting(Params):
    """Made-up pairs, the loss that they pay, and how they are mixed."""

    family: Literal["hinge", "softmax", "logistic", "angular"] = Field(
        "hinge",
        title="Family",
        description="Max-margin ranking; symmetric InfoNCE; BPR, a soft hinge; InfoNCE with the margin on the angle.",
    )
    closeness: float = Field(0.7, ge=0, le=1, title="Closeness ρ", description="Cosine within the pairs, at most .99.")
    spread: float = Field(0.0, ge=0, le=0.5, title="Spread of ρ", description="How far ρ reaches to either side.")
    n: int = Field(64, ge=4, le=64, title="Pairs N", description="In one batch.")
    dim: int = Field(64, ge=4, le=256, title="Dimensions d", description="More: random names lie nearer to 0.")
    margin: float = Field(0.2, ge=0, le=1, title="Margin m", description="Lead asked of a clean pair by the hinge.")
    temperature: float = Field(0.07, ge=0.01, le=0.51, title="Temperature τ", description="Of the softmax.")
    rule: FixedRule = Field("lam", title="Margin rule", description="Lead asked of the mixed pair; the paper's is λm.")
    partner: Literal["flip", "roll", "shuffle", "derangement", "hard", "farthest"] = Field(
        "flip", title="Partner", description="The batch turned round, shifted, shuffled; most or least alike."
    )
    target: Literal["hard", "mask_partner"] = Field(
        "hard", title="Partner’s name", description="A negative of the mixed anchor, or left out of the loss."
    )
    renormalise: Renormalise = Field(
        "unit", title="Renormalise", description="Mixtures scaled to length 1, left short, or taken from the arc."
    )
    each: Literal["batch", "pair", "sample"] = Field(
        "batch", title="One λ per", description="One λ for the batch, for two partners (flip alone), for each anchor."
    )

    @property
    def loss(self) -> Params:
        """The registered loss of the family; only a hinge asks a margin of clean pairs."""
        if self.family == "hinge":
            return Ranking(margin=self.margin)
        if self.family == "logistic":
            return BPR()
        return (Clip if self.family == "softmax" else Angular)(temperature=self.temperature, margin=0)

    @property
    def by_terms(self) -> bool:
        """Whether each negative is paid for by itself, not in one sum with all others."""
        return self.family in ("hinge", "logistic")

    def full(self, n: int) -> float:
        """The force on a negative that is paid for in full: all its hinges, or all the probability."""
        each = {"hinge": 2 / n**2, "logistic": 1 / (n * (n - 1))}
        return each.get(self.family, 1 / (n * self.temperature))

    @property
    def mixing(self) -> DMM:
        """The registered mixing, of embeddings."""
        return DMM(
            margin=self.margin,
            rule=self.rule,
            partner=self.partner,
            target=self.target,
            per_sample=self.each != "batch",
            share="pair" if self.each == "pair" and self.partner == "flip" else "sample",
            level="embedding",
            renormalise=self.renormalise,
        )


def mixing_of(p: DMM) -> Mixing:
    """The registered mixing itself."""
    call = MIXINGS.of(p).call()
    assert call is not None
    return call


def made(s: Setting, seed: int, draw: int = 0) -> Batch:
    """The batch of a setting; each `draw` is another one."""
    return synthetic(s.n, s.dim, s.closeness, s.spread, stream(seed, "lab", "pairs", draw))


def plans(s: Setting, batch: Batch, seed: int, count: int = DRAWS, *, even: bool = False) -> Iterator[Plan]:
    """`count` plans for the batch, lambda drawn between ½ and 1.

    Args:
        s: how the pairs are mixed.
        batch: the pairs.
        seed: of the draws.
        count: how many.
        even: where the batch has one lambda, take the middles of `count` equal parts instead of draws: the same mean
            with far less noise.
    """
    p = s.mixing
    call = mixing_of(p)
    for k in range(count):
        if even and s.each == "batch":
            p = p.model_copy(update={"law": "fixed", "fixed": 0.5 + (k + 0.5) / (2 * count)})
        plan = call.plan(len(batch), p, stream(seed, "lab", "mixing", k), Known(margin=s.margin, z=batch.a))
        yield plan.to(batch.a.device)


def plan_at(s: Setting, batch: Batch, seed: int, lam: float) -> Plan:
    """The plan at one lambda; where it is not one for the batch, one draw of them all."""
    if s.each != "batch":
        return next(plans(s, batch, seed, 1))
    p = s.mixing.model_copy(update={"law": "fixed", "fixed": lam})
    plan = mixing_of(p).plan(len(batch), p, stream(seed, "lab", "mixing", 0), Known(margin=s.margin, z=batch.a))
    return plan.to(batch.a.device)


@dataclass(frozen=True)
class Activity:
    """What the loss does to one batch of N pairs, clean, or mixed by one plan.

    `weight` (N, N): how far each negative takes part, 0 to 1: of a hinge the share of its two terms that are paid, of
    a logistic loss the slope of its term, of a softmax its probability; the positives on the diagonal have 0.
    `share`: the mean of that over all negatives, of a softmax the mean 1 - p. `silent`: share of the anchors z_i whose
    gradient is exactly 0. `norms` (N,): |dL/dz_i|, of the hinge divided by N², of the others by N. `scores` (N, N).
    """

    weight: Tensor
    share: float
    silent: float
    norms: Tensor
    scores: Tensor

    def towards(self, partner: Tensor) -> float:
        """`share` of the terms between an anchor and its partner alone; NaN where everyone is its own partner."""
        rows = torch.arange(len(partner), device=partner.device)
        others = partner != rows
        return float(self.weight[rows[others], partner[others]].mean())


@diagnostic(
    "mixed_activity",
    title="Pairs that still learn",
    source=SOURCE,
    origin="designed",
    values="0 (silent) to 1 (every negative is paid, or p = 0)",
    chance="1/2 for a hinge at rho = m; 1 - 1/N for a softmax of equal scores",
)
def activity(s: Setting, batch: Batch, plan: Plan | None = None) -> Activity:
    """Who is paid for in a batch, and how long the gradient of each anchor is, by automatic differentiation.

    Args:
        s: the loss and the mixing.
        batch: N pairs.
        plan: of the mixing; None pays the clean loss. The gradient is taken at the unmixed z in both.
    """
    n, a = len(batch), batch.a.clone().requires_grad_()
    x = a if plan is None else mixing_of(s.mixing).apply({"a": a, "b": batch.b}, plan, s.mixing)["a"]
    own = torch.eye(n, dtype=torch.bool, device=a.device)
    left_out = None if plan is None or s.target == "hard" else own[plan.partner] & ~own
    paid = pay(s.loss, x, batch.b, batch.labels, None if plan is None else plan.margin, exclude=left_out)
    scores = paid.pairs[0].scores
    force, moved = torch.autograd.grad(paid.total(), [scores, a])
    weight = (force / s.full(n)).fill_diagonal_(0)
    share = float(weight.sum()) / (n * (n - 1) if s.by_terms else n)
    norms = moved.norm(dim=1)
    return Activity(weight, share, float((norms == 0).double().mean()), norms, scores.detach())


@dataclass(frozen=True)
class Average:
    """Means over plans of what `Activity` holds; `partner` and `third` are shares of the terms of those two kinds."""

    share: float
    partner: float
    third: float
    silent: float
    length: float
    norms: Tensor


def averaged(s: Setting, batch: Batch, seed: int, count: int = DRAWS, *, even: bool = False) -> Average:
    """The mixed loss over `count` lambdas, before its weight; arguments as for `plans`."""
    rows, norms, n = [], torch.zeros_like(batch.a[:, 0]), len(batch)
    for plan in plans(s, batch, seed, count, even=even):
        found = activity(s, batch, plan)
        partner = found.towards(plan.partner)
        third = (found.share * (n - 1) - partner) / (n - 2) if s.by_terms else found.share - partner
        rows.append([found.share, partner, third, found.silent])
        norms += found.norms / count
    share, partner, third, silent = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
    return Average(share, partner, max(third, 0.0), silent, float(norms.mean()), norms)


@dataclass(frozen=True)
class Hardness:
    """Mean |dL/dz_i| times N by the gap of the pair, (K,) each; `gap` is the mean of its group, hardest first."""

    gap: Tensor
    count: Tensor
    clean: Tensor
    mixed: Tensor


@diagnostic(
    "hardness_curve",
    title="Gradient against the gap",
    source=SOURCE,
    origin="designed",
    values="0 (exactly silent) upwards",
    chance="none: it is a property of the loss at these pairs",
)
def hardness_curve(s: Setting, batch: Batch, seed: int, *, count: int = DRAWS) -> Hardness:
    """How long the gradient of an anchor is against the lead over its hardest name, s_ii - max_j s_ij.

    Args:
        s: the loss and the mixing.
        batch: N pairs, best of very different hardness.
        seed: of the plans.
        count: plans to average over.
    """
    n = len(batch)
    clean = activity(s, batch)
    mixed = averaged(s, batch, seed, count, even=True).norms
    hardest = clean.scores.clone().fill_diagonal_(-torch.inf).amax(1)
    gap = clean.scores.diagonal() - hardest
    group = torch.bucketize(gap, gap.new_tensor(EDGES), right=True)
    held = [group == k for k in range(len(EDGES) + 1) if bool((group == k).any())]
    means = (torch.stack([values[mask].mean() for mask in held]) for values in (gap, n * clean.norms, n * mixed))
    at, plain, woken = means
    return Hardness(at, torch.stack([mask.sum() for mask in held]), plain, woken)
