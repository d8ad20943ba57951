"""Curves over training steps: the past in ink, the future faint, a dot at the cursor, chance and floor dotted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import Scale, frame, scale, words
from dashboard.charts.chart import Chart, last_before, points, thinned
from dashboard.words import number

HEIGHT, LANES = 210, 2
LABEL_WIDTH, LABEL_HEIGHT = 0.28, 0.12  # of a level's name, as shares of the plot


def _lane(steps: np.ndarray, values: np.ndarray, at: float, dashed: bool) -> list[dict[str, Any]]:
    """The whole run faint, its past in full ink, and the dot: always three series."""
    x, y = thinned(steps, values)
    style: dict[str, Any] = {"type": theme.DASH if dashed else "solid", "width": 2}
    line = {"type": "line", "name": "anchor", "showSymbol": False, "connectNulls": False}
    now = last_before(steps, at)
    dot = [[float(steps[now]), float(values[now])]] if len(steps) and now >= 0 and np.isfinite(values[now]) else []
    return [
        line | {"data": points(x, y), "lineStyle": style | {"opacity": 0.25, "width": 1.5}},
        line | {"data": points(x, np.where(x <= at, y, np.nan)), "lineStyle": style, "silent": True},
        {
            "type": "scatter",
            "name": "anchor",
            "symbol": theme.RING if dashed else "circle",
            "symbolSize": 10,
            "itemStyle": {"opacity": 1},
            "animation": False,
            "data": dot,
            "z": 5,
        },
    ]


def _is_free(box: tuple[float, float, float, float], runs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether no point of a curve lies in the box (left, right, bottom, top)."""
    left, right, bottom, top = box
    return not any(((s >= left) & (s <= right) & (v >= bottom) & (v <= top)).any() for s, v in runs.values())


def _level(
    name: str, level: float | None, x: Scale, y: Scale, place: str, runs: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> list[dict[str, Any]]:
    """A dotted line across at `level`, with its name and value where no curve runs through it: always two series."""
    there = level is not None and np.isfinite(level)
    value = float(level) if there and level is not None else 0.0
    wide, tall = LABEL_WIDTH * (x.high - x.low), LABEL_HEIGHT * (y.high - y.low)
    bottom, top = (value - tall, value) if place == "bottom" else (value, value + tall)
    taken = there and not _is_free((x.high - wide, x.high, bottom, top), runs)
    at_left = taken and _is_free((x.low, x.low + wide, bottom, top), runs)
    line = {
        "type": "line",
        "name": "anchor",
        "showSymbol": False,
        "silent": True,
        "data": [[x.low, value], [x.high, value]] if there else [],
        "lineStyle": {"type": "dotted", "width": 1.5, "opacity": 0.8},
    }
    end, align = (x.low, "left") if at_left else (x.high, "right")
    label = words([(end, value, f"{name} {number(value)}")] if there else [], place, align=align, distance=3)
    return [line, label]


def curve(
    lanes: Mapping[str, tuple[ArrayLike, ArrayLike]],
    at: float,
    *,
    chance: float | None = None,
    floor: float | None = None,
    floor_name: str = "floor",
    what: str = "loss",
    x_title: str = "step",
    low: float | None = None,
    until: float | None = None,
) -> Chart:
    """One or two runs over their steps, told apart by a solid and a dashed line of the same ink.

    Args:
        lanes: name -> (steps (T,), values (T,)), one or two of them; values that are not finite leave a gap.
        at: the step of the cursor.
        chance: value of pure guessing, dotted.
        floor: value that cannot be passed, dotted.
        floor_name: what the floor is called.
        what: what is drawn, for the alternative text and the table.
        x_title: name of the x axis.
        low: lower end of the y axis; None takes 0, or the smallest value where that is below 0.
        until: end of the x axis, so that it stands still while a run goes on; None takes the last step.
    """
    runs = {name: (np.asarray(x, float), np.asarray(y, float)) for name, (x, y) in list(lanes.items())[:LANES]}
    levels = [value for value in (chance, floor) if value is not None and np.isfinite(value)]
    finite = np.concatenate([y[np.isfinite(y)] for _, y in runs.values()] + [np.asarray(levels, float)])
    last = max((float(x[-1]) for x, _ in runs.values() if len(x)), default=1.0)
    x = scale(0, max(last, until or 1), count=6, tight=True)
    smallest = float(finite.min()) if len(finite) else 0.0
    y = scale(min(0.0, smallest) if low is None else low, float(finite.max()) if len(finite) else 1.0)
    series = [part for i, (s, v) in enumerate(runs.values()) for part in _lane(s, v, at, dashed=i > 0)]
    below = floor is not None and floor > y.low + 0.15 * (y.high - y.low)
    option = frame(
        x,
        y,
        [
            *series,
            *_level("chance", chance, x, y, "top", runs),
            *_level(floor_name, floor, x, y, "bottom" if below else "top", runs),
        ],
        x_title=x_title,
        tooltip={"trigger": "axis", "formatter": f"{x_title} {{@[0]}}: {{@[1]}}"},
    )
    present = {}
    for name, (s, v) in runs.items():
        now = last_before(s, at)
        present[name] = number(float(v[now])) if now >= 0 else "–"
    described = ", ".join(f"{name} {value}" for name, value in present.items())
    columns = {
        "run": [name for name, (s, _) in runs.items() for _ in s],
        "step": [value for s, _ in runs.values() for value in s.tolist()],
        what: [value for _, v in runs.values() for value in v.tolist()],
    }
    return Chart("echarts", option, f"{what} over {x_title}s; at {x_title} {at:g}: {described}.", HEIGHT, columns)
