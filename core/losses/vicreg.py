"""VICReg: the views of an item agree, every dimension varies, and no two dimensions vary together."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.banks import exactly
from core.losses.moments import OF_DIMENSIONS
from core.losses.registry import Claims, loss
from core.paid import Paid, Term
from core.params import Params
from core.procedures.group_whitening import centred

EPSILON = 1e-4  # added to every variance before its root is taken


def _weight(default: float, title: str, what: str) -> Any:
    return Field(default, ge=0, le=100, title=title, description=f"Weight of {what}.")


class VICReg(Params):
    kind: Literal["vicreg"] = "vicreg"
    invariance: float = _weight(25, "Invariance λ", "the distance between the views of an item")
    variance: float = _weight(25, "Variance μ", "what every dimension lacks to a standard deviation of 1")
    covariance: float = _weight(1, "Covariance ν", "the covariances between different dimensions")
    stretch: bool = Field(
        True,
        title="Times √D",
        description="Makes unit embeddings √D long; at length 1 no standard deviation could come near 1.",
    )
    as_released: bool = Field(False, title="As released", description="With half the variance, as in the code.")


@loss(
    VICReg,
    title="VICReg (variance, invariance, covariance)",
    source="Bardes et al. 2022, arXiv:2105.04906, alg. 1, where the invariance is a mean over the dimensions",
    origin="code",
    family="none",
    formula=r"\begin{aligned}&\frac\lambda{BD}\sum_i\lVert a_i-b_i\rVert^2\\&+\sum_{z\in\{a,b\}}\frac1D\sum_k\Big("
    r"\mu\big[1-\sqrt{\mathrm{var}(z_k)+10^{-4}}\big]_++\nu\sum_{l\neq k}\mathrm{cov}(z_k,z_l)^2\Big)\end{aligned}",
    claims=Claims(
        pulls=OF_DIMENSIONS, pushes=OF_DIMENSIONS, margin="it knows no margin: no pair is set against another"
    ),
    relations={
        "barlow_twins": "with covariances within each side, so that the sides may be of different networks",
        "alignment": "with a floor under the variance of every dimension, and uncorrelated dimensions",
    },
    variants=({}, {"stretch": False, "as_released": True}, {"invariance": 1, "variance": 2, "covariance": 3}),
)
def vicreg(a: Tensor, b: Tensor, p: VICReg) -> Paid:
    """Pulls each pair together, while every dimension of either side has to vary, and none with another.

    The paper's embeddings are of any length. Unit vectors have variances that add up to 1 at most, so that all D
    standard deviations stay at or below 1/√D on average and the hinge never falls silent; √D long, they can reach 1.

    Args:
        a: (B, D) first view of each item, B >= 2; unit vectors where they are to be stretched, of any length otherwise.
        b: (B, D) second view.
        p: three weights, whether to stretch, as released or not.

    Returns:
        "invariance" (B,) of the anchors; "variance" and "covariance", (D,) each, of the dimensions, summed over the two
        sides. There are no pairs.
    """
    z = exactly(torch.stack([a, b])) * (a.shape[1] ** 0.5 if p.stretch else 1)
    x = centred(z)
    covariance = x.mT @ x / max(x.shape[1] - 1, 1)
    own = covariance.diagonal(dim1=1, dim2=2)
    lacks = torch.relu(1 - (own + EPSILON).sqrt()).sum(dim=0)
    shared = (covariance - own.diag_embed()).square().sum(dim=(0, 2))
    terms = {
        "invariance": Term((z[0] - z[1]).square().mean(dim=1)).scaled(p.invariance),
        "variance": Term(lacks, "dimension").scaled(p.variance / 2 if p.as_released else p.variance),
        "covariance": Term(shared, "dimension").scaled(p.covariance),
    }
    return Paid(terms)
