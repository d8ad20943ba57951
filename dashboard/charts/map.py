"""Maps of many items: quiet dots, one group in ink, a few landmarks as pictures, and a loop to catch some with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.chart import Chart
from dashboard.words import count

HEIGHT, TRIO_HEIGHT = 520, 170
MOST, MOST_SMALL, MOST_NAMED, CELLS = 20_000, 1_500, 3_000, 10


def kept(n: int, most: int = MOST) -> np.ndarray:
    """(min(n, most),) rows to draw, evenly spread over all n."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)


def landmarks(xy: ArrayLike, cells: int = CELLS) -> np.ndarray:
    """(k,) one row for each occupied cell of a `cells` x `cells` grid over `xy` (N, 2): the nearest to its middle."""
    xy = np.asarray(xy, dtype=float)
    low, high = xy.min(0), xy.max(0)
    scaled = (xy - low) / np.where(high > low, high - low, 1) * cells
    cell = np.minimum(scaled.astype(int), cells - 1)
    off = ((scaled - cell - 0.5) ** 2).sum(1)
    order = np.lexsort((off, cell[:, 1], cell[:, 0]))
    _, first = np.unique(cell[order], axis=0, return_index=True)
    return order[first]


def _dots(xy: np.ndarray, colour: str, opacity: float, size: float, **more: Any) -> go.Scattergl:
    return go.Scattergl(
        x=xy[:, 0].astype(np.float32),
        y=xy[:, 1].astype(np.float32),
        mode="markers",
        marker={"color": colour, "opacity": opacity, "size": size},
        **more,
    )


def _range(values: np.ndarray) -> list[float]:
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 1.0
    return [low - room, high + room]


def scatter_map(
    xy: ArrayLike,
    *,
    highlight: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    urls: Sequence[str] | None = None,
    what: str = "items",
) -> Chart:
    """A map to lasso on; draw it with `select="lasso"` and read the loop with `caught`.

    Args:
        xy: (N, 2) layout; of more than 20,000 items an even choice of 20,000 is drawn.
        highlight: (N,) bool, the one group in ink.
        names: (N,) what is read on hover; left out above 3,000 items.
        urls: (N,) addresses of thumbnails; one landmark for each cell of a 10 x 10 grid is drawn.
        what: what the items are called.
    """
    xy = np.asarray(xy, dtype=float)
    rows = kept(len(xy))
    drawn = xy[rows]
    group = np.zeros(len(rows), dtype=bool) if highlight is None else np.asarray(highlight, dtype=bool)[rows]
    hover: dict[str, Any] = {"hoverinfo": "skip"}
    if names is not None and len(rows) <= MOST_NAMED:
        hover = {"text": [names[row] for row in rows], "hovertemplate": "%{text}<extra></extra>"}
    selected = {"selected": {"marker": {"opacity": 0.75}}, "unselected": {"marker": {"opacity": 0.18}}}
    ink = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.55}}}
    figure = go.Figure(
        [
            _dots(drawn, theme.ANCHOR, 0.22, 6, **hover, **selected),
            _dots(drawn[group], theme.ANCHOR, 1, 6, hoverinfo="skip", **ink),
        ]
    )
    x_range, y_range = _range(drawn[:, 0]), _range(drawn[:, 1])
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
        dragmode="lasso",
        hovermode="closest",
        xaxis={"visible": False, "range": x_range, "constrain": "domain"},
        yaxis={"visible": False, "range": y_range, "constrain": "domain", "scaleanchor": "x"},
        newselection={"line": {"color": theme.ANCHOR, "width": 1.5}},
    )
    if urls is not None:
        size = 0.058 * max(x_range[1] - x_range[0], y_range[1] - y_range[0])
        figure.update_layout(
            images=[
                {
                    "source": urls[row],
                    "xref": "x",
                    "yref": "y",
                    "x": float(xy[row, 0]),
                    "y": float(xy[row, 1]),
                    "sizex": size,
                    "sizey": size,
                    "xanchor": "center",
                    "yanchor": "middle",
                    "layer": "above",
                }
                for row in landmarks(xy)
            ]
        )
    shown = f"{count(len(rows))} of {count(len(xy))} {what}" if len(rows) < len(xy) else f"{count(len(xy))} {what}"
    alt = f"Map of {shown}" + (f", {count(int(group.sum()))} of them in ink." if highlight is not None else ".")
    columns = {"row": rows.tolist(), "x": drawn[:, 0].tolist(), "y": drawn[:, 1].tolist(), "in ink": group.tolist()}
    return Chart("plotly", figure, alt, HEIGHT, columns)


def caught(state: Any, chart: Chart) -> list[int]:
    """The rows of the data inside the loop, rising; `state` is what drawing the map with `select="lasso"` returned."""
    found = (p["point_index"] for p in state["selection"]["points"] if p["curve_number"] == 0)
    return sorted(chart.columns["row"][index] for index in found)


def trio(maps: Sequence[tuple[str, ArrayLike]], *, highlight: ArrayLike | None = None) -> Chart:
    """Little maps side by side in one figure, each with its title below.

    Args:
        maps: (title, (N, 2) layout) of each, at most three, all of the same items.
        highlight: (N,) bool, the one group in ink.
    """
    figure, width = go.Figure(), 1 / len(maps)
    for i, (title, layout) in enumerate(maps):
        xy = np.asarray(layout, dtype=float)
        rows = kept(len(xy), MOST_SMALL)
        group = np.zeros(len(xy), dtype=bool) if highlight is None else np.asarray(highlight, dtype=bool)
        axis = "" if i == 0 else str(i + 1)
        on = {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "hoverinfo": "skip"}
        figure.add_trace(_dots(xy[rows], theme.ANCHOR, 0.35, 3, **on))
        figure.add_trace(_dots(xy[rows][group[rows]], theme.ANCHOR, 1, 3, **on))
        domain = [i * width + 0.01, (i + 1) * width - 0.01]
        hidden = {"visible": False, "fixedrange": True, "constrain": "domain"}
        figure.update_layout(
            {
                f"xaxis{axis}": hidden | {"domain": domain, "range": _range(xy[rows, 0])},
                f"yaxis{axis}": hidden
                | {"domain": [0.12, 1], "range": _range(xy[rows, 1]), "scaleanchor": f"x{axis}", "anchor": f"x{axis}"},
            }
        )
        figure.add_annotation(
            x=0.5,
            y=0,
            xref=f"x{axis} domain",
            yref="paper",
            xanchor="center",
            yanchor="bottom",
            text=title,
            showarrow=False,
            font={"color": theme.ANCHOR, "size": theme.LABEL},
        )
    figure.update_layout(height=TRIO_HEIGHT, margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False, dragmode=False)
    titles = [title for title, _ in maps]
    table = {
        "map": [title for title, layout in maps for _ in np.asarray(layout)],
        "x": [float(v) for _, layout in maps for v in np.asarray(layout)[:, 0]],
        "y": [float(v) for _, layout in maps for v in np.asarray(layout)[:, 1]],
    }
    return Chart(
        "plotly", figure, f"{len(maps)} little maps of the same items: {', '.join(titles)}.", TRIO_HEIGHT, table
    )
