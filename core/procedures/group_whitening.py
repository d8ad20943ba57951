"""Group whitening: channels are decorrelated within groups, and the groups may be drawn anew for each view."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class GroupWhitening(Params):
    kind: Literal["group_whitening"] = "group_whitening"
    channels: int = Field(6, ge=1, le=128, title="Channels per group", description="How many are whitened together.")
    floor: float = Field(
        1e-5, ge=0, le=0.1, title="Floor of the variance", description="Smaller variances are divided as if this large."
    )
    whiten_grad: Literal["stop", "full"] = Field(
        "stop",
        title="Gradient of the matrix",
        description="Whether the whitening matrix is held fixed or takes part in the gradient.",
    )


@procedure(
    GroupWhitening,
    title="Shuffled group whitening",
    source="Zhuo et al. 2023, arXiv:2305.17746, sec. 3.2; matrix and gradient as in their code",
    origin="code",
    papers=("whitenedcse",),
    formula=r"y=(x-\bar x)\,\Sigma_g^{-1/2},\qquad\Sigma_g=\tfrac1B\sum_i(x_i-\bar x)_g^\top(x_i-\bar x)_g",
)
def group_whitening(views: Tensor, orders: Tensor, p: GroupWhitening) -> Tensor:
    """Gives every group of channels unit variance and no correlation over the batch, turning it as little as can be.

    Args:
        views: (V, B, D) vectors of any length; each view has its own mean and matrix.
        orders: (V, D) order of the channels in which they are cut into groups; each returns to its place after.
        p: channels per group, floor, and whether the matrix takes part in the gradient.

    Returns:
        (V, B, D) whitened vectors, in float32 at least; not of unit length.
    """
    matrix = whitening_matrix(views, orders, p.channels, p.floor)
    return centred(views) @ (matrix.detach() if p.whiten_grad == "stop" else matrix)


def centred(views: Tensor) -> Tensor:
    """(V, B, D) each view less its mean over the batch, in float32 at least."""
    exact = views if views.dtype == torch.float64 else views.float()
    return exact - exact.mean(dim=1, keepdim=True)


def whitening_matrix(views: Tensor, orders: Tensor, channels: int, floor: float) -> Tensor:
    """(V, D, D) inverse square root of each view's covariance with everything between two groups left out.

    Its gradient is that of the function of the matrix, finite where variances coincide as well.
    """
    x = centred(views)
    group = orders.argsort(dim=-1) // channels
    within = group[:, :, None] == group[:, None, :]
    covariance = (x.mT @ x / x.shape[1]).masked_fill(~within, 0)
    found, axes = torch.linalg.eigh(covariance.detach())
    kept = found.clamp(min=floor)
    root = kept.sqrt()
    held = axes @ (axes.mT / root[:, :, None])
    turn = axes.mT @ (covariance - covariance.detach()) @ axes
    return held + axes @ (_slopes(found, kept, root) * turn) @ axes.mT


def _slopes(found: Tensor, kept: Tensor, root: Tensor) -> Tensor:
    """(V, D, D) divided differences of 1 / sqrt(max(x, floor)) between all pairs of variances."""
    apart, clipped = (x[:, :, None] - x[:, None, :] for x in (found, kept))
    above = (found == kept).to(found.dtype)
    near = apart.abs() <= torch.finfo(found.dtype).eps * found[:, -1, None, None].abs()
    share = torch.where(near, above[:, :, None] * above[:, None, :], clipped / apart.masked_fill(near, 1))
    u, v = root[:, :, None], root[:, None, :]
    return -share / (u * v * (u + v))
