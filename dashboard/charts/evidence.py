"""Arms beside each other: how far each gets, and by how much one differs from the others, seed by seed."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.chart import Chart
from dashboard.charts.tables import PAPER, axis, bottom, colour, plot, shown, tips
from dashboard.words import number, signed

ROW, FRAME, NAME = 30, 64, 190
UNSURE = 0.45


def _names(names: Sequence[str]) -> alt.Y:
    return alt.Y("name:N", sort=list(names), axis=axis(labelLimit=NAME, domain=False, grid=False, format=""))


def differences(
    names: Sequence[str],
    mean: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    each: Sequence[Sequence[float]] = (),
    *,
    x_title: str = "points gained",
) -> Chart:
    """Paired differences with 95 % intervals; an open, faint mark where zero lies inside, a tick for each seed.

    Args:
        names: (S,) what was compared with, top to bottom.
        mean: (S,) mean difference, in the unit of `x_title`.
        low: (S,) lower ends; the mean itself where there is no interval, so that the mark stays open.
        high: (S,) upper ends.
        each: (S) times the differences of single seeds; none where they are not known.
        x_title: what the difference is.
    """
    values = pd.DataFrame({"name": list(names), "mean": mean, "low": low, "high": high, "kind": "anchor"})
    values["sure"] = ((values["low"] > 0) | (values["high"] < 0)) & (values["low"] < values["high"])
    x = alt.X("mean:Q", axis=bottom(x_title, grid=True, domain=False, tickCount=5))
    y = _names(names)
    base = plot(values)
    zero = plot(pd.DataFrame({"mean": [0.0], "kind": ["anchor"]}))
    said = [*tips("name:N"), *(alt.Tooltip(f"{part}:Q", format="+.3f") for part in ("mean", "low", "high"))]
    opacity = shown(alt.datum.sure, UNSURE)
    layers: list[Any] = [zero.mark_rule(strokeWidth=1.2).encode(x=x, color=colour())]
    if any(len(row) for row in each):
        seeds = [
            {"name": name, "mean": value, "kind": "anchor"}
            for name, row in zip(names, each, strict=True)
            for value in row
        ]
        layers.append(
            plot(pd.DataFrame(seeds)).mark_tick(thickness=1.5, height=9, opacity=0.4).encode(x=x, y=y, color=colour())
        )
    layers.append(
        base.mark_rule(strokeWidth=2.5).encode(
            x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y, color=colour(), opacity=opacity
        )
    )
    filled = {"filled": True, "size": 110, "opacity": 1}
    hollow = {"filled": False, "size": 100, "strokeWidth": 2, "fill": PAPER, "opacity": 1}
    for rows, mark in ((values[values["sure"]], filled), (values[~values["sure"]], hollow)):
        if len(rows):  # an empty group of marks has no name that could be read out
            layers.append(plot(rows).mark_point(**mark).encode(x=x, y=y, color=colour(), tooltip=said))
    first = f"; {names[0]} {signed(float(values['mean'].iloc[0]))}" if len(names) else ""
    text = f"{len(names)} paired differences; {int(values['sure'].sum())} leave zero out{first}."
    columns = {key: values[key].tolist() for key in ("name", "mean", "low", "high")}
    return Chart("altair", alt.layer(*layers), text, ROW * len(names) + FRAME, columns)


def levels(
    names: Sequence[str],
    mean: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    mixes: Sequence[bool],
    *,
    x_title: str,
) -> Chart:
    """What each arm reaches, with the 95 % interval of its mean: filled for DMM, open for a control.

    Args:
        names: (S,) arms, top to bottom.
        mean: (S,) what each reaches, in per cent.
        low: (S,) lower ends.
        high: (S,) upper ends.
        mixes: (S,) whether an arm is DMM or an improvement on it.
        x_title: name of the measure.
    """
    values = pd.DataFrame(
        {"name": list(names), "mean": mean, "low": low, "high": high, "dmm": list(mixes), "kind": "anchor"}
    )
    scale = alt.Scale(zero=False, nice=True)
    x = alt.X("mean:Q", scale=scale, axis=bottom(x_title, grid=True, domain=False, tickCount=5))
    y, base = _names(names), plot(values)
    said = [*tips("name:N"), *(alt.Tooltip(f"{part}:Q", format=".2f") for part in ("mean", "low", "high"))]
    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", scale=scale), x2=alt.X2("high:Q"), y=y, color=colour()
        ),
        base.transform_filter(alt.datum.dmm)
        .mark_point(filled=True, size=110, opacity=1)
        .encode(x=x, y=y, color=colour(), tooltip=said),
        base.transform_filter(~alt.datum.dmm)
        .mark_point(filled=False, size=100, strokeWidth=2, fill=PAPER, opacity=1)
        .encode(x=x, y=y, color=colour(), tooltip=said),
    ]
    top = int(np.argmax(mean))
    text = f"{len(names)} arms; {names[top]} reaches the most, {number(float(mean[top]), 1)}%."
    columns = {key: values[key].tolist() for key in ("name", "mean", "low", "high", "dmm")}
    return Chart("altair", alt.layer(*layers), text, ROW * len(names) + FRAME, columns)
