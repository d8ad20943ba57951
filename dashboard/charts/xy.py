"""Curves over any quantity: the frame that gradients and margins share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import Scale, frame, scale, words
from dashboard.charts.chart import Chart, points

Kind = Literal["positives", "negatives", "mixed", "anchor"]
HEIGHT = 300


@dataclass(frozen=True)
class Curve:
    """A line of one kind: `x`, `y` (T,), what it is called, whether dashed, and the word at its right end."""

    name: str
    x: ArrayLike
    y: ArrayLike
    kind: Kind = "anchor"
    dashed: bool = False
    label: str = ""


def line(curve: Curve) -> dict[str, Any]:
    """The ECharts series of a curve."""
    return {
        "type": "line",
        "name": curve.kind,
        "showSymbol": False,
        "data": points(curve.x, curve.y),
        "lineStyle": {"width": 2.2, "type": theme.DASH if curve.dashed else "solid"},
    }


def hair(x: float, low: float, high: float, kind: Kind = "anchor", dashed: bool = False) -> dict[str, Any]:
    """A thin vertical line at `x`."""
    return {
        "type": "line",
        "name": kind,
        "showSymbol": False,
        "silent": True,
        "animation": False,
        "data": [[x, low], [x, high]],
        "lineStyle": {"width": 1, "opacity": 0.6, "type": theme.DASH if dashed else "solid"},
    }


def dot(x: float, y: float, kind: Kind, symbol: str = "circle", size: float = 10) -> dict[str, Any]:
    """One mark at (x, y), drawn at once; none where y is not finite."""
    return {
        "type": "scatter",
        "name": kind,
        "symbol": symbol,
        "symbolSize": size,
        "itemStyle": {"opacity": 1},
        "animation": False,
        "silent": True,
        "data": [[float(x), float(y)]] if np.isfinite(y) else [],
        "z": 5,
    }


def value_at(curve: Curve, x: float) -> float:
    """The curve's value at `x`, by straight lines between its points."""
    return float(np.interp(x, np.asarray(curve.x, float), np.asarray(curve.y, float)))


def ends(curves: Sequence[Curve], y: Scale) -> list[dict[str, Any]]:
    """The word at the right end of each curve, one series each, moved apart where two would overlap."""
    last = [(float(np.asarray(c.x)[-1]), float(np.asarray(c.y)[-1])) for c in curves]
    gap, taken = 0.075 * (y.high - y.low), -np.inf
    height = [v for _, v in last]
    order = sorted((i for i, c in enumerate(curves) if c.label), key=lambda i: height[i])
    for i in order:
        height[i] = taken = max(height[i], taken + gap)
    taken = y.high + gap
    for i in reversed(order):
        height[i] = taken = min(height[i], taken - gap)
    return [
        words([(last[i][0], height[i], c.label)] if c.label else [], "right", c.kind, distance=6)
        for i, c in enumerate(curves)
    ]


def extent(curves: Sequence[Curve], *, zero: bool = True) -> tuple[float, float]:
    """Smallest and largest finite value of all curves, with 0 among them if `zero`."""
    values = np.concatenate([np.asarray(c.y, float) for c in curves] + [np.zeros(1 if zero else 0)])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def table(curves: Sequence[Curve], x_title: str, y_title: str) -> dict[str, list]:
    """All points of all curves, one row each."""
    return {
        "curve": [c.name for c in curves for _ in np.asarray(c.x)],
        x_title: [float(v) for c in curves for v in np.asarray(c.x)],
        y_title: [float(v) for c in curves for v in np.asarray(c.y)],
    }


def lines(
    curves: Sequence[Curve],
    *,
    x_title: str,
    y_title: str,
    at: float | None = None,
    x: Scale | None = None,
    y: Scale | None = None,
    extra: Sequence[dict[str, Any]] = (),
    height: int = HEIGHT,
    right: int = 12,
) -> Chart:
    """Several curves with one hair.

    Args:
        curves: what to draw; where one has a `label`, leave `right` pixels for it.
        x_title: name of the x axis.
        y_title: what the values are, for the table.
        at: x of the hair, with a dot on each curve; None draws none.
        x: the x axis; None spans the curves.
        y: the y axis; None spans the curves and 0.
        extra: further ECharts series, drawn under the curves.
        height: pixels.
        right: room at the right in pixels.
    """
    low, high = extent(curves)
    every = np.concatenate([np.asarray(c.x, float) for c in curves])
    x = scale(float(every.min()), float(every.max()), tight=True) if x is None else x
    y = scale(low, high) if y is None else y
    marks = [] if at is None else [hair(at, y.low, y.high)]
    dots = (
        [] if at is None else [dot(at, value_at(c, at), c.kind, theme.RING if c.dashed else "circle") for c in curves]
    )
    option = frame(x, y, [*extra, *marks, *map(line, curves), *dots, *ends(curves, y)], x_title=x_title, right=right)
    where = "" if at is None else f" at {x_title} {at:.2f}"
    said = ", ".join(f"{c.name} {value_at(c, x.high if at is None else at):.2f}" for c in curves)
    return Chart(
        "echarts", option, f"{y_title} over {x_title}{where}: {said}.", height, table(curves, x_title, y_title)
    )
