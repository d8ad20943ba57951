"""Hard pairs of a labelled batch: where they stand, and features mixed out of them."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class HardPairs(Params):
    kind: Literal["hard_pairs"] = "hard_pairs"
    as_released: bool = Field(
        False,
        title="As released",
        description="Search positives among all items, those of other classes counted as similarity 0.",
    )


@procedure(
    HardPairs,
    title="Hardest pairs",
    source="Zhang et al. 2021, arXiv:2102.06605, and the released code",
    formula=r"p(i)=\arg\min_{y_j=y_i,j\neq i}\cos(x_i,x_j),\quad n(i)=\arg\max_{y_j\neq y_i}\cos(x_i,x_j)",
    origin="code",
    papers=("core_tuning",),
)
def hard_pairs(features: Tensor, labels: Tensor, p: HardPairs) -> tuple[Tensor, Tensor]:
    """Finds for each item the least similar one of its class and the most similar one of another class.

    Args:
        features: (B, D) features of any length.
        labels: (B,) class of each item.
        p: whether to search as the released code does, which finds no hard positive among features above 0.

    Returns:
        Two (B,) of places; an item that has no such other stands in for it itself.
    """
    unit = F.normalize(features, dim=1)
    cosine = unit @ unit.T
    own = torch.arange(len(labels), device=labels.device)
    same, other = labels[:, None] == labels[None, :], own[:, None] != own[None, :]
    mate = same & other
    if p.as_released:
        first = (cosine * mate).argmin(dim=1)
        positive = torch.where(first == 0, own, first)
    else:
        positive = torch.where(mate.any(dim=1), cosine.masked_fill(~mate, torch.inf).argmin(dim=1), own)
    negative = torch.where((~same).any(dim=1), cosine.masked_fill(same, -torch.inf).argmax(dim=1), own)
    return positive, negative


class HardMixing(Params):
    kind: Literal["hard_pair_mixing"] = "hard_pair_mixing"
    least: float = Field(
        0.8, ge=0, le=1, title="Least share", description="Smallest share of the other item in a hard negative."
    )
    as_released: bool = Field(
        False, title="As released", description="Hard positives searched as in the released code."
    )


@procedure(
    HardMixing,
    title="Hard pair mixing",
    source="Zhang et al. 2021, arXiv:2102.06605, and the released code",
    formula=r"x_i^-=(1-\mu)x_i+\mu x_{\pi(i)},\;\mu=\max(\lambda_i,l);\quad "
    r"x_i^+=\lambda'_ix_{p(i)}+(1-\lambda'_i)x_{n(i)}",
    origin="code",
    papers=("core_tuning",),
)
def hard_pair_mixing(
    features: Tensor,
    labels: Tensor,
    targets: Tensor,
    partner: Tensor,
    share: Tensor,
    positive_share: Tensor,
    p: HardMixing,
) -> tuple[Tensor, Tensor]:
    """Makes a hard negative and a hard positive of each item, and mixes the targets by the same shares.

    Args:
        features: (B, D) features before the heads.
        labels: (B,) class of each item.
        targets: (B, C) share of each class in each item.
        partner: (B,) the item that is mixed into each to make a negative, drawn at random.
        share: (B,) share of the partner, drawn from a Beta distribution; raised to `p.least`.
        positive_share: (B,) share of the hardest positive beside the hardest negative, drawn likewise.
        p: the least share, and how hard positives are searched.

    Returns:
        Features (3B, D) and targets (3B, C): those given, the hard negatives, the hard positives.
    """
    positive, negative = hard_pairs(features, labels, HardPairs(as_released=p.as_released))
    taken = share.clamp_min(p.least)[:, None]

    def mixed(x: Tensor) -> Tensor:
        far = torch.lerp(x, x[partner], taken.to(x.dtype))
        near = torch.lerp(x[negative], x[positive], positive_share[:, None].to(x.dtype))
        return torch.cat([x, far, near])

    return mixed(features), mixed(targets)
