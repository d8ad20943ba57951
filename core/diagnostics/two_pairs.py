"""Two pairs that are each other's partner: who is pulled, who is driven off its own name, and how far.

Pair i leads by D_i = s_ii - s_i,pi, its partner by D_pi. The mixed anchor i leads by lam D_i - (1 - lam) D_pi and is
asked for mu(lam). Closed forms, and beside them the same by automatic differentiation of the registered loss through
the registered mixing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.diagnostics.forces import gradients, motion
from core.diagnostics.gap_forms import OURS, shares
from core.diagnostics.mixed_gaps import Setting, mixing_of, plan_at
from core.diagnostics.registry import diagnostic
from core.diagnostics.synthetic import Batch, pay, synthetic
from core.losses.ranking import Ranking
from core.losses.registry import LOSSES
from core.mixing.dmm import DMM, mixed_margin
from core.mixing.options import FixedRule, Renormalise
from core.mixing.registry import Known
from core.streams import stream

LETTERS = ("n", "i", "p", "b")  # nobody, only i, only its partner, both
STRONG, WEAK = 0.95, 0.35
SIDE, DIMENSIONS = 64, 64


def asks(
    own: Tensor,
    other: Tensor,
    lam: float,
    margin: float,
    rule: FixedRule = "lam",
    renormalise: Renormalise = "none",
    cosine: float = 0.0,
) -> Tensor:
    """Whether the mixed pair falls short: lam D_own - (1 - lam) D_other < mu(lam), for gaps of any one shape.

    Renormalising divides both shares by the length of the mixture, which `cosine` between the two anchors decides.
    """
    asked = mixed_margin(rule, torch.tensor(lam, dtype=own.dtype), margin)
    stays, comes = shares(lam, renormalise, cosine)
    return stays * own - comes * other < asked


@diagnostic(
    "pair_phase",
    title="Which of two partners is asked",
    source=OURS,
    origin="designed",
    values="b both; i only the first, its partner is driven off; p only the partner; n none",
    chance="b: pairs that lead by nothing are both asked",
)
def phase(
    own: Tensor,
    other: Tensor,
    lam: float,
    margin: float,
    rule: FixedRule = "lam",
    renormalise: Renormalise = "none",
    cosine: float = 0.0,
) -> list[str]:
    """A letter for each pair of gaps.

    Args:
        own: (K,) gap D_i of the first pair.
        other: (K,) gap D_pi of its partner.
        lam: share of the anchor.
        margin: the margin m.
        rule: how the margin follows lambda.
        renormalise: what is done to the mixture.
        cosine: between the two anchors.
    """
    first, second = (
        asks(one, two, lam, margin, rule, renormalise, cosine) for one, two in ((own, other), (other, own))
    )
    return [LETTERS[k] for k in (first.int() + 2 * second.int()).tolist()]


def coefficients(first: Tensor, second: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """dL/dz_i in units of (t_i - t_pi) and dL/dz_pi in units of (t_pi - t_i); above 0 descent drives it off its name.

    (1 - lam) a_i - lam a_pi for the partner, with a the flags of `asks`, and the mirror image for the first.
    """
    one, two = first.double(), second.double()
    return (1 - lam) * two - lam * one, (1 - lam) * one - lam * two


def by_gradient(own: float, other: float, lam: float, margin: float, rule: FixedRule = "lam") -> tuple[float, float]:
    """The same two coefficients by automatic differentiation, at orthogonal z and names that lead by the two gaps."""
    gaps = torch.tensor([own, other], dtype=torch.float64)
    z = torch.eye(2, 4, dtype=torch.float64).requires_grad_()
    names = torch.diag(gaps) @ z.detach() + torch.diag((1 - gaps.square()).clamp(min=0).sqrt()) @ z.detach().roll(2, 1)
    p = DMM(margin=margin, rule=rule, law="fixed", fixed=lam, level="embedding", renormalise="none")
    call, loss = mixing_of(p), Ranking(margin=margin)
    plan = call.plan(2, p, stream(0, "two pairs"), Known(margin=margin))
    mixed = call.apply({"a": z, "b": names}, plan, p)["a"]
    paid = LOSSES.of(loss).call(a=mixed, b=names, p=loss, margin=plan.margin.double()).terms["a_to_b"].per.sum()
    (g,) = torch.autograd.grad(paid, z)
    along = names - names.flip(0)
    first, second = ((g * along).sum(1) / along.square().sum(1)).tolist()
    return first, second


@diagnostic(
    "resting_similarity",
    title="Similarity where the own name would rest",
    source=OURS,
    origin="designed",
    values="lam / sqrt(lam² + (1 - lam)²) for orthogonal pictures: .71 at ½, 1 at 1",
    chance="none: it is geometry",
)
def resting_similarity(lam: Tensor, cosine: float = 0.0) -> Tensor:
    """Cosine between an anchor and its mixture, where the own name comes to rest if it is pulled all the way.

    Args:
        lam: (K,) shares of the anchor.
        cosine: between the anchor and its partner.
    """
    other = 1 - lam
    return (lam + other * cosine) / (lam.square() + other.square() + 2 * lam * other * cosine).sqrt()


@dataclass(frozen=True)
class Far:
    """First-order change of s_ii for each unit of a small descent step on N times the loss, by half of the batch."""

    strong: float
    weak: float


def strong_and_weak(n: int, dim: int, seed: int, draw: int = 0) -> Batch:
    """n pairs, the first half close (cosine .95), the second loose (.35); turned round, each has one of the others."""
    halves = [
        synthetic(n // 2, dim, rho, 0, stream(seed, "little far", name, draw))
        for name, rho in (("strong", STRONG), ("weak", WEAK))
    ]
    a, b = (torch.cat([getattr(half, side) for half in halves]) for side in ("a", "b"))
    return Batch(a, b, torch.arange(len(a)))


@diagnostic(
    "little_far",
    title="Change of strong and of weak pairs",
    source="So et al. 2023, abstract: strongly near positives are made a little far; the measure is our own",
    origin="designed",
    values="any; below 0 the pairs come apart",
    chance="the clean loss, which has a smaller version of it",
)
def little_far(batch: Batch, s: Setting, lam: float | None, *, sphere: bool = False) -> Far:
    """How one small step changes the similarity within the pairs, strong ones and weak ones apart.

    A free step also changes the lengths of the embeddings, and with them their inner products; on the sphere that part
    is taken off, as by an encoder that renormalises, and what is left of the strong pairs' change is far smaller.

    Args:
        batch: N pairs, the strong half first.
        s: the loss and the mixing.
        lam: share of the anchor; None pays the clean loss.
        sphere: whether the embeddings stay on the unit sphere.
    """
    n = len(batch)
    a, b = batch.a.clone().requires_grad_(), batch.b.clone().requires_grad_()
    plan = None if lam is None else plan_at(s, batch, 0, lam)
    x = a if plan is None else mixing_of(s.mixing).apply({"a": a, "b": b}, plan, s.mixing)["a"]
    paid = pay(s.loss, x, b, batch.labels, None if plan is None else plan.margin)
    if sphere:
        change = n * motion(a, b, paid.total()).diagonal()
    else:
        g, h = gradients(paid.total(), a, b)
        change = -n * (g * batch.b + batch.a * h).sum(1)
    return Far(float(change[: n // 2].mean()), float(change[n // 2 :].mean()))
