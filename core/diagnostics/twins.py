"""Duplicates and near-duplicates: rows whose nearest other row is all but the same, in a file and across a split."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, resolution, unit_rows
from core.diagnostics.neighbours import Neighbours, neighbours
from core.diagnostics.registry import diagnostic

ALIKE = 0.999
Alike = Annotated[
    float, Field(gt=-1, le=1, title="Alike from", description="The cosine from which on two rows count as twins.")
]


@dataclass(frozen=True)
class Twins:
    """The rows that have a twin.

    `rows` (m,) int64, those most alike first; `beside` (m,) the nearest row of each, in the same table or in the other;
    `cosines` (m,); `same`: how many of the m are equal to their twin up to rounding; `n`: rows that were asked.
    """

    rows: Tensor
    beside: Tensor
    cosines: Tensor
    same: int
    n: int

    @property
    def share(self) -> float:
        return len(self.rows) / self.n

    def pairs(self) -> list[tuple[int, int, float]]:
        """(row, twin, cosine) of each row, those most alike first."""
        return list(zip(self.rows.tolist(), self.beside.tolist(), self.cosines.tolist(), strict=True))


def _twins(nearest: Tensor, cosines: Tensor, alike: float) -> Twins:
    order = cosines.argsort(descending=True, stable=True)
    rows = order[cosines[order] >= alike - resolution(cosines)]
    same = int((cosines >= 1 - resolution(cosines)).sum())
    return Twins(rows, nearest[rows], cosines[rows], min(same, len(rows)), len(cosines))


def twins_of(found: Neighbours, alike: float = ALIKE) -> Twins:
    """As `twins`, of neighbours that are known already."""
    return _twins(found.indices[:, 0], found.cosines[:, 0], alike)


@diagnostic(
    "twins",
    title="Duplicates",
    source="cosine of a row and its nearest other row, against a threshold",
    origin="recalled",
    values="share of rows 0 (no row has a twin) to 1 (every row has one)",
    chance="1 - (1 - p)^(N - 1), p the share of the sphere within it; 0 in practice from 10 dimensions",
)
def twins(z: Array, *, alike: Alike = ALIKE) -> Twins:
    """The rows of a table that have a duplicate or a near-duplicate in it.

    Args:
        z: (N, D) unit rows, N at least 2.
        alike: the cosine from which on two rows are twins.

    Raises:
        ValueError: if rows are not of length 1, or there is no pair.
    """
    return twins_of(neighbours(z, 1), alike)


@diagnostic(
    "twins_across",
    title="Duplicates across the split",
    source="cosine of a test row and the nearest training row, against a threshold",
    origin="recalled",
    values="share of test rows 0 (none has a twin among the training rows) to 1 (every one has)",
    chance="1 - (1 - p)^N over N training rows, p as for duplicates",
)
def twins_across(test: Array, train: Array, *, alike: Alike = ALIKE) -> Twins:
    """The test rows that have a duplicate or a near-duplicate among the training rows.

    Args:
        test: (M, D) unit rows.
        train: (N, D) unit rows; `beside` counts these.
        alike: the cosine from which on two rows are twins.

    Raises:
        ValueError: if rows are not of length 1, or of two widths.
    """
    x, y = unit_rows(test), unit_rows(train)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"got rows of {x.shape[1]} and of {y.shape[1]} dimensions; give both sides the same width")
    near = [(part @ y.T).max(dim=1) for part in x.split(CHUNK)]
    return _twins(torch.cat([p.indices for p in near]), torch.cat([p.values for p in near]).clamp(-1, 1), alike)


def chance_twins(others: int, dim: int, alike: float = ALIKE) -> float:
    """Probability that a random direction has a twin among `others` random directions in `dim` dimensions."""
    from scipy.special import betainc

    half = 0.5 * float(betainc((dim - 1) / 2, 0.5, 1 - alike**2)) if dim > 1 else 0.5
    cap = half if alike >= 0 else 1 - half
    return -math.expm1(others * math.log1p(-cap)) if cap < 1 else 1.0
