"""Score distributions of several runs, one under the other, each hill equally high."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.chart import Chart
from dashboard.charts.hills import PAD, softened
from dashboard.charts.tables import bottom, colour, plot
from dashboard.words import number

ROW, LIFT = 96, 1.4
KINDS = ("negatives", "mixed", "positives")


def _mean(grid: np.ndarray, counts: ArrayLike) -> float:
    counts = np.asarray(counts, dtype=float)
    return float((grid * counts).sum() / counts.sum()) if counts.sum() else float("nan")


def distributions(
    grid: ArrayLike, runs: Mapping[str, Mapping[str, ArrayLike]], *, x_title: str = "similarity of anchor and candidate"
) -> Chart:
    """One row of hills for each run.

    Args:
        grid: (G,) centres of the bins, evenly spaced, the same for all.
        runs: name -> {"positives": (G,), "negatives": (G,), "mixed": (G,) or absent} counts or shares, top to bottom.
        x_title: what the scores are.
    """
    grid = np.asarray(grid, dtype=float)
    wide = grid[0] + (grid[1] - grid[0]) * np.arange(-PAD, len(grid) + PAD)
    rows, names = [], []
    for i, (name, kinds) in enumerate(runs.items()):
        base = (len(runs) - 1 - i) * LIFT
        names.append({"x": float(wide[0]), "base": base + 1.05, "name": name, "kind": "anchor"})
        for kind in KINDS:
            if kind not in kinds:
                continue
            heights = softened(np.atleast_2d(kinds[kind]))[0]
            tall = heights.max() or 1.0
            rows.append(
                pd.DataFrame({"x": wide, "base": base, "top": base + heights / tall, "kind": kind, "run": name})
            )
    values = pd.concat(rows, ignore_index=True)
    x = alt.X(
        "x:Q", scale=alt.Scale(domain=[float(wide[0]), float(wide[-1])], nice=False), axis=bottom(x_title, tickCount=5)
    )
    y = alt.Y("top:Q", scale=alt.Scale(domain=[0, len(runs) * LIFT], nice=False), axis=None)
    layers = []
    for kind in KINDS:
        source = plot(values[values["kind"] == kind])
        dash = theme.DASH if kind == "negatives" else [1, 0]
        layers += [
            source.mark_area(opacity=0.25).encode(
                x=x, y=y, y2=alt.Y2("base:Q"), color=colour(), detail=alt.Detail("run:N")
            ),
            source.mark_line(strokeWidth=2, strokeDash=dash).encode(
                x=x, y=y, color=colour(), detail=alt.Detail("run:N")
            ),
        ]
    layers.append(
        plot(pd.DataFrame(names))
        .mark_text(align="left", baseline="bottom", fontSize=13, fontWeight=600)
        .encode(x=x, y=alt.Y("base:Q"), text=alt.Text("name:N"), color=colour())
    )
    said = "; ".join(
        f"{name}: positives average {number(_mean(grid, kinds['positives']))}, negatives "
        f"{number(_mean(grid, kinds['negatives']))}"
        for name, kinds in runs.items()
    )
    columns = {
        "run": [name for name, kinds in runs.items() for kind in kinds for _ in grid],
        "kind": [kind for kinds in runs.values() for kind in kinds for _ in grid],
        "similarity": [float(v) for kinds in runs.values() for _ in kinds for v in grid],
        "count": [float(v) for kinds in runs.values() for kind in kinds for v in np.asarray(kinds[kind], dtype=float)],
    }
    return Chart("altair", alt.layer(*layers), f"{said}.", ROW * len(runs) + 60, columns)
