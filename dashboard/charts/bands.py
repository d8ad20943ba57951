"""Scores over training: for each kind of pair its median and the middle half and nine tenths around it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import frame, scale
from dashboard.charts.chart import Chart, last_before, plain, points
from dashboard.charts.xy import Curve, Kind, ends, hair
from dashboard.words import number

HEIGHT = 300
KINDS: tuple[Kind, ...] = ("negatives", "mixed", "positives")


def _band(kind: str, steps: np.ndarray, low: np.ndarray, high: np.ndarray, opacity: float) -> list[dict[str, Any]]:
    """An invisible lower line and, stacked on it, the filled height of the band."""
    part = {
        "type": "line",
        "name": kind,
        "showSymbol": False,
        "silent": True,
        "stack": f"{kind} {opacity}",
        "stackStrategy": "all",
        "lineStyle": {"opacity": 0},
    }
    return [
        part | {"data": points(steps, low)},
        part | {"data": points(steps, high - low), "areaStyle": {"opacity": opacity}},
    ]


def bands(
    steps: ArrayLike,
    quantiles: Mapping[str, ArrayLike],
    at: float,
    *,
    what: str = "similarity",
    until: float | None = None,
) -> Chart:
    """Quantiles of the scores of each kind of pair, step by step.

    Args:
        steps: (T,) recorded steps, rising; at most about 120 keep the message small.
        quantiles: "positives", "negatives", "mixed" -> (T, 5) the quantiles .05, .25, .5, .75, .95; NaN leaves a gap.
        at: the step of the cursor.
        what: what the scores are.
        until: end of the x axis, so that it stands still while a run goes on; None takes the last step.
    """
    steps = np.asarray(steps, dtype=float)
    nothing = np.full((len(steps), 5), np.nan)
    each = {kind: np.asarray(quantiles.get(kind, nothing), dtype=float) for kind in KINDS}
    every = np.concatenate([values.ravel() for values in each.values()])
    every = every[np.isfinite(every)]
    y = scale(float(every.min()), float(every.max())) if len(every) else scale(-1, 1)
    x = scale(0, max([1.0, until or 0.0, *steps[-1:].tolist()]), count=6, tight=True)
    series: list[dict[str, Any]] = []
    for kind, q in each.items():
        series += _band(kind, steps, q[:, 0], q[:, 4], 0.1) + _band(kind, steps, q[:, 1], q[:, 3], 0.2)
        style = {"width": 2.2, "type": theme.DASH if kind == "negatives" else "solid"}
        series.append(
            {"type": "line", "name": kind, "showSymbol": False, "data": points(steps, q[:, 2]), "lineStyle": style}
        )
    medians = [
        Curve(kind, steps[-1:], q[-1:, 2], kind, label=kind if np.isfinite(q[-1:, 2]).any() else "")
        for kind, q in each.items()
        if len(steps)
    ]
    option = frame(x, y, [*series, hair(at, y.low, y.high), *ends(medians, y)], x_title="step", right=68)
    now = last_before(steps, at)
    said = ", ".join(f"{kind} {number(float(q[now, 2]))}" for kind, q in each.items() if kind in quantiles and now >= 0)
    names = ("5%", "25%", "median", "75%", "95%")
    columns = {"step": steps.tolist()} | {
        f"{kind} {name}": plain(each[kind][:, k]) for kind in KINDS if kind in quantiles for k, name in enumerate(names)
    }
    return Chart("echarts", option, f"Median {what} at step {at:g}: {said}.", HEIGHT, columns)
