"""Mixed negatives: each negative is moved towards the positive, so that it lies nearer, and the anchor stays as it is.

The second form of the released recommender. By Stewart's theorem the squared distance of an anchor u to
n~ = lam p + (1 - lam) n is lam d(u,p)² + (1 - lam) d(u,n)² - lam (1 - lam) d(p,n)²; a triplet that leads by m among
clean items therefore leads by (1 - lam) m among mixed ones, less lam (1 - lam) d(p,n)².
"""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor

from core.mixing.options import Weight
from core.mixing.registry import Known, Memory, Mixes, Plan, Step, mixing
from core.mixing.schedule import mixed_margin, mixed_weight, product_after
from core.paid import Paid, joined
from core.params import Params

NegativeRule = Literal["one_minus_lam", "lam", "constant", "zero", "released_decay"]


class NegativeItem(Params):
    kind: Literal["negative_item"] = "negative_item"
    margin: float | None = Field(
        None, ge=0, le=2, title="Margin m", description="What the rule starts from. Empty: the margin of the loss."
    )
    low: float = Field(0.0, ge=0, le=1, title="λ from", description="Lower end of the share of the positive.")
    high: float = Field(1.0, ge=0, le=1, title="λ to", description="Upper end of the share of the positive.")
    per_sample: bool = Field(False, title="λ per sample", description="One λ for each anchor, not one a batch.")
    rule: NegativeRule = Field(
        "one_minus_lam",
        title="Margin rule",
        description="(1 − λ)m asks for the clean lead; λm is the released rule, released decay its fault.",
    )
    weight: Weight = Field(
        "ratio",
        title="Weight",
        description="How the mixed loss comes in: t / (t + half), at once, as a ramp, as half a cosine, or never.",
    )
    half: float = Field(30, gt=0, le=1000, title="Half at", description="Where the ratio is ½, or the ramp full.")
    unit: Literal["epoch", "step"] = Field("epoch", title="Counted in", description="Unit of the weight's clock.")
    start: Literal[0, 1] = Field(0, title="Counted from", description="What the clock shows at the very first step.")
    scale: float = Field(1, ge=0, le=10, title="Scale", description="Factor on the whole mixed loss.")

    @model_validator(mode="after")
    def _sound(self) -> "NegativeItem":
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must not exceed high")
        if self.rule == "released_decay" and self.per_sample:
            raise ValueError("rule released_decay multiplies one λ a batch; turn per_sample off or choose another rule")
        return self


def others(b: Tensor) -> Tensor:
    """(n, n - 1, D) for each row of `b` (n, D) all the other rows, in order."""
    n = len(b)
    column = torch.arange(n - 1, device=b.device)
    return b[column[None, :] + (column[None, :] >= torch.arange(n, device=b.device)[:, None])]


@mixing(
    NegativeItem,
    title="Mixed negatives",
    source="So et al., IEEE Access 11 (2023), the released recommender's form over sums; its calibrated margin here",
    origin="code",
    papers=("dmm",),
    formula=r"L_m(u,p,n)+w_t\,L_{(1-\lambda)m}\big(u,\;p,\;\lambda p+(1-\lambda)n\big)",
)
class MixedNegatives:
    """Moves each negative towards the anchor's positive and asks for the part of the margin that is left."""

    mixes: Mixes = "negatives"

    def plan(self, n: int, p: NegativeItem, g: Generator, known: Known) -> Plan:
        """Draw lambda and margin for a batch of n; an anchor's partner is its own positive.

        Args:
            n: items in the batch.
            p: the params.
            g: a CPU generator, fresh for this step.
            known: its margin, used where `p.margin` is None, and its memory.
        """
        lam = (p.low + (p.high - p.low) * torch.rand(n if p.per_sample else 1, generator=g)).expand(n).clone()
        m, before = known.margin if p.margin is None else p.margin, known.memory.get("product")
        return Plan(lam, torch.arange(n), mixed_margin(p.rule, lam, m, before=before), side="a")

    def apply(self, inputs: Mapping[str, Tensor], plan: Plan, p: NegativeItem) -> Mapping[str, Tensor]:
        """The inputs with mixed "negatives" (n, K, D): of those given or, without any, of the other items' positives.

        Args:
            inputs: "b" (n, D), the positives, and "negatives" (n, K, D) if the anchors have their own. Others stay.
            plan: as drawn.
            p: the params.
        """
        b = inputs["b"]
        negatives = inputs["negatives"] if "negatives" in inputs else others(b)
        lam = plan.lam.to(b.dtype)[:, None, None]
        return {**inputs, "negatives": lam * b[:, None] + (1 - lam) * negatives}

    def remember(self, memory: Memory, plan: Plan, inputs: Mapping[str, Tensor], p: NegativeItem) -> dict[str, Tensor]:
        """The memory after this step: the product of all lambdas so far, where the margin decays by it."""
        decays = p.rule == "released_decay"
        return {"product": product_after(memory.get("product"), plan.lam)} if decays else {}

    def combine(self, clean: Paid, mixed: Paid, step: Step, p: NegativeItem) -> Paid:
        """What is paid in all: the clean loss and the weighted mixed one, kept apart as terms."""
        return joined([("clean", clean), ("mixed", mixed.scaled(mixed_weight(p, step)))])
