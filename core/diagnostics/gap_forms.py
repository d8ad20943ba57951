"""Closed forms of how far apart pairs still learn, clean and mixed, and the same by Monte Carlo.

Two pairs lead each other's names by the same gap D = s_ii - s_ij, and their anchors are orthogonal. The closed forms
know nothing of the registered losses and of the registered mixing, which the counts beside them come from.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from core.diagnostics.mixed_gaps import Setting, mixing_of
from core.diagnostics.registry import diagnostic
from core.diagnostics.synthetic import Batch
from core.losses.info_nce import InfoNCE
from core.losses.ranking import Ranking
from core.losses.registry import LOSSES
from core.mixing.dmm import DMM, mixed_margin
from core.mixing.mixture import SHORTEST
from core.mixing.options import FixedRule, Renormalise
from core.mixing.registry import Known

OURS = "derived for this laboratory from the mixed pair of So et al. 2023"


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
    return torch.sigmoid(gap.new_tensor(float(negatives)).log() - gap / temperature)


def _ends(gap: Tensor, margin: float, rule: FixedRule) -> tuple[Tensor, Tensor]:
    """By how much the mixed pair falls short of its margin at lambda = ½ and at 1; every rule is linear between."""
    half, whole = mixed_margin(rule, gap.new_tensor([0.5, 1.0]), margin)
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
    """n pairs in n + 1 dimensions, every one leading every other by just `gap`; all names share the last dimension."""
    every = torch.eye(n + 1, dtype=torch.float64)
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
    plan = call.plan(draws, p, g, Known(margin=s.margin))
    x = call.apply({"a": batch.a, "b": batch.b}, plan, p)["a"]
    only = torch.eye(draws, dtype=torch.bool)
    inputs: dict[str, Any] = {"a": x, "b": batch.b, "margin": plan.margin.double()}
    ranking, info_nce = Ranking(margin=s.margin), InfoNCE(temperature=s.temperature)
    hinge = (LOSSES.of(ranking).call(**inputs, p=ranking).terms["a_to_b"].per > 0).double()
    inputs["exclude"] = ~(only | only[plan.partner])
    softmax = -torch.expm1(-LOSSES.of(info_nce).call(**inputs, p=info_nce).terms[""].per)
    root = draws**0.5
    return Drawn(float(hinge.mean()), float(hinge.std()) / root, float(softmax.mean()), float(softmax.std()) / root)
