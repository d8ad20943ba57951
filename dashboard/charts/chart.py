"""What every chart function returns: a figure, its words for those who cannot see it, and the numbers behind it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Chart:
    """A figure ready to be drawn.

    `spec`: an ECharts option, a Plotly figure or an Altair chart, as `kind` says. `alt`: one sentence with numbers.
    `height`: pixels. `columns`: what is drawn, one row per mark, columns of equal length, for saving and for tests.
    """

    kind: Literal["echarts", "plotly", "altair"]
    spec: Any
    alt: str
    height: int
    columns: Mapping[str, Sequence[Any]]


def plain(values: ArrayLike, digits: int = 4) -> list[Any]:
    """Numbers as nested lists for JSON; what is not finite becomes None, a gap.

    Rounded to `digits` decimals, and to more where all numbers are small, so that a curve of small forces stays smooth.
    """
    array = np.asarray(values, dtype=float)
    finite = np.isfinite(array)
    largest = float(np.abs(array[finite]).max(initial=0))
    array = np.round(array, digits + max(0, -math.floor(math.log10(largest))) if largest else digits)
    if finite.all():
        return array.tolist()
    gaps = array.astype(object)
    gaps[~finite] = None
    return gaps.tolist()


def points(*columns: ArrayLike) -> list[list[Any]]:
    """Columns (n,) each -> n rows, as `plain` writes them."""
    return plain(np.stack([np.asarray(column, dtype=float) for column in columns], axis=-1))


def thinned(x: ArrayLike, y: ArrayLike, limit: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """At most about `limit` of n points, keeping the lowest and the highest of each stretch, so no spike is lost.

    Args:
        x: (n,) rising.
        y: (n,) values; a stretch without any finite value keeps its first point.
        limit: number of points wanted, at least 4.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) <= limit:
        return x, y
    stretches = limit // 2 - 1
    length = -(-len(x) // stretches)
    index = np.minimum(np.arange(stretches * length), len(x) - 1).reshape(stretches, length)
    held = np.isfinite(y[index])
    row = np.arange(stretches)
    lowest = index[row, np.where(held, y[index], np.inf).argmin(axis=1)]
    highest = index[row, np.where(held, y[index], -np.inf).argmax(axis=1)]
    kept = np.unique(np.concatenate([[0, len(x) - 1], lowest, highest]))
    return x[kept], y[kept]


def last_before(steps: np.ndarray, at: float) -> int:
    """Index of the last of the rising `steps` (T,) that is not after `at`; -1 where all are."""
    return int(np.searchsorted(steps, at, side="right")) - 1
