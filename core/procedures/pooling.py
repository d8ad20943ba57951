"""Regions of an image out of the patches of a transformer."""

from math import isqrt
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class PatchPooling(Params):
    kind: Literal["patch_pooling"] = "patch_pooling"


@procedure(
    PatchPooling,
    title="Regions of patches",
    source="Yang et al. 2022, arXiv:2202.10401; the released code",
    formula=r"l_r=\frac1{c^2}\sum_{u\in r}x_u,\quad c=\sqrt b",
    origin="code",
    papers=("tcl",),
)
def patch_pooling(patches: Tensor, p: PatchPooling) -> Tensor:
    """Averages square windows of patches, so that a grid with b a side becomes one with the root of b.

    Unit vectors are averaged as they are; a region is shorter than its patches.

    Args:
        patches: (B, b * b, D) row by row, b a square number.
        p: nothing to set.

    Returns:
        (B, b, D) regions, row by row.

    Raises:
        ValueError: if the patches are no such grid.
    """
    side = isqrt(patches.shape[1])
    window = isqrt(side)
    if patches.shape[1] != window**4:
        raise ValueError(f"got {patches.shape[1]} patches where a fourth power is expected; crop to 16, 81 or 256")
    grid = patches.unflatten(1, (side, side)).permute(0, 3, 1, 2)
    return F.avg_pool2d(grid, window).flatten(2).transpose(1, 2)
