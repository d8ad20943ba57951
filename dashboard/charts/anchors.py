"""A bar for each anchor of a batch, the largest first: how hard it pulls and pushes, or how many take its push."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts.axes import frame, named, scale, words
from dashboard.charts.chart import Chart, plain
from dashboard.words import count, number

HEIGHT, MOST = 210, 64


def anchors(
    up: ArrayLike, down: ArrayLike | None = None, *, up_name: str, down_name: str = "", level: float | None = None
) -> Chart:
    """Bars upwards and, of the same anchors, downwards; an even choice of 64 anchors where there are more.

    Args:
        up: (A,) values drawn upwards; blue where there are two, orange alone.
        down: (A,) values drawn downwards, in orange.
        up_name: what the first are.
        down_name: what the second are.
        level: a dotted line, with its value.
    """
    high = np.asarray(up, dtype=float)
    low = np.zeros(len(high)) if down is None else np.asarray(down, dtype=float)
    order = np.argsort(-(high + (low if down is not None else 0)), kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(MOST, len(order))).round().astype(int)]
    bar: dict[str, Any] = {"type": "bar", "stack": "anchor", "barCategoryGap": "12%"}
    series = [bar | {"name": "negatives" if down is None else "positives", "data": _at(high[rows])}]
    if down is not None:
        series.append(bar | {"name": "negatives", "data": _at(-low[rows])})
    top = max(float(high.max(initial=0)), float((-low).max(initial=0)), level or 0)
    bottom = min(float(high.min(initial=0)), float((-low).min(initial=0)))
    y = scale(bottom, top or 1.0, count=4)
    across = named([], [], -0.5, len(rows) - 0.5)
    line = {
        "type": "line",
        "name": "anchor",
        "showSymbol": False,
        "silent": True,
        "data": [] if level is None else [[-0.5, level], [len(rows) - 0.5, level]],
        "lineStyle": {"type": "dotted", "width": 1.5},
    }
    text = [] if level is None else [(len(rows) - 0.5, level, f"all {number(level, 0)}")]
    option = frame(
        across,
        y,
        [*series, line, words(text, "top", align="right", distance=4)],
        x_title="anchors, the strongest first",
        left=48,
    )
    least, most = (number(float(each), 3) for each in (high.min(initial=np.inf), high.max(initial=0)))
    alt = f"{count(len(rows))} of {count(len(high))} anchors: {up_name} from {least} to {most}"
    alt += f", {down_name} up to {number(float(low.max(initial=0)), 3)}." if down is not None else "."
    columns = {"anchor": list(range(len(high))), up_name: high.tolist()}
    return Chart("echarts", option, alt, HEIGHT, columns | ({} if down is None else {down_name: low.tolist()}))


def _at(values: np.ndarray) -> list[list[float]]:
    return [[i, value] for i, value in enumerate(plain(values))]
