"""Two partners' gaps as a plane: where both are asked, only one, or nobody, and where a step drives them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts.axes import frame, scale, words
from dashboard.charts.chart import Chart, points
from dashboard.charts.xy import Curve, dot, lines
from dashboard.words import number

HEIGHT, HEAD, STILL = 400, 9, 1e-6
THIN = 6  # every so many cells go into the table to be saved
# Where the word of each region stands, as shares of the plane, what it says, and to which side it is written.
CORNER = {
    "b": (0.015, 0.03, "both asked", "right"),
    "i": (0.015, 0.97, "only the pair asked", "right"),
    "p": (0.985, 0.03, "only its partner asked", "left"),
    "n": (0.985, 0.97, "nobody asked", "left"),
}
# Kind and opacity of each region: both are asked, only one of the two, nobody.
FILL = {"b": ("mixed", 0.34), "i": ("negatives", 0.22), "p": ("negatives", 0.22), "n": ("anchor", 0.0)}


def phases(
    edges: ArrayLike,
    letters: np.ndarray,
    arrows: Sequence[tuple[float, float, float, float]],
    at: tuple[float, float] | None,
) -> Chart:
    """Columns of coloured cells, with arrows and a word for each region.

    Args:
        edges: (k + 1,) ends of the cells, the same on both axes, evenly spaced.
        letters: (k, k) region of each cell, a key of `FILL`; the first index runs along x, the second upwards.
        arrows: (x, y, dx, dy) start and step of each.
        at: where the two pairs stand now.
    """
    edges = np.asarray(edges, dtype=float)
    low, high, width = float(edges[0]), float(edges[-1]), float(edges[-1] - edges[0])
    x, y = scale(low, high, tight=True), scale(low, high, tight=True)
    bands = [_band(kind, opacity, edges, letters, letter) for letter, (kind, opacity) in FILL.items() if opacity]
    moving = [arrow for arrow in arrows if abs(arrow[2]) + abs(arrow[3]) > STILL]
    shafts: list[Any] = []
    for x0, y0, dx, dy in moving:
        shafts += [[x0, y0], [x0 + dx, y0 + dy], [None, None]]
    drawn = {
        "type": "line",
        "name": "anchor",
        "showSymbol": False,
        "silent": True,
        "animation": False,
        "data": [[_round(v) for v in point] for point in shafts],
        "lineStyle": {"width": 1.6},
    }
    heads = {
        "type": "scatter",
        "name": "anchor",
        "symbol": "triangle",
        "silent": True,
        "animation": False,
        "itemStyle": {"opacity": 1},
        "data": [
            {
                "value": [_round(x0 + dx), _round(y0 + dy)],
                "symbolSize": HEAD,
                "symbolRotate": round(float(np.degrees(np.arctan2(dy, dx))) - 90, 1),
            }
            for x0, y0, dx, dy in moving
        ],
    }
    here = dot(*at, "mixed", "diamond", 15) if at else dot(0, float("nan"), "mixed", "diamond", 15)
    named = [
        words([(low + width * px, low + width * py, CORNER[letter][2])] if (letters == letter).any() else [], place)
        for letter, (px, py, _, place) in CORNER.items()
    ]
    option = frame(
        x,
        y,
        [*(band for bands_of in bands for band in bands_of), drawn, heads, here, *named],
        x_title="gap of the pair",
        left=52,
    )
    option["series"].append(words([(low, (low + high) / 2, "gap of its partner")], "left", distance=36, rotate=90))
    share = {letter: float((letters == letter).mean()) for letter in FILL}
    alt = "Of the plane of two gaps: " + ", ".join(f"{CORNER[k][2]} {100 * v:.0f}%" for k, v in share.items()) + "."
    middle = ((edges[:-1] + edges[1:]) / 2)[::THIN]
    thin = letters[::THIN, ::THIN]
    columns = {
        "gap of the pair": np.repeat(middle, len(middle)).tolist(),
        "gap of its partner": np.tile(middle, len(middle)).tolist(),
        "asked": [CORNER[letter][2] for letter in thin.ravel()],
    }
    return Chart("echarts", option, alt, HEIGHT, columns)


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _band(kind: str, opacity: float, edges: np.ndarray, letters: np.ndarray, letter: str) -> list[dict[str, Any]]:
    """The region as an area between its lower and its upper edge: every column of it is one stretch."""
    held = letters == letter
    first, last = held.argmax(axis=1), held.shape[1] - held[:, ::-1].argmax(axis=1)
    low, high = (np.where(held.any(axis=1), edges[k], np.nan) for k in (first, last))
    at = (edges[:-1] + edges[1:]) / 2
    at = np.concatenate([edges[:1], at[1:-1], edges[-1:]])
    floor = {
        "type": "line",
        "name": kind,
        "showSymbol": False,
        "silent": True,
        "animation": False,
        "stack": f"region {letter}",
        "stackStrategy": "all",
        "lineStyle": {"opacity": 0},
    }
    return [
        floor | {"data": points(at, low)},
        floor | {"data": points(at, high - low), "areaStyle": {"opacity": opacity}},
    ]


def strong_weak(lam: ArrayLike, strong: ArrayLike, weak: ArrayLike, clean: tuple[float, float], at: float) -> Chart:
    """How similar strong and weak pairs become in a step, over lambda; the clean loss as dotted lines.

    Args:
        lam: (T,) shares of the anchor, rising.
        strong: (T,) change of the strong pairs.
        weak: (T,) change of the weak pairs.
        clean: both changes under the clean loss.
        at: lambda of the slider.
    """
    lam = np.asarray(lam, dtype=float)
    level = [
        {
            "type": "line",
            "name": "anchor",
            "showSymbol": False,
            "silent": True,
            "data": [[float(lam[0]), value], [float(lam[-1]), value]],
            "lineStyle": {"width": 1.2, "type": "dotted"},
        }
        for value in clean
    ]
    chart = lines(
        [
            Curve("strong pairs", lam, strong, "mixed", label="strong"),
            Curve("weak pairs", lam, weak, "positives", label="weak"),
        ],
        x_title="λ, share of the anchor",
        y_title="change of similarity",
        at=at,
        extra=level,
        height=250,
        right=56,
    )
    columns = {**chart.columns, "curve": [*chart.columns["curve"], "strong pairs, clean", "weak pairs, clean"]}
    for name, extra in (("λ, share of the anchor", [float("nan")] * 2), ("change of similarity", list(clean))):
        columns[name] = [*chart.columns[name], *extra]
    alt = f"{chart.alt} Clean: strong {number(clean[0], 3)}, weak {number(clean[1], 3)}."
    return Chart("echarts", chart.spec, alt, chart.height, columns)
