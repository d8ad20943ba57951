"""A surface seen from above: a value for every place of two similarities, darker where it is larger."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import axis, margins, scale, words
from dashboard.charts.chart import Chart
from dashboard.charts.xy import Kind
from dashboard.words import number

HEIGHT, LEVELS, DARKEST = 360, 10, 0.75


def _cells(value: np.ndarray, kind: Kind) -> list[dict[str, Any]]:
    """One series for each level of darkness; where all is equal, all is pale."""
    low, high = float(np.nanmin(value)), float(np.nanmax(value))
    level = np.ceil((value - low) / (high - low or 1) * LEVELS).clip(1, LEVELS).astype(int)
    return [
        {
            "type": "heatmap",
            "name": kind,
            "animation": False,
            "progressive": 0,
            "itemStyle": {"opacity": round(DARKEST * (k - 0.5) / LEVELS, 3)},
            "data": [[int(j), int(i), round(float(value[i, j]), 4)] for i, j in np.argwhere(level == k)],
        }
        for k in range(1, LEVELS + 1)
    ]


def surface(
    at: ArrayLike,
    value: ArrayLike,
    *,
    positive_at: float,
    negative_at: float,
    what: str,
    kind: Kind = "anchor",
) -> Chart:
    """A value over the similarity of the positive (across) and of the hardest negative (up), and where they stand.

    Args:
        at: (T,) similarities, rising and even.
        value: (T, T) rows by the negative, columns by the positive.
        positive_at: where the positive stands, a vertical hair.
        negative_at: where the negative stands, a level one.
        what: what the value is.
        kind: the colour of the cells.
    """
    at, value = np.asarray(at, dtype=float), np.asarray(value, dtype=float)
    half = (at[1] - at[0]) / 2
    ends = float(at[0] - half), float(at[-1] + half)
    ticks = scale(*ends, count=4, tight=True)
    quiet = {"axisLabel": {"show": False}, "axisTick": {"show": False}, "axisLine": {"show": False}}
    category = {"type": "category", "data": list(range(len(at))), "splitLine": {"show": False}} | quiet
    over = {"xAxisIndex": 1, "yAxisIndex": 1}
    line = {"type": "line", "showSymbol": False, "silent": True, "animation": False} | over
    style = {"width": 1.6}
    tooltip = {"trigger": "item", "formatter": f"{what} {{@[2]}}"}
    option = theme.echarts(
        grid=margins(left=56, right=16, top=8, title=True),
        tooltip=tooltip,
        xAxis=[category, axis(ticks, position="bottom")],
        yAxis=[category, axis(ticks, position="left")],
        series=[
            *_cells(value, kind),
            {
                **line,
                "name": "anchor",
                "data": [[ends[0]] * 2, [ends[1]] * 2],
                "lineStyle": {"width": 1, "type": "dotted", "opacity": 0.8},
            },
            {
                **line,
                "name": "positives",
                "data": [[positive_at, ends[0]], [positive_at, ends[1]]],
                "lineStyle": style,
                "z": 4,
            },
            {
                **line,
                "name": "negatives",
                "data": [[ends[0], negative_at], [ends[1], negative_at]],
                "lineStyle": style | {"type": theme.DASH},
                "z": 4,
            },
            words([(v, ends[0], t) for v, t in zip(ticks.ticks, ticks.labels, strict=True)], "bottom", distance=7)
            | over,
            words([(ends[0], v, t) for v, t in zip(ticks.ticks, ticks.labels, strict=True)], "left", distance=8) | over,
            words([(0, ends[0], "similarity of the positive")], "bottom", "positives", distance=26) | over,
            words([(ends[0], 0, "of the hardest negative")], "left", "negatives", distance=38, rotate=90) | over,
        ],
    )
    low, high = float(np.nanmin(value)), float(np.nanmax(value))
    alt = (
        f"{what} over the similarity of the positive and of the hardest negative, from {number(low)} to "
        f"{number(high)}; they stand at {number(positive_at)} and {number(negative_at)}."
    )
    columns = {
        "positive": np.tile(at, len(at)).tolist(),
        "hardest negative": np.repeat(at, len(at)).tolist(),
        what: value.ravel().tolist(),
    }
    return Chart("echarts", option, alt, HEIGHT, columns)
