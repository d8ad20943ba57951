"""The family map: losses as marks of their family, one of them named with its nearest; and how far these are."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.chart import Chart
from dashboard.charts.tables import PAPER, axis, bottom, colour, plot, tips
from dashboard.words import tick

HEIGHT, ROW, FRAME, NAME = 460, 30, 64, 150
MARKS = ("circle", "square", "diamond", "cross", "triangle-up", "star")
LINE, ASIDE, ROOM, LONGEST = 0.06, 0.5, 0.05, 18


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


def _labels(points: np.ndarray, names: Sequence[str], at: float, low: float, high: float) -> list[dict[str, Any]]:
    """Names one below the other from x = `at` on, each with a line to its point; the first is in bold.

    They stand about as high as their points, between `low` and `high`.
    """
    order, gap = np.argsort(-points[:, 1], kind="stable"), LINE * (high - low)
    half = gap * len(points) / 2
    top = min(max(float(points[:, 1].mean()), low + half), high - half) + half - gap / 2
    return [
        {
            "x": float(points[k, 0]),
            "y": float(points[k, 1]),
            "ax": at,
            "ay": top - row * gap,
            "axref": "x",
            "ayref": "y",
            "xanchor": "left",
            "text": f"<b>{_cut(names[k])}</b>" if k == 0 else _cut(names[k]),
            "font": {"color": theme.ANCHOR, "size": theme.LABEL},
            "arrowcolor": theme.faded(theme.ANCHOR, 0.5),
            "arrowhead": 0,
            "arrowwidth": 1,
            "borderpad": 1,
        }
        for row, k in enumerate(order)
    ]


def _ends(values: np.ndarray, after: float = ROOM) -> tuple[float, float]:
    """Where an axis begins and ends, with some room before the values and `after` of their span behind them."""
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0
    return low - ROOM * span, high + after * span


def family_chart(
    xy: ArrayLike,
    keys: Sequence[str],
    titles: Sequence[str],
    families: Sequence[str],
    *,
    words: Mapping[str, str],
    named: Sequence[str] = (),
    around: ArrayLike = (),
    around_titles: Sequence[str] = (),
) -> Chart:
    """A map to click on; draw it with `select="points"` and read the click with `clicked`.

    Args:
        xy: (N, 2) places.
        keys: (N,) of the losses.
        titles: (N,) read on hover and beside those that are named.
        families: (N,) the family of each, six at most in all: one mark and one colour each.
        words: family -> its name in the row of marks, which leaves out or shows it at a click.
        named: keys that are written beside their marks, the chosen one first.
        around: (M, 2) places of further settings of the chosen one.
        around_titles: (M,) read on hover.
    """
    xy, rest = np.asarray(xy, dtype=float).reshape(-1, 2), np.asarray(around, dtype=float).reshape(-1, 2)
    figure, drawn = go.Figure(), []
    hover = {"hovertemplate": "%{text}<extra></extra>"}
    for number, (family, word) in enumerate(words.items()):
        rows = [k for k in range(len(xy)) if families[k] == family]
        drawn += rows
        mark = {"color": theme.CLASSES[number], "symbol": MARKS[number], "size": 9, "opacity": 0.75}
        figure.add_scatter(
            x=xy[rows, 0],
            y=xy[rows, 1],
            mode="markers",
            name=word,
            marker=mark,
            text=[titles[k] for k in rows],
            **hover,
        )
    chosen = [keys.index(key) for key in named]
    if chosen:
        own = xy[chosen[0]]
        line = [value for place in rest for value in (own, place, [None, None])]
        grey = {"color": theme.faded(theme.ANCHOR, 0.5), "width": 1, "dash": "dot"}
        figure.add_scatter(
            x=[x for x, _ in line], y=[y for _, y in line], mode="lines", line=grey, hoverinfo="skip", showlegend=False
        )
        ring = {"color": theme.ANCHOR, "symbol": "diamond-open", "size": 9}
        figure.add_scatter(
            x=rest[:, 0], y=rest[:, 1], mode="markers", marker=ring, text=list(around_titles), showlegend=False, **hover
        )
        ring = {"color": theme.ANCHOR, "symbol": "circle-open", "size": 17, "line": {"width": 2}}
        figure.add_scatter(x=own[:1], y=own[1:], mode="markers", marker=ring, hoverinfo="skip", showlegend=False)
    every = np.concatenate([xy, rest])
    (left, right), (low, high) = _ends(every[:, 0], ASIDE if chosen else ROOM), _ends(every[:, 1])
    at = float(every[:, 0].max()) + ROOM * (right - left)
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        dragmode=False,
        hovermode="closest",
        legend={
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yanchor": "top",
            "font": {"color": theme.ANCHOR, "size": theme.LABEL},
        },
        xaxis={"visible": False, "range": [left, right], "constrain": "domain", "fixedrange": True},
        yaxis={"visible": False, "range": [low, high], "constrain": "domain", "fixedrange": True, "scaleanchor": "x"},
        annotations=_labels(xy[chosen], [titles[k] for k in chosen], at, low, high) if chosen else [],
    )
    where = f"; {titles[chosen[0]]} at {xy[chosen[0], 0]:.2f}, {xy[chosen[0], 1]:.2f}" if chosen else ""
    beside = f", nearest {', '.join(titles[k] for k in chosen[1:])}" if chosen[1:] else ""
    columns = {
        "loss": [keys[k] for k in drawn],
        "family": [families[k] for k in drawn],
        "x": xy[drawn, 0].tolist(),
        "y": xy[drawn, 1].tolist(),
    }
    return Chart("plotly", figure, f"Map of {len(xy)} losses{where}{beside}.", HEIGHT, columns)


def clicked(state: Any, chart: Chart) -> str:
    """The key of the loss that was clicked on; empty where none was. `state` is what drawing the map returned."""
    starts = np.cumsum([0, *(len(trace.x) for trace in chart.spec.data)])
    for point in state["selection"]["points"]:
        row = int(starts[point["curve_number"]]) + point["point_index"]
        if row < len(chart.columns["loss"]):
            return chart.columns["loss"][row]
    return ""


def _short(distance: float) -> str:
    return "0" if distance < 1e-6 else tick(float(f"{distance:.2g}"))


def _at(field: str, low: float, high: float) -> alt.X:
    """The place of a distance on an axis from `low` to `high`."""
    scale = alt.Scale(domain=[low, high], nice=False)
    return alt.X(f"{field}:Q", scale=scale, axis=bottom("distance", grid=True, domain=False, tickCount=4))


def _row(names: Sequence[str]) -> alt.Y:
    return alt.Y("name:N", sort=list(names), axis=axis(labelLimit=NAME, domain=False, grid=False, format=""))


def distances(names: Sequence[str], now: Sequence[float]) -> Chart:
    """A bar for the distance of each loss from the chosen one, with its number.

    Args:
        names: (n,) top to bottom, no two alike.
        now: (n,) distances.
    """
    table = plot(pd.DataFrame({"name": list(names), "now": list(now), "said": [*map(_short, now)], "kind": "anchor"}))
    x, y = _at("now", 0, max(0.1, *now) * 1.15), _row(names)
    bars = table.mark_bar(size=14).encode(x=x, y=y, color=colour(), tooltip=tips("name:N", "now:Q"))
    words = table.mark_text(align="left", dx=5, fontSize=theme.LABEL).encode(
        x=x, y=y, text=alt.Text("said:N"), color=colour()
    )
    said = f"Distances of {len(names)} losses, {names[0]} at {_short(now[0])}."
    columns = {"loss": list(names), "distance": [float(value) for value in now]}
    return Chart("altair", alt.layer(bars, words), said, ROW * len(names) + FRAME, columns)


def brought_nearer(names: Sequence[str], now: Sequence[float], after: Sequence[float | None]) -> Chart:
    """A dot where each loss is, and a ring where it is after a change.

    Args:
        names: (n,) top to bottom, no two alike.
        now: (n,) distances.
        after: (n,) distances after a change; None where there is none.
    """
    then = [float("nan") if value is None else float(value) for value in after]
    table = pd.DataFrame({"name": list(names), "now": list(now), "after": then, "kind": "anchor"})
    top = max(0.1, *now) * 1.1
    x, y = _at("now", -0.02 * top, top), _row(names)
    dots = {"filled": True, "size": 95, "opacity": 1}
    layers = [plot(table).mark_point(**dots).encode(x=x, y=y, color=colour(), tooltip=tips("name:N", "now:Q"))]
    if len(changed := table.dropna(subset=["after"])):
        rings = {"filled": False, "size": 85, "strokeWidth": 2, "fill": PAPER, "opacity": 1}
        end = _at("after", -0.02 * top, top)
        told = tips("name:N", "now:Q", "after:Q")
        across = (
            plot(changed).mark_rule(strokeWidth=3, opacity=0.3).encode(x=x, x2=alt.X2("after:Q"), y=y, color=colour())
        )
        layers = [across, *layers, plot(changed).mark_point(**rings).encode(x=end, y=y, color=colour(), tooltip=told)]
    said = f"Distances of {len(names)} losses; a change brings {len(changed)} of them nearer."
    columns = {"loss": list(names), "distance": [float(value) for value in now], "after": then}
    return Chart("altair", alt.layer(*layers), said, ROW * len(names) + FRAME, columns)
