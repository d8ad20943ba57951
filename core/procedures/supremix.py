"""SupReMix: embeddings mixed for each anchor, hard negatives with the others and hard positives from both sides."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class MixtureSettings(Params):
    window: float = Field(
        5, ge=0.01, le=100, title="Window n", description="How far, in targets, the two sides of a positive may lie."
    )
    negatives_each: int = Field(
        64, ge=0, le=256, title="Mixed negatives", description="At most this many for each anchor, drawn from all."
    )
    positives_each: int = Field(
        16, ge=0, le=256, title="Mixed positives", description="At most this many for each anchor, drawn from all."
    )


class SupReMixMixtures(MixtureSettings):
    kind: Literal["supremix_mixtures"] = "supremix_mixtures"


def mixed_negatives(z: Tensor, targets: Tensor, share: Tensor, order: Tensor, most: int) -> tuple[Tensor, ...]:
    """Mixtures (A, K, D) of each anchor with those of another target, their targets (A, K), and which are there."""
    out = torch.where(targets[:, None] == targets, 2, order)
    key, other = out.topk(min(most, len(z)), dim=1, largest=False)
    lam = share.gather(1, other)
    mixed = lam[..., None] * z[:, None] + (1 - lam)[..., None] * z[other]
    return mixed, lam * targets[:, None] + (1 - lam) * targets[other], key < 2


def mixed_positives(z: Tensor, targets: Tensor, order: Tensor, p: MixtureSettings) -> tuple[Tensor, ...]:
    """Mixtures (A, K, D) of one below and one above each anchor that have its target, and which are there."""
    size = len(z)
    most = min(p.positives_each, size * size)
    below, above, there = [], [], []
    for i in range(size):
        up = targets - targets[i]
        low, high = (up < 0) & (up > -p.window), (up > 0) & (up < p.window)
        turn = (order[i][:, None] + order[:, i]).frac()
        key, place = torch.where(low[:, None] & high, turn, 2).flatten().topk(most, largest=False)
        below.append(place // size)
        above.append(place % size)
        there.append(key < 2)
    j, k, real = torch.stack(below), torch.stack(above), torch.stack(there)
    lam = (targets[k] - targets[:, None]) / (targets[k] - targets[j]).where(real, 1)
    return lam[..., None] * z[j] + (1 - lam)[..., None] * z[k], targets[:, None].expand_as(lam), real


@procedure(
    SupReMixMixtures,
    title="SupReMix mixtures",
    source="Wu et al. 2023, arXiv:2309.16633",
    formula=r"m^-=\lambda z_i+(1-\lambda)z_k,\ y_k\neq y_i;\quad"
    r"m^+=\frac{y_k-y_i}{y_k-y_j}z_j+\frac{y_i-y_j}{y_k-y_j}z_k,\ y_i-n<y_j<y_i<y_k<y_i+n",
    origin="code",
    papers=("supremix",),
)
def supremix_mixtures(
    z: Tensor, targets: Tensor, share: Tensor, order: Tensor, p: MixtureSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Mixes each anchor with others into hard negatives, and its neighbours of both sides into hard positives.

    A mixture has the mixed target of its two; that of a positive is the anchor's. It is not made a unit vector.

    Args:
        z: (A, D) embeddings.
        targets: (A,) target of each.
        share: (A, A) share of anchor i in its mixture with k, between 0 and 1.
        order: (A, A) draws in [0, 1): which mixtures are kept where there are more than `p` allows.
        p: window, at most how many.

    Returns:
        Mixtures (A, K, D), K at most `p.negatives_each + p.positives_each`; their targets (A, K); and (A, K) whole
        numbers, 1 for a positive, 0 for a negative, -1 where there is no mixture (it is 0 there).
    """
    negatives, between, different = mixed_negatives(z, targets, share, order, p.negatives_each)
    positives, own, real = mixed_positives(z, targets, order, p)
    there = torch.cat([different, real], dim=1)
    role = torch.cat([torch.zeros_like(different, dtype=torch.int64), torch.ones_like(real, dtype=torch.int64)], dim=1)
    mixed = torch.cat([negatives, positives], dim=1)
    return (
        mixed.where(there[..., None], 0),
        torch.cat([between, own], dim=1).where(there, 0),
        role.where(there, -1),
    )
