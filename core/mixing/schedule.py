"""The margin asked of a mixed pair, and the weight at which the mixed loss comes in."""

import math
from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor

from core.mixing.options import MarginRule, Weight
from core.mixing.registry import Step
from core.registry import Learned

# σ(2 (2λ − 1)) touches λ at ½ and stays within 0.12 of it up to λ = 1: the paper's rule, as near as a sigmoid comes.
LEARNED: Mapping[str, Learned] = {
    "margin_level": Learned(0.0, low=-10.0, high=10.0, space="linear"),
    "margin_slope": Learned(2.0, low=-10.0, high=10.0, space="linear"),
}


class Clocked(Protocol):
    """Params that say how the mixed loss comes in."""

    @property
    def weight(self) -> Weight: ...
    @property
    def half(self) -> float: ...
    @property
    def unit(self) -> Literal["epoch", "step"]: ...
    @property
    def start(self) -> Literal[0, 1]: ...
    @property
    def scale(self) -> float: ...


def learned_share(lam: Tensor, learned: Mapping[str, Tensor] | None) -> Tensor:
    """(n,) σ(a + b (2λ − 1)): the part of the margin under the learned rule; without scalars, that of their start."""
    values = learned or {name: torch.tensor(spec.initial) for name, spec in LEARNED.items()}
    level, slope = (values[name].to(lam.dtype) for name in LEARNED)
    return torch.sigmoid(level + slope * (2 * lam - 1))


def mixed_margin(
    rule: MarginRule,
    lam: Tensor,
    margin: float,
    *,
    learned: Mapping[str, Tensor] | None = None,
    before: Tensor | None = None,
) -> Tensor:
    """(n,) the margin asked of a pair whose anchor was mixed with the share `lam` (n,).

    Args:
        rule: how it follows lambda.
        lam: (n,) shares of the anchor.
        margin: the m of the clean pair.
        learned: the scalars of the learned rule.
        before: () product of the lambdas of all earlier steps, for the released decay; 1 where there were none.
    """
    if rule == "learned":
        return learned_share(lam, learned) * margin
    if rule == "released_decay":
        return (lam * (1.0 if before is None else before) * margin).to(lam.dtype)
    factor = {
        "lam": lam,
        "constant": torch.ones_like(lam),
        "one_minus_lam": 1 - lam,
        "two_lam_minus_one": 2 * lam - 1,
        "zero": torch.zeros_like(lam),
    }[rule]
    return factor * margin


def mixed_weight(p: Clocked, step: Step) -> float:
    """Weight of the mixed loss at `step`: between 0 and `p.scale`, never falling."""
    t = p.start + (step.epoch if p.unit == "epoch" else step.index)
    ramp = min(t / p.half, 1.0)
    share = {
        "ratio": t / (t + p.half),
        "linear": ramp,
        "cosine": 0.5 * (1 - math.cos(math.pi * ramp)),
        "constant": 1.0,
        "zero": 0.0,
    }[p.weight]
    return p.scale * share


def product_after(before: Tensor | None, lam: Tensor) -> Tensor:
    """() float64: the product of all lambdas up to this step; `lam` (n,), as drawn, is one and the same for all."""
    last = lam[0].detach().double()
    return last if before is None else before * last
