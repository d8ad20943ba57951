"""Transformed features: a pair drawn apart so that it is harder, and a bank whose entries are mixed with each other."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class Extrapolation(Params):
    kind: Literal["positive_extrapolation"] = "positive_extrapolation"
    normalise: bool = Field(False, title="Unit length", description="Divide both by their length afterwards.")


@procedure(
    Extrapolation,
    title="Positive extrapolation",
    source="Zhu et al. 2021, arXiv:2108.02982, sec. 4.1",
    formula=r"\hat a=\lambda a+(1-\lambda)b,\;\hat b=\lambda b+(1-\lambda)a,\quad"
    r"\langle\hat a,\hat b\rangle=s+2\lambda(1-\lambda)(1-s)",
    origin="code",
    papers=("feature_transform",),
)
def positive_extrapolation(a: Tensor, b: Tensor, stretch: Tensor, p: Extrapolation) -> tuple[Tensor, Tensor]:
    """Draws the two of each pair apart where the stretch is above 1, and together where it is below.

    Args:
        a: (B, D) unit vectors.
        b: (B, D) the other of each pair.
        stretch: (), (B, 1) or (B, D) λ; 1 leaves the pair as it is.
        p: whether the results are made unit vectors again.

    Returns:
        Both, (B, D); without `normalise` of a length other than 1.
    """
    far = a + (stretch - 1) * (a - b), b + (stretch - 1) * (b - a)
    return (_unit(far[0]), _unit(far[1])) if p.normalise else far


class Interpolation(Params):
    kind: Literal["negative_interpolation"] = "negative_interpolation"


@procedure(
    Interpolation,
    title="Negative interpolation",
    source="Zhu et al. 2021, arXiv:2108.02982, sec. 4.2",
    formula=r"\hat n_k=\lambda n_k+(1-\lambda)n_{\pi(k)}",
    origin="code",
    papers=("feature_transform",),
)
def negative_interpolation(bank: Tensor, partner: Tensor, share: Tensor, p: Interpolation) -> Tensor:
    """Mixes each entry of a bank with another, so that the bank says something new each time.

    Args:
        bank: (K, D) embeddings.
        partner: (K,) the entry that is mixed into each.
        share: (), (K, 1) or (K, D) share of the entry itself.
        p: nothing to set.

    Returns:
        (K, D) mixtures, no longer than the longer of the two.
    """
    return share * bank + (1 - share) * bank[partner]


def _unit(x: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().sum(dim=-1, keepdim=True).clamp_min(1e-12))
