"""The gradient lab: how far pairs lead, how many still learn, and how fast that ends with the gap."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import axis, below, frame, margins, named, scale, words
from dashboard.charts.chart import Chart, plain, points
from dashboard.charts.xy import Curve, Kind, ends, hair, line, table
from dashboard.words import number, share, tick

COUNTERS_HEIGHT, GAPS_HEIGHT, CURVE_HEIGHT = 190, 250, 270


@dataclass(frozen=True)
class Counter:
    """A share between 0 and 1 of the clean and of the mixed loss."""

    name: str
    clean: float
    mixed: float


def _exact(value: float) -> str:
    """A share in per cent, with two digits where it is small."""
    return share(value) if value >= 0.0995 or value == 0 else f"{tick(float(f'{100 * value:.2g}'))}%"


def counters(rows: Sequence[Counter]) -> Chart:
    """A ring for the clean share and a diamond for the mixed one on a line from 0 to 1, words above each line."""
    n = len(rows)
    level, above = [n - i - 0.72 for i in range(n)], [n - i - 0.3 for i in range(n)]
    x, y = scale(0, 1, tight=True, text=lambda v: f"{number(100 * v, 0)}%"), named([], [], 0, n)
    mark: dict[str, Any] = {"type": "scatter", "silent": True, "itemStyle": {"opacity": 1}, "z": 5}
    series = [
        *(
            {
                "type": "line",
                "name": "mixed",
                "showSymbol": False,
                "silent": True,
                "data": [[row.clean, level[i]], [row.mixed, level[i]]],
                "lineStyle": {"width": 3, "opacity": 0.5},
            }
            for i, row in enumerate(rows)
        ),
        mark
        | {"name": "anchor", "symbol": theme.RING, "symbolSize": 13, "data": points([r.clean for r in rows], level)},
        mark | {"name": "mixed", "symbol": "diamond", "symbolSize": 13, "data": points([r.mixed for r in rows], level)},
        words([(0, above[i], row.name) for i, row in enumerate(rows)], "right", distance=0),
        words(
            [(1, above[i], f"{_exact(row.clean)} → {_exact(row.mixed)}") for i, row in enumerate(rows)],
            "left",
            distance=0,
        ),
    ]
    alt = "; ".join(f"{row.name} {_exact(row.clean)} clean, {_exact(row.mixed)} mixed" for row in rows) + "."
    columns = {
        "what": [row.name for row in rows],
        "clean": [float(row.clean) for row in rows],
        "mixed": [float(row.mixed) for row in rows],
    }
    return Chart("echarts", frame(x, y, series, left=16, right=20, top=2, grid=False), alt, 46 + 48 * n, columns)


@dataclass(frozen=True)
class Edge:
    """A vertical line of a threshold: where it is, what it is called, and its kind."""

    at: float
    name: str
    kind: Kind = "anchor"
    dashed: bool = False


def gaps(edges: ArrayLike, counts: ArrayLike, thresholds: Sequence[Edge]) -> Chart:
    """Bars of how many negatives lie how far behind, with the gaps below which they are still pushed.

    Args:
        edges: (k + 1,) ends of the bins, evenly spaced.
        counts: (k,) negatives in each.
        thresholds: lines to draw; one beyond the bars is written at the right edge with an arrow.
    """
    edges, counts = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    x, high = scale(float(edges[0]), float(edges[-1]), tight=True), max(1.0, float(counts.max(initial=0))) * 1.45
    seen = [edge for edge in thresholds if x.low <= edge.at <= x.high]
    beyond = [edge for edge in thresholds if edge.at > x.high]
    # Words stand to the right of their lines, so the line furthest left is the tallest and meets no other's word.
    ordered = sorted(thresholds, key=lambda edge: edge.at)
    place = {edge.name: high * (0.97 - 0.1 * i) for i, edge in enumerate(ordered)}
    middle = (x.low + x.high) / 2
    on = {"xAxisIndex": 1}
    labels = [
        words(
            [(edge.at, place[edge.name], edge.name)],
            "left" if edge.at > middle else "right",
            edge.kind,
            distance=5,
        )
        | on
        for edge in seen
    ] + [words([(x.high, place[edge.name], f"{edge.name} →")], "left", edge.kind, distance=0) | on for edge in beyond]
    option = theme.echarts(
        grid=margins(left=12, title=True),
        xAxis=[{"type": "category", "data": plain(edges[:-1]), "show": False}, axis(x, line=True, position="bottom")],
        yAxis=axis(named([], [], 0, high)),
        series=[
            {
                "type": "bar",
                "name": "negatives",
                "barCategoryGap": "4%",
                "data": plain(counts),
                "silent": True,
                "itemStyle": {"opacity": 0.55},
            },
            *(hair(edge.at, 0, place[edge.name], edge.kind, edge.dashed) | on | {"z": 4} for edge in seen),
            *labels,
            *below(x, 0, "gap: lead of the own name", xAxisIndex=1),
        ],
    )
    total = max(float(counts.sum()), 1.0)
    mean = float((counts * (edges[:-1] + edges[1:]) / 2).sum() / total)
    said = ", ".join(f"{edge.name} at {number(edge.at)}" for edge in thresholds)
    alt = f"{number(total, 0)} gaps, mean about {number(mean)}; thresholds: {said}."
    columns = {"from": edges[:-1].tolist(), "to": edges[1:].tolist(), "negatives": counts.tolist()}
    return Chart("echarts", option, alt, GAPS_HEIGHT, columns)


@dataclass(frozen=True)
class Dots:
    """Counted values (T,) at `x` (T,), each with its standard error (T,)."""

    x: ArrayLike
    y: ArrayLike
    error: ArrayLike


def _powers(values: Sequence[np.ndarray]) -> tuple[int, int]:
    """Powers of ten that hold all values above 0; at most the eight highest."""
    above = np.concatenate([v[v > 0] for v in values])
    if not len(above):
        return -1, 0
    high = math.ceil(math.log10(float(above.max())) - 1e-9)
    return max(math.floor(math.log10(float(above.min()))), high - 8), high


def closed_form(
    gap: ArrayLike, clean: ArrayLike, mixed: ArrayLike, counted: Dots, *, title: str, log: bool, at: float | None = None
) -> Chart:
    """A closed form over the gap, clean beside mixed, with dots that were counted and their errors.

    Args:
        gap: (T,) clean gaps, rising.
        clean: (T,) the clean loss.
        mixed: (T,) the mixed loss, averaged over lambda.
        counted: Monte Carlo of `mixed`.
        title: what the values are.
        log: draw powers of ten; values of exactly 0 are left out.
        at: gap of a hair.
    """
    curves = [
        Curve("clean", gap, clean, "anchor", dashed=True, label="clean"),
        Curve("mixed", gap, mixed, "mixed", label="mixed"),
    ]
    x = scale(float(np.min(np.asarray(gap))), float(np.max(np.asarray(gap))), tight=True)
    spots, error = np.asarray(counted.y, float), np.asarray(counted.error, float)
    low, high = spots - 2 * error, spots + 2 * error
    if log:
        first, last = _powers([np.asarray(c.y, float) for c in curves])
        y = scale(first, last, text=lambda v: "1" if v == 0 else f"10{_superscript(round(v))}")

        def on_axis(values: ArrayLike) -> np.ndarray:
            values = np.asarray(values, float)
            return np.log10(np.where(values > 0, values, np.nan)).clip(y.low, y.high)

        low = low.clip(10.0**first)
    else:
        y = scale(0, 1)

        def on_axis(values: ArrayLike) -> np.ndarray:
            return np.asarray(values, float)

    drawn = [Curve(c.name, c.x, on_axis(c.y), c.kind, c.dashed, c.label) for c in curves]
    bars = [
        {
            "type": "line",
            "name": "mixed",
            "showSymbol": False,
            "silent": True,
            "data": points([v, v], [a, b]),
            "lineStyle": {"width": 1.4},
        }
        for v, a, b in zip(np.asarray(counted.x, float), on_axis(low), on_axis(high), strict=True)
    ]
    dots = {
        "type": "scatter",
        "name": "mixed",
        "symbol": "diamond",
        "symbolSize": 8,
        "silent": True,
        "itemStyle": {"opacity": 1},
        "data": points(counted.x, on_axis(spots)),
    }
    marks = [] if at is None else [hair(at, y.low, y.high)]
    option = frame(
        x,
        y,
        [*marks, *map(line, drawn), *bars, dots, *_finite_ends(drawn, y)],
        x_title="gap D of the clean pair",
        left=46,
        right=52,
    )
    rows = table(curves, "gap", title)
    rows["curve"] += ["counted"] * len(spots)
    rows["gap"] += np.asarray(counted.x, float).tolist()
    rows[title] += spots.tolist()
    last_values = ", ".join(f"{c.name} {np.asarray(c.y, float)[-1]:.2g}" for c in curves)
    alt = f"{title} against the gap: at {number(x.high)} {last_values}; {len(spots)} counted dots."
    return Chart("echarts", option, alt, CURVE_HEIGHT, rows)


def _finite_ends(curves: Sequence[Curve], y: Any) -> list[dict[str, Any]]:
    """The words at the right ends; a curve that is not drawn there has its word at the floor."""
    whole = [
        Curve(c.name, c.x, np.nan_to_num(np.asarray(c.y, float), nan=y.low), c.kind, c.dashed, c.label) for c in curves
    ]
    return ends(whole, y)


def _superscript(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
