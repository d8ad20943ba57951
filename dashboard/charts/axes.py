"""Cartesian frames for ECharts: quiet axes whose tick labels are drawn in the theme's ink instead of its grey."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.charts import theme
from dashboard.words import tick


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high` with labels at `ticks`."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]


def scale(
    low: float, high: float, *, count: int = 5, tight: bool = False, text: Callable[[float], str] = tick
) -> Scale:
    """Round ends and at most `count` steps between round numbers.

    Args:
        low: smallest value to show.
        high: largest value to show; one above `low` is taken where it is not larger.
        count: largest number of steps between ticks.
        tight: end the axis at `low` and `high` themselves, not at the ticks around them.
        text: how a tick is written.
    """
    high = high if high > low else low + 1
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    inside = (math.ceil, math.floor) if tight else (math.floor, math.ceil)
    first, last = (
        inside[0](low / step - 1e-9 * (1 if tight else -1)),
        inside[1](high / step + 1e-9 * (1 if tight else -1)),
    )
    ticks = tuple(round(i * step, 10) for i in range(first, last + 1))
    ends = (low, high) if tight else (ticks[0], ticks[-1])
    return Scale(*ends, ticks, tuple(text(value) for value in ticks))


def named(values: Sequence[float], labels: Sequence[str], low: float, high: float) -> Scale:
    """A scale whose ticks carry words."""
    return Scale(low, high, tuple(values), tuple(labels))


def words(items: Sequence[tuple[float, float, str]], place: str = "right", kind: str = "anchor", **label: Any) -> Any:
    """A series of bare words at (x, y) in the colour of `kind`."""
    return {
        "type": "scatter",
        "name": kind,
        "symbolSize": 0,
        "itemStyle": {"opacity": 1},
        "silent": True,
        "clip": False,
        "animation": False,
        "data": [{"name": text, "value": [float(x), float(y)]} for x, y, text in items],
        "label": theme.note(place, **label),
        "tooltip": {"show": False},
    }


def axis(axis: Scale, *, line: bool = False, grid: bool = False, **more: Any) -> dict[str, Any]:
    """An ECharts value axis without labels of its own; `words` write them."""
    steps = [after - before for before, after in itertools.pairwise(axis.ticks)]
    even = steps and steps[0] > 0 and all(math.isclose(step, steps[0], rel_tol=1e-5) for step in steps)
    return {
        "type": "value",
        "min": axis.low,
        "max": axis.high,
        **({"interval": steps[0]} if even else {}),
        "axisLabel": {"show": False},
        "axisTick": {"show": False},
        "axisLine": {"show": line, "onZero": False},
        "splitLine": {"show": grid},
        "axisPointer": {"label": {"show": False}},
        **more,
    }


def margins(*, left: int = 40, right: int = 12, top: int = 12, title: bool = False) -> dict[str, Any]:
    """The ECharts grid: room around the plot in pixels."""
    return {"left": left, "right": right, "top": top, "bottom": 46 if title else 26, "outerBoundsMode": "none"}


def below(x: Scale, at: float, title: str = "", **more: Any) -> list[dict[str, Any]]:
    """The labels under an x axis that lies at y = `at`, and the title under them."""
    labels = [(value, at, text) for value, text in zip(x.ticks, x.labels, strict=True)]
    middle = [((x.low + x.high) / 2, at, title)] if title else []
    return [
        {**words(labels, "bottom", distance=7), **more},
        {**words(middle, "bottom", distance=26), **more},
    ]


def frame(
    x: Scale,
    y: Scale,
    series: Sequence[dict[str, Any]],
    *,
    x_title: str = "",
    left: int = 40,
    right: int = 12,
    top: int = 12,
    grid: bool = True,
    **option: Any,
) -> dict[str, Any]:
    """An ECharts option with the two axes, their tick labels and `series` between them.

    The x axis has a line, the y axis none; horizontal grid only. The tick labels are three series of words at the end.
    """
    return theme.echarts(
        grid=margins(left=left, right=right, top=top, title=bool(x_title)),
        xAxis=axis(x, line=True),
        yAxis=axis(y, grid=grid),
        **option,
        series=[
            *series,
            *below(x, y.low, x_title),
            words([(x.low, value, text) for value, text in zip(y.ticks, y.labels, strict=True)], "left", distance=8),
        ],
    )
