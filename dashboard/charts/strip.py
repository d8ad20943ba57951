"""The margin strip: what was really asked of the mixed pairs, step by step, under the line of the full margin."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts.axes import frame, named, scale, words
from dashboard.charts.chart import Chart, last_before, points
from dashboard.words import number, tick

HEIGHT, BARS = 110, 200


def strip(steps: ArrayLike, applied: ArrayLike, margin: float, at: float, *, until: float | None = None) -> Chart:
    """Violet bars of the applied margin, a line at the margin itself, and a diamond at the cursor.

    Args:
        steps: (T,) recorded steps, rising.
        applied: (T,) mean margin asked of the mixed pairs at each, read from the plan.
        margin: the margin m that the mixing starts from.
        at: the step of the cursor.
        until: end of the axis, so that it stands still while a run goes on; None takes the last step.
    """
    steps, applied = np.asarray(steps, dtype=float), np.asarray(applied, dtype=float)
    every = max(1, -(-len(steps) // BARS))
    x, y = steps[::every], applied[::every]
    last = max([1.0, until or 0.0, *steps[-1:].tolist()])
    now = last_before(steps, at)
    value = float(applied[now]) if now >= 0 else float("nan")
    high = max([margin, 1e-9, *applied[np.isfinite(applied)].tolist()]) * 1.15
    beside = value if abs(value - margin) >= 0.2 * high else margin - 0.2 * high
    bar: dict[str, Any] = {"type": "bar", "name": "mixed", "barGap": "-100%", "barCategoryGap": "25%", "barMinWidth": 1}
    series = [
        bar | {"data": points(x, np.where(x <= at, y, np.nan))},
        bar | {"data": points(x, np.where(x > at, y, np.nan)), "itemStyle": {"opacity": 0.25}, "silent": True},
        {
            "type": "line",
            "name": "anchor",
            "showSymbol": False,
            "silent": True,
            "data": [[0, margin], [last, margin]],
            "lineStyle": {"width": 2},
        },
        {
            "type": "scatter",
            "name": "mixed",
            "symbol": "diamond",
            "symbolSize": 11,
            "itemStyle": {"opacity": 1},
            "animation": False,
            "data": [[float(steps[now]), value]] if np.isfinite(value) else [],
            "z": 5,
        },
        words([(last, margin, f"m {number(margin)}")], "right", distance=10),
        words([(last, beside, f"now {number(value)}")] if np.isfinite(value) else [], "right", "mixed", distance=10),
    ]
    across = scale(0, last, count=6, tight=True)
    up = named([0, margin], ["0", tick(round(margin, 2))], 0, high) if margin > 0 else named([0], ["0"], 0, high)
    option = frame(across, up, series, left=36, right=74, top=6, grid=False)
    alt = f"Margin applied at step {at:g}: {number(value)} of {number(margin)}."
    return Chart("echarts", option, alt, HEIGHT, {"step": steps.tolist(), "applied margin": applied.tolist()})
