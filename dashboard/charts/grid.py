"""A square of cells: which pairs are paid for, which user pays for which, or in which region two gaps lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import axis, named, words
from dashboard.charts.chart import Chart
from dashboard.charts.xy import Kind

HEIGHT, LEVELS, FAINTEST = 330, 5, 0.05


@dataclass(frozen=True)
class Cells:
    """Marked cells of one kind: `row`, `column` (M,) from 0, `strength` (M,) from 0 to 1, fainter where less."""

    kind: Kind
    row: ArrayLike
    column: ArrayLike
    strength: ArrayLike

    @classmethod
    def of(cls, kind: Kind, table: ArrayLike, where: ArrayLike) -> "Cells":
        """The cells of a (n, k) table of strengths where (n, k) holds and that are not too faint to be seen."""
        table = np.asarray(table, dtype=float)
        row, column = np.nonzero(np.asarray(where, dtype=bool) & (table > FAINTEST))
        return cls(kind, row, column, table[row, column])


def _levels(cells: Cells, darkest: float) -> list[dict[str, Any]]:
    """One series for each level of strength, so that a cell needs two numbers and no colour of its own."""
    row, column = (np.asarray(each, dtype=int) for each in (cells.row, cells.column))
    level = np.ceil(np.asarray(cells.strength, dtype=float).clip(0, 1) * LEVELS).astype(int)
    return [
        {
            "type": "heatmap",
            "name": cells.kind,
            "silent": True,
            "animation": False,
            "progressive": 0,
            "itemStyle": {"opacity": round(darkest * k / LEVELS, 3)},
            "data": np.stack([column[level == k], row[level == k], np.ones((level == k).sum(), int)], axis=1).tolist(),
        }
        for k in range(1, LEVELS + 1)
    ]


def grid(
    cells: Sequence[Cells],
    rows: int,
    columns: int,
    *,
    row_title: str,
    column_title: str,
    alt: str,
    texts: Sequence[tuple[float, float, str]] = (),
    darkest: float = 1.0,
    height: int = HEIGHT,
) -> Chart:
    """Cells in the colours of their kinds, row 0 at the top.

    Args:
        cells: what is marked; the order decides what lies above.
        rows: how many.
        columns: how many.
        row_title: what a row is.
        column_title: what a column is.
        alt: one sentence with numbers.
        texts: (column, row, word) written in the middle of cells; keep `darkest` low under them.
        darkest: opacity of full strength.
        height: pixels.
    """
    quiet = {"axisLabel": {"show": False}, "axisTick": {"show": False}, "axisLine": {"show": False}}
    category = {"type": "category", "splitLine": {"show": False}} | quiet
    on_values = {"xAxisIndex": 1, "yAxisIndex": 1}
    option = theme.echarts(
        grid={
            "left": 34,
            "right": 8,
            "top": 6,
            "bottom": 28,
            "outerBoundsMode": "none",
            "show": True,
            "borderWidth": 0.5,
        },
        xAxis=[
            category | {"data": list(range(columns))},
            axis(named([], [], 0, columns), position="bottom"),
        ],
        yAxis=[
            category | {"data": list(range(rows)), "inverse": True},
            axis(named([], [], 0, rows), inverse=True, position="left"),
        ],
        series=[
            *(series for each in cells for series in _levels(each, darkest)),
            words([(x + 0.5, y + 0.5, text) for x, y, text in texts], "inside") | on_values | {"z": 6},
            words([(columns / 2, rows, column_title)], "bottom", distance=8) | on_values,
            words([(0, rows / 2, row_title)], "left", distance=10, rotate=90) | on_values,
        ],
    )
    table = {
        "kind": [each.kind for each in cells for _ in np.asarray(each.row)],
        row_title: [int(v) for each in cells for v in np.asarray(each.row)],
        column_title: [int(v) for each in cells for v in np.asarray(each.column)],
        "strength": [float(v) for each in cells for v in np.asarray(each.strength)],
    }
    return Chart("echarts", option, alt, height, table)
