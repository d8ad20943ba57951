"""How near the items of a class may stay to one another."""

import math

import torch

from core.diagnostics.arrays import Array, integers, unit_rows
from core.diagnostics.registry import diagnostic


@diagnostic(
    "tolerance",
    title="Tolerance",
    source="Wang and Liu 2021, arXiv:2012.09740; the mean over pairs of one class",
    origin="recalled",
    papers=("understanding_cl",),
    values="-1 / (n - 1) at the lowest for one class of n items, to 1 (each class a point)",
    chance="0 for random unit vectors; 1 where everything has collapsed",
)
def tolerance(z: Array, labels: Array) -> float:
    """Mean cosine of two different items of one class; NaN where no class has two.

    Args:
        z: (N, D) unit rows.
        labels: (N,) class of each item; used to measure alone.

    Raises:
        ValueError: if the numbers of items and classes differ.
    """
    x = unit_rows(z).double()
    kind = integers(labels, x)
    if len(kind) != len(x):
        raise ValueError(f"got {len(x)} items and {len(kind)} labels; give one label an item")
    names, place, counts = torch.unique(kind, return_inverse=True, return_counts=True)
    pairs = int((counts * (counts - 1)).sum())
    if pairs == 0:
        return math.nan
    sums = torch.zeros(len(names), x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, place, x)
    return float(sums.square().sum() - x.square().sum()) / pairs
