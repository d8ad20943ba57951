"""The pair microscope: what a loss does to every pair of a small batch, pull in blue, push in orange."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import axis, named, words
from dashboard.charts.chart import Chart
from dashboard.words import number, signed

HEIGHT, LARGEST, WRITTEN, SHOWN_FROM = 430, 24, 10, 0.04
# Ink on the strongest cell must still reach 4.5:1 in both themes, so cells that carry numbers stay paler.
STRENGTH_UNDER_TEXT, STRENGTH = 0.46, 1.0


def _cell(strength: float, name: str) -> dict[str, Any]:
    return {"value": 1, "name": name, "itemStyle": {"opacity": round(strength, 3)}}


def _column(j: int, forces: np.ndarray, shade: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> list[dict]:
    """One column as two stacked series, so that a cell can take either colour; the other is of no width."""
    bar = {"type": "bar", "stack": "cells", "barCategoryGap": "0%", "emphasis": {"disabled": True}}
    series = []
    for kind, chosen in (("positives", forces[:, j] > 0), ("negatives", forces[:, j] <= 0)):
        data = [
            _cell(float(shade[i, j]), f"{rows[i]} → {columns[j]}: {signed(float(forces[i, j]), 3)}") if here else 0
            for i, here in enumerate(chosen)
        ]
        series.append({**bar, "name": kind, "data": data})
    return series


def heat(
    forces: ArrayLike,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    row_title: str = "anchor",
    column_title: str = "candidate",
) -> Chart:
    """A table of pairs, coloured by force.

    Args:
        forces: (n, k) pull above 0, push below 0, that is minus dL/ds; n and k at most 24, else the first 24.
        rows: (n,) short names of the anchors; None takes letters.
        columns: (k,) short names of the candidates; None takes letters.
        row_title: what a row is.
        column_title: what a column is.
    """
    forces = np.asarray(forces, dtype=float)[:LARGEST, :LARGEST]
    n, k = forces.shape
    rows = [chr(65 + i) for i in range(n)] if rows is None else list(rows)[:n]
    columns = [chr(65 + j) for j in range(k)] if columns is None else list(columns)[:k]
    largest = float(np.abs(forces).max()) if forces.size else 0.0
    share = np.abs(forces) / (largest or 1.0)
    written = max(n, k) <= WRITTEN
    shade = share * (STRENGTH_UNDER_TEXT if written else STRENGTH)
    texts = [
        (j + 0.5, i + 0.5, signed(float(forces[i, j])))
        for i in range(n)
        for j in range(k)
        if written and share[i, j] > SHOWN_FROM
    ]
    on_values = {"yAxisIndex": 1}
    across = [(j + 0.5, n, name) for j, name in enumerate(columns)]
    down = [(0, i + 0.5, name) for i, name in enumerate(rows)]
    quiet = {"axisLabel": {"show": False}, "axisTick": {"show": False}}
    option = theme.echarts(
        grid={"left": 54, "right": 8, "top": 8, "bottom": 46, "outerBoundsMode": "none"},
        tooltip={"trigger": "item", "formatter": "{b}"},
        xAxis=axis(named(range(k + 1), [""] * (k + 1), 0, k), grid=True, z=5),
        yAxis=[
            {"type": "category", "data": rows, "inverse": True, "splitLine": {"show": True}, "z": 5} | quiet,
            axis(named([], [], 0, n), inverse=True),
        ],
        series=[
            *(part for j in range(k) for part in _column(j, forces, shade, rows, columns)),
            words(texts, "inside") | on_values | {"z": 6},
            words(across, "bottom", distance=8) | on_values,
            words(down, "left", distance=8) | on_values,
            words([(k / 2, n, column_title)], "bottom", distance=27) | on_values,
            words([(0, n / 2, row_title)], "left", distance=30, rotate=90) | on_values,
        ],
    )
    pulled, pushed = int((forces > 0).sum()), int((forces < 0).sum())
    alt = f"{n} by {k} pairs: {pulled} pulled, {pushed} pushed, the strongest force {number(largest)}."
    table = {
        row_title: [rows[i] for i in range(n) for _ in range(k)],
        column_title: [columns[j] for _ in range(n) for j in range(k)],
        "force": forces.ravel().tolist(),
    }
    return Chart("echarts", option, alt, HEIGHT, table)
