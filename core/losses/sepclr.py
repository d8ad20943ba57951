"""SepCLR: what targets share with the background in one code, what sets them apart in another."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.classes import share_of
from core.losses.fields import weight
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import distance
from core.paid import Paid, Term
from core.params import Params


def _large(default: float, title: str, what: str) -> float:
    return Field(default, ge=0, le=1000, title=title, description=f"Weight of {what}.")


class SepCLR(Params):
    kind: Literal["sepclr"] = "sepclr"
    temperature: float = Field(
        0.5, ge=0.01, le=5, title="Bandwidth τ", description="Variance of the kernels; smaller looks at nearer items."
    )
    salient: float = _large(1000, "Salient code β", "alignment and uniformity of the salient code")
    information_less: float = _large(1000, "Empty background ρ", "pulling the salient code of the background to 0")
    joint: float = _large(10, "Joint entropy λ", "spreading both codes jointly, so that they share little")
    supervised: float = weight(1, "Attribute", "drawing together what is alike in a continuous attribute, if given")
    width: float = Field(
        0.025,
        ge=0.001,
        le=10,
        title="Width of the attribute",
        description="Variance within which attributes are alike.",
    )


@loss(
    SepCLR,
    title="SepCLR (common and salient)",
    source="Louiset et al. 2024, arXiv:2402.11928, and the released code",
    origin="code",
    papers=("sepclr",),
    family="none",
    formula=r"\mathcal A(c,c')+\mathcal U(c)+\mathcal U(c')+\beta[\mathcal A(s_t,s'_t)+\mathcal U(\tilde s)"
    r"+\mathcal U(\tilde s')]+\tfrac\rho2[\mathcal A(s_b,0)+\mathcal A(s'_b,0)]"
    r"+\tfrac\lambda2[\mathcal J(c,\tilde s)+\mathcal J(c',\tilde s')]",
    relations={"alignment": "with uniformity, in two codes that are kept apart"},
    claims=Claims(
        pulls="it pays kernels of distances within each view and shows no pairs",
        pushes="it pays kernels of distances within each view and shows no pairs",
        margin="it takes no margin of its own",
    ),
    variants=({}, {"salient": 1, "information_less": 2, "joint": 3, "temperature": 2}),
    work="N x N kernels of two codes in two views, each taken by itself and their products.",
)
def sepclr(
    a: Tensor,
    b: Tensor,
    salient: Tensor,
    other_salient: Tensor,
    domain: Tensor,
    p: SepCLR,
    *,
    targets: Tensor | None = None,
) -> Paid:
    """Splits what targets share with the background from what only targets have, in two codes.

    The salient code of the background counts as 0 wherever items are compared with each other.

    Args:
        a: (B, D) common code of the first view, unit vectors, B >= 2.
        b: (B, D) common code of the second view.
        salient: (B, E) salient code of the first view, of any length.
        other_salient: (B, E) salient code of the second view.
        domain: (B,) 1 for targets, 0 for the background.
        p: bandwidth and weights.
        targets: (B,) a continuous attribute; targets alike in it are drawn together in the salient code.

    Returns:
        Terms of each item, (B,): "common.align", "salient.align" (targets), "information_less" (background), "joint".
        Terms of the batch, (): "common.uniform", "salient.uniform". With `targets` "supervised", (E,). No pairs.
    """
    exact = a.dtype if a.dtype == torch.float64 else torch.float32
    codes, apart = [x.to(exact) for x in (a, b)], [x.to(exact) for x in (salient, other_salient)]
    target = domain == 1
    emptied = [torch.where(target[:, None], s, 0) for s in apart]
    common, distinct = ([_kernel(x, p) for x in both] for both in (codes, emptied))
    near = torch.stack([log_sum(c + s) for c, s in zip(common, distinct, strict=True)])
    joint = near.mean(dim=0) - math.log(len(a))
    empty = torch.stack(apart).square().sum(dim=(0, 2)) / (4 * p.temperature)
    own = share_of(target, exact)
    terms = {
        "common.align": Term(_align(*codes, p)),
        "common.uniform": Term(_uniform(common[0]) + _uniform(common[1]), "batch"),
        "salient.align": Term(_align(*apart, p).masked_fill(~target, 0), weight=own * p.salient),
        "salient.uniform": Term(_uniform(distinct[0]) + _uniform(distinct[1]), "batch", p.salient),
        "information_less": Term(empty.masked_fill(target, 0), weight=share_of(~target, exact) * p.information_less),
        "joint": Term(joint).scaled(p.joint),
    }
    if targets is not None:
        spread = _alike(apart[0], targets.to(exact), target, p)
        terms["supervised"] = Term(spread, "dimension").scaled(p.supervised)
    return Paid(terms)


def _align(x: Tensor, y: Tensor, p: SepCLR) -> Tensor:
    return (x - y).square().sum(dim=1) / (2 * p.temperature)


def _kernel(x: Tensor, p: SepCLR) -> Tensor:
    """(B, B) log of the Gaussian kernel."""
    return -distance(x, x, squared=True) / (2 * p.temperature)


def _uniform(kernel: Tensor) -> Tensor:
    """() log of the mean kernel over the pairs of different items."""
    size = len(kernel)
    others = ~torch.eye(size, dtype=torch.bool, device=kernel.device)
    return log_sum(kernel, others).logsumexp(dim=0) - math.log(size * (size - 1))


def _alike(x: Tensor, attribute: Tensor, target: Tensor, p: SepCLR) -> Tensor:
    """(E,) mean over pairs of targets of their squared difference, weighed by how alike they are."""
    both = (target[:, None] & target[None, :]).fill_diagonal_(False)
    near = torch.exp(-(attribute[:, None] - attribute[None, :]).square() / (2 * p.width)) * both
    return (near[..., None] * (x[:, None] - x[None, :]).square()).sum(dim=(0, 1)) / both.sum().clamp_min(1)
