"""DMM, dynamic mixed margin: mix samples into harder pairs and ask of them a margin that follows the mixing ratio.

The canonical form. On top of the clean loss, the same loss is paid for anchors mixed with a partner's,
`lam * x_i + (1 - lam) * x_partner`, against unmixed candidates, with the margin `lam * m`, at a weight that grows
from 0 (So et al., IEEE Access 11, 2023, doi 10.1109/ACCESS.2023.3286931).
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Generator, Tensor

from core.mixing.registry import Level, Plan, Side, Step, mixing
from core.paid import Paid, joined
from core.params import Params

SHORTEST = 1e-3  # a mixture of opposites has no direction; below this length it shrinks, and its gradient stays finite
MarginRule = Literal["lam", "constant", "one_minus_lam", "two_lam_minus_one", "zero"]


class DMM(Params):
    kind: Literal["dmm"] = "dmm"
    margin: float | None = Field(
        None, ge=0, le=2, title="Margin m", description="What λ multiplies. Empty: the margin of the loss itself."
    )
    law: Literal["uniform", "beta", "fixed"] = Field(
        "uniform", title="λ law", description="How the share of the anchor is drawn; β is folded into [½, 1]."
    )
    low: float = Field(0.5, ge=0, le=1, title="λ from", description="Lower end of the uniform law.")
    high: float = Field(1.0, ge=0, le=1, title="λ to", description="Upper end of the uniform law.")
    concentration: float = Field(2.0, gt=0, le=20, title="β concentration", description="α of Beta(α, α).")
    fixed: float = Field(0.75, ge=0, le=1, title="Fixed λ", description="The share under the fixed law.")
    per_sample: bool = Field(False, title="λ per sample", description="One λ for each anchor, not one a batch.")
    partner: Literal["flip", "roll", "shuffle"] = Field(
        "flip", title="Partner", description="Who is mixed in: the batch turned round, shifted by one, or shuffled."
    )
    rule: MarginRule = Field("lam", title="Margin rule", description="How the margin follows λ; the paper's is λm.")
    level: Level = Field("input", title="Mix", description="The inputs of the encoder, or its embeddings.")
    side: Side = Field("a", title="Side", description="Which side of the pair is mixed.")
    weight: Literal["ratio", "constant", "linear"] = Field(
        "ratio", title="Weight", description="How the mixed loss comes in: t / (t + half), at once, or as a ramp."
    )
    half: float = Field(30, gt=0, le=1000, title="Half at", description="Where the ratio is ½, or the ramp full.")
    unit: Literal["epoch", "step"] = Field("epoch", title="Counted in", description="Unit of the weight's clock.")
    scale: float = Field(1, ge=0, le=10, title="Scale", description="Factor on the whole mixed loss.")

    @model_validator(mode="after")
    def _ordered(self) -> "DMM":
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must not exceed high")
        return self


def folded_beta(size: tuple[int, ...], concentration: float, g: Generator) -> Tensor:
    """`size` shares max(x, 1 - x), x from Beta(α, α): two uniforms each, no rejection, sound for any α > 0.

    t² / ν of Student's t with ν = 2α by Bailey (1994), Math. Comp. 62, 779; then x = (1 + t / √(ν + t²)) / 2.
    """
    radius, angle = torch.rand((2, *size), generator=g)
    ratio = torch.expm1(-radius.log() / concentration) * torch.cos(2 * torch.pi * angle).square()
    return 0.5 + 0.5 / torch.sqrt(1 + 1 / ratio)


def draw_lam(n: int, p: DMM, g: Generator) -> Tensor:
    """(n,) shares of the anchor, equal within the batch unless `p.per_sample`."""
    size = (n if p.per_sample else 1,)
    if p.law == "uniform":
        lam = p.low + (p.high - p.low) * torch.rand(size, generator=g)
    elif p.law == "beta":
        lam = folded_beta(size, p.concentration, g)
    else:
        lam = torch.full(size, p.fixed)
    return lam.expand(n).clone()


def draw_partner(n: int, p: DMM, g: Generator) -> Tensor:
    """(n,) index of each item's partner; the middle of an odd batch turned round is its own."""
    if p.partner == "flip":
        return torch.arange(n - 1, -1, -1)
    if p.partner == "roll":
        return torch.arange(n).roll(1)
    return torch.randperm(n, generator=g)


def mixed_margin(rule: MarginRule, lam: Tensor, margin: float) -> Tensor:
    """(n,) the margin asked of a pair whose anchor was mixed with the share `lam` (n,)."""
    factor = {
        "lam": lam,
        "constant": torch.ones_like(lam),
        "one_minus_lam": 1 - lam,
        "two_lam_minus_one": 2 * lam - 1,
        "zero": torch.zeros_like(lam),
    }[rule]
    return factor * margin


def mixed_weight(p: DMM, step: Step) -> float:
    """Weight of the mixed loss at `step`: 0 at the start of "ratio" and "linear", approaching or reaching `p.scale`."""
    t = step.epoch if p.unit == "epoch" else step.index
    share = {"ratio": t / (t + p.half), "linear": min(t / p.half, 1.0), "constant": 1.0}[p.weight]
    return p.scale * share


@mixing(
    DMM,
    title="DMM (dynamic mixed margin)",
    source="So et al., IEEE Access 11 (2023), doi 10.1109/ACCESS.2023.3286931; the released code's retrieval form",
    origin="code",
    papers=("dmm",),
    formula=r"L_m(x,y)+w_t\,L_{\lambda m}\big(\lambda x+(1-\lambda)x_\pi,\;y\big)",
)
class DynamicMixedMargin:
    """Mixes each anchor with a partner and asks the mixed pair for a margin that follows the mixing ratio."""

    def plan(self, n: int, p: DMM, g: Generator, *, margin: float, z: Tensor | None = None) -> Plan:
        """Draw lambda, partner and margin for a batch of n.

        Args:
            n: items in the batch, at least 2.
            p: the params.
            g: a CPU generator, fresh for this step.
            margin: the loss's own margin, used where `p.margin` is None.
            z: (n, D) embeddings, for partners that are chosen by them.
        """
        lam = draw_lam(n, p, g)
        return Plan(lam, draw_partner(n, p, g), mixed_margin(p.rule, lam, margin if p.margin is None else p.margin))

    def apply(self, inputs: Mapping[str, Tensor], plan: Plan, p: DMM) -> Mapping[str, Tensor]:
        """The inputs with side `p.side` mixed, (n, ...) each; embeddings are renormalised."""
        x = inputs[p.side]
        lam = plan.lam.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        mixed = lam * x + (1 - lam) * x[plan.partner]
        return {**inputs, p.side: F.normalize(mixed, dim=-1, eps=SHORTEST) if p.level == "embedding" else mixed}

    def combine(self, clean: Paid, mixed: Paid, step: Step, p: DMM) -> Paid:
        """What is paid in all: the clean loss and the weighted mixed one, kept apart as terms."""
        return joined([("clean", clean), ("mixed", mixed.scaled(mixed_weight(p, step)))])
