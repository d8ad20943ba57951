"""What the diagnostics accept: tensors on any device, or numpy arrays as a snapshot holds them."""

import math

import numpy as np
import torch
from torch import Tensor

Array = Tensor | np.ndarray
UNIT_TOLERANCE = 1e-3
CHUNK = 1024


def tensor(x: Array) -> Tensor:
    """`x` without its graph, float64 if it is float64 and float32 otherwise, on its own device."""
    if isinstance(x, np.ndarray):
        x = torch.from_numpy(np.require(x, requirements=["C", "W"]))
    x = x.detach()
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def integers(x: Array, like: Tensor) -> Tensor:
    """`x` as int64 on the device of `like`: labels and indices."""
    return torch.as_tensor(np.array(x) if isinstance(x, np.ndarray) else x).to(like.device, torch.int64)


def rows(x: Array) -> Tensor:
    """`x` (N, D) as `tensor` gives it.

    Raises:
        ValueError: if it is not a table of at least one row, or holds NaN or infinity.
    """
    z = tensor(x)
    if z.ndim != 2 or z.numel() == 0:
        raise ValueError(f"got an array of shape {tuple(z.shape)} where (items, dimensions) is expected; reshape it")
    if not bool(torch.isfinite(z).all()):
        raise ValueError("got NaN or infinity among the embeddings where finite numbers are expected; drop those rows")
    return z


def are_unit(z: Tensor) -> bool:
    """Whether every row of `z` (N, D) has length 1 within `UNIT_TOLERANCE`."""
    return bool(((z.norm(dim=1) - 1).abs() <= UNIT_TOLERANCE).all())


def unit_rows(x: Array) -> Tensor:
    """`x` (N, D) as `tensor` gives it, every row of length 1 within `UNIT_TOLERANCE`.

    Raises:
        ValueError: as `rows` does, and if a row has another length.
    """
    z = rows(x)
    if not are_unit(z):
        low, high = torch.aminmax(z.norm(dim=1))
        raise ValueError(
            f"got rows of length {float(low):.3g} to {float(high):.3g} where unit rows are expected; "
            "divide each row by its length first"
        )
    return z


def resolution(x: Tensor) -> float:
    """The difference below which two similarities of unit vectors in the dtype of `x` are rounding, not order."""
    return 16 * torch.finfo(x.dtype).eps


def share(x: Tensor) -> float:
    """Mean of a flat tensor of truths or of numbers between 0 and 1; NaN where it is empty."""
    return float(x.sum()) / x.numel() if x.numel() else math.nan


def class_of(labels: Array, z: Tensor) -> Tensor:
    """(N,) int64 labels of the rows of `z` (N, D), on its device.

    Raises:
        ValueError: if there is not one label for each row.
    """
    found = integers(labels, z)
    if found.shape != (len(z),):
        raise ValueError(f"got labels of shape {tuple(found.shape)} for {len(z)} items; give one label for each item")
    return found
