"""A few ways of doing one thing beside each other, row by row, each with its interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.chart import Chart
from dashboard.charts.tables import PAPER, axis, bottom, colour, plot, tips
from dashboard.words import number

ROW, FRAME, NAME = 18, 64, 200
MARKS: tuple[dict[str, Any], ...] = (
    {"shape": "circle", "filled": False, "fill": PAPER, "strokeWidth": 2},
    {"shape": "circle", "filled": True},
    {"shape": "diamond", "filled": True},
)
SYMBOLS = ("○", "●", "◆")
Estimates = Sequence[tuple[float, float, float]]


def beside(names: Sequence[str], ways: Mapping[str, Estimates], *, x_title: str, digits: int = 1) -> Chart:
    """Marks with 95 % intervals, up to three ways in each row: hollow, filled, and a diamond.

    Args:
        names: (R,) rows, top to bottom.
        ways: name -> (R,) mean, low and high of each row, at most three.
        x_title: what is measured, with its unit.
        digits: decimals in what is read aloud.
    """
    table = pd.DataFrame(
        [
            {"name": name, "way": way, "mean": mean, "low": low, "high": high, "kind": "anchor"}
            for way, rows in ways.items()
            for name, (mean, low, high) in zip(names, rows, strict=True)
        ]
    )
    order = list(ways)
    scale = alt.Scale(zero=False, nice=True)
    x = alt.X("mean:Q", scale=scale, axis=bottom(x_title, grid=True, domain=False, tickCount=5))
    y = alt.Y(
        "name:N", sort=list(names), axis=axis(labelLimit=NAME, domain=False, grid=False, format=""),
        scale=alt.Scale(paddingInner=0.35),
    )  # fmt: skip
    offset = alt.YOffset("way:N", sort=order, scale=alt.Scale(domain=order))
    said = [
        *tips("name:N", "way:N"),
        *(alt.Tooltip(f"{part}:Q", format=f".{digits + 1}f") for part in ("mean", "low", "high")),
    ]
    base = plot(table)
    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.55).encode(
            x=alt.X("low:Q", scale=scale), x2=alt.X2("high:Q"), y=y, yOffset=offset, color=colour()
        )
    ]
    for way, mark in zip(order, MARKS, strict=False):
        rows = plot(table[table["way"] == way])
        layers.append(
            rows.mark_point(size=80, opacity=1, **mark).encode(x=x, y=y, yOffset=offset, color=colour(), tooltip=said)
        )
    first = ", ".join(f"{way} {number(rows[0][0], digits)}" for way, rows in ways.items())
    text = f"{len(names)} rows of {x_title}; {names[0]}: {first}."
    columns = {key: table[key].tolist() for key in ("name", "way", "mean", "low", "high")}
    height = ROW * len(names) * len(ways) + FRAME
    return Chart("altair", alt.layer(*layers), text, height, columns)
