"""How far apart pairs still learn, clean and mixed: a laboratory of made-up pairs, and the closed forms beside it.

Pairs of unit vectors z_i, t_i have the cosine rho; everything else is random in d dimensions. The *gap* of a pair is
D = s_ii - s_ij. What is counted comes from the registered losses and the registered mixing by automatic
differentiation; the closed forms below know nothing of them, so that each can be held against the other.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from core.diagnostics.registry import diagnostic
from core.diagnostics.synthetic import Batch, pay, synthetic
from core.losses.clip import Clip
from core.losses.info_nce import InfoNCE
from core.losses.ranking import Ranking
from core.losses.registry import LOSSES
from core.mixing.dmm import DMM, mixed_margin
from core.mixing.mixture import SHORTEST
from core.mixing.options import FixedRule, Renormalise
from core.mixing.registry import MIXINGS, Mixing, Plan
from core.params import Params
from core.streams import stream

SOURCE = "So et al. 2023, doi 10.1109/ACCESS.2023.3286931, for the mixed pair and its margin; the count is our own"
OURS = "derived for this laboratory from the mixed pair of So et al. 2023"
DRAWS = 40
EDGES = (-0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
SPREAD_OUT = {"closeness": 0.52, "spread": 0.47}  # rho evenly between .05 and .99: from hard pairs to easy ones


class Setting(Params):
    """Made-up pairs, the loss that they pay, and how they are mixed."""

    family: Literal["hinge", "softmax"] = Field(
        "hinge", title="Family", description="Max-margin ranking, or symmetric InfoNCE; both pay in both directions."
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
        """The registered loss of the family; a softmax asks no margin of clean pairs."""
        return Ranking(margin=self.margin) if self.family == "hinge" else Clip(temperature=self.temperature)

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
        yield call.plan(len(batch), p, stream(seed, "lab", "mixing", k), margin=s.margin, z=batch.a)


def plan_at(s: Setting, batch: Batch, seed: int, lam: float) -> Plan:
    """The plan at one lambda; where it is not one for the batch, one draw of them all."""
    if s.each != "batch":
        return next(plans(s, batch, seed, 1))
    p = s.mixing.model_copy(update={"law": "fixed", "fixed": lam})
    return mixing_of(p).plan(len(batch), p, stream(seed, "lab", "mixing", 0), margin=s.margin, z=batch.a)


@dataclass(frozen=True)
class Activity:
    """What the loss does to one batch of N pairs, clean, or mixed by one plan.

    `weight` (N, N): how far each negative takes part, 0 to 1: of a hinge the share of its two terms that are paid, of
    a softmax the mean of its two probabilities; the positives on the diagonal have 0. `share`: of all hinge terms
    those that are paid; of a softmax the mean 1 - p. `silent`: share of the anchors z_i whose gradient is exactly 0.
    `norms` (N,): |dL/dz_i|, of the hinge divided by N², of the softmax by N. `scores` (N, N).
    """

    weight: Tensor
    share: float
    silent: float
    norms: Tensor
    scores: Tensor

    def towards(self, partner: Tensor) -> float:
        """`share` of the terms between an anchor and its partner alone; NaN where everyone is its own partner."""
        rows = torch.arange(len(partner))
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
    own = torch.eye(n, dtype=torch.bool)
    left_out = None if plan is None or s.target == "hard" else own[plan.partner] & ~own
    paid = pay(s.loss, x, batch.b, batch.labels, None if plan is None else plan.margin, exclude=left_out)
    scores = paid.pairs[0].scores
    force, moved = torch.autograd.grad(paid.total(), [scores, a])
    # A negative that is paid for in full has the force 2 / N² of the hinge, or 1 / (N tau) of the softmax.
    weight = (force * (n * n / 2 if s.family == "hinge" else n * s.temperature)).fill_diagonal_(0)
    share = float(weight.sum()) / (n * (n - 1) if s.family == "hinge" else n)
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
    rows, norms, n = [], torch.zeros(len(batch), dtype=batch.a.dtype), len(batch)
    for plan in plans(s, batch, seed, count, even=even):
        found = activity(s, batch, plan)
        partner = found.towards(plan.partner)
        third = (found.share * (n - 1) - partner) / (n - 2) if s.family == "hinge" else found.share - partner
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
    group = torch.bucketize(gap, torch.tensor(EDGES, dtype=gap.dtype), right=True)
    held = [group == k for k in range(len(EDGES) + 1) if bool((group == k).any())]
    means = (torch.stack([values[mask].mean() for mask in held]) for values in (gap, n * clean.norms, n * mixed))
    at, plain, woken = means
    return Hardness(at, torch.stack([mask.sum() for mask in held]), plain, woken)


def shares(lam: float, renormalise: Renormalise, cosine: float = 0.0) -> tuple[float, float]:
    """With how much of the anchor and how much of the partner a mixed embedding is made, for a cosine of the two."""
    if renormalise == "geodesic":
        angle = math.acos(max(-1.0, min(1.0, cosine)))
        if math.sin(angle) > 1e-9:
            return math.sin(lam * angle) / math.sin(angle), math.sin((1 - lam) * angle) / math.sin(angle)
    square = lam**2 + (1 - lam) ** 2 + 2 * lam * (1 - lam) * cosine
    length = 1.0 if renormalise == "none" else max(square, SHORTEST**2) ** 0.5
    return lam / length, (1 - lam) / length


def thresholds(
    rule: FixedRule, lam: float, margin: float, renormalise: Renormalise = "none", cosine: float = 0.0
) -> tuple[float, float]:
    """Clean gaps below which a third name and the partner's name are still pushed, all gaps being equal.

    Third: mu / lam; partner: mu / (2 lam - 1), infinite at lam = ½; both times |z~| where the mixture is renormalised.

    Args:
        rule: how the margin mu follows lambda.
        lam: share of the anchor, from ½ to 1.
        margin: the margin m.
        renormalise: what is done to the mixture.
        cosine: between anchor and partner.
    """
    asked = float(mixed_margin(rule, torch.tensor([lam], dtype=torch.float64), margin))
    own, other = shares(lam, renormalise, cosine)
    lead = own - other
    partner = asked / lead if lead > 1e-12 else math.inf if asked > 0 else 0.0
    return asked / own, partner


def clean_active(closeness: float, dim: int, margin: float) -> float:
    """Share of the clean hinge terms that are paid where D ~ N(rho, 1/d): Phi((m - rho) sqrt(d))."""
    return float(torch.special.ndtr(torch.tensor((margin - closeness) * dim**0.5, dtype=torch.float64)))


def clean_push(gap: Tensor, temperature: float, negatives: int = 1) -> Tensor:
    """1 - p of a clean softmax whose negatives all lie `gap` behind: S / (1 + S), S = negatives * exp(-D / tau)."""
    return torch.sigmoid(torch.log(torch.tensor(float(negatives), dtype=gap.dtype)) - gap / temperature)


def _ends(gap: Tensor, margin: float, rule: FixedRule) -> tuple[Tensor, Tensor]:
    """By how much the mixed pair falls short of its margin at lambda = ½ and at 1; every rule is linear between."""
    half, whole = mixed_margin(rule, torch.tensor([0.5, 1.0], dtype=gap.dtype), margin)
    return half.expand_as(gap), whole - gap


@diagnostic(
    "partner_probability",
    title="Chance that the partner's name is pushed",
    source=OURS,
    origin="designed",
    values="0 to 1; m / (2D - m) under the paper's rule",
    chance="the clean hinge: 1 up to the margin, exactly 0 beyond",
)
def partner_probability(gap: Tensor, margin: float, rule: FixedRule = "lam") -> Tensor:
    """P over lambda ~ U(½, 1) that the hinge of the partner's name is paid, both pairs leading by the same gap.

    Without renormalising. The mixed pair leads by (2 lam - 1) D and is asked for mu(lam).

    Args:
        gap: (K,) clean gaps D.
        margin: the margin m.
        rule: how mu follows lambda.
    """
    first, last = _ends(gap, margin, rule)
    level = first == last
    apart = torch.where(level, 1, first - last)
    short = torch.where(first > last, first / apart, -last / apart).clamp(0, 1)
    return torch.where(level, (first > 0).to(gap.dtype), short)


@diagnostic(
    "expected_push",
    title="Mean 1 - p of the mixed softmax",
    source=OURS,
    origin="designed",
    values="0 to 1; falls as 1 / D where the clean one falls as exp(-D / tau)",
    chance="1/2, where nothing leads and nothing is asked",
)
def expected_push(gap: Tensor, margin: float, temperature: float, rule: FixedRule = "lam") -> Tensor:
    """E[1 - p] over lambda ~ U(½, 1) of a softmax over the own and the partner's name, with mu(lam) on the positive.

    2 tau / (2D - m) * (softplus(m / 2 tau) - softplus((m - D) / tau)) under the paper's rule, by softplus alone.

    Args:
        gap: (K,) clean gaps D of both pairs.
        margin: the margin m.
        temperature: tau.
        rule: how mu follows lambda.
    """
    first, last = (end / temperature for end in _ends(gap, margin, rule))
    nothing = torch.zeros_like(gap)
    area = torch.logaddexp(nothing, last) - torch.logaddexp(nothing, first)
    near = (last - first).abs() < 1e-6
    return torch.where(near, torch.sigmoid((first + last) / 2), area / torch.where(near, 1, last - first))


@dataclass(frozen=True)
class Drawn:
    """Monte Carlo at one gap: the mean and its standard error, of the hinge and of the softmax."""

    hinge: float
    hinge_error: float
    softmax: float
    softmax_error: float


def orthonormal(n: int, gap: float) -> Batch:
    """n pairs in 2n dimensions, every one leading every other by just `gap`."""
    every = torch.eye(2 * n, dtype=torch.float64)
    return Batch(every[:n], gap * every[:n] + (1 - gap * gap) ** 0.5 * every[n:], torch.arange(n))


def monte_carlo(gap: float, s: Setting, g: Generator, draws: int = 128) -> Drawn:
    """What the two closed forms say, counted: registered losses on pairs mixed by the registered mixing.

    Args:
        gap: clean gap D of all pairs, -1 to 1.
        s: margin, temperature and rule; the rest does not matter.
        g: a CPU generator.
        draws: lambdas, one per anchor; even.
    """
    p = DMM(margin=s.margin, rule=s.rule, per_sample=True, level="embedding", renormalise="none")
    batch = orthonormal(draws, gap)
    call = mixing_of(p)
    plan = call.plan(draws, p, g, margin=s.margin)
    x = call.apply({"a": batch.a, "b": batch.b}, plan, p)["a"]
    only = torch.eye(draws, dtype=torch.bool)
    inputs: dict[str, Any] = {"a": x, "b": batch.b, "margin": plan.margin.double()}
    ranking, info_nce = Ranking(margin=s.margin), InfoNCE(temperature=s.temperature)
    hinge = (LOSSES.of(ranking).call(**inputs, p=ranking).terms["a_to_b"].per > 0).double()
    inputs["exclude"] = ~(only | only[plan.partner])
    softmax = -torch.expm1(-LOSSES.of(info_nce).call(**inputs, p=info_nce).terms[""].per)
    root = draws**0.5
    return Drawn(float(hinge.mean()), float(hinge.std()) / root, float(softmax.mean()), float(softmax.std()) / root)
