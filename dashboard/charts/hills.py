"""The two hills: how similar pairs and non-pairs are, step after step, the present in front."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import axis, below, margins, named, scale, words
from dashboard.charts.chart import Chart, plain
from dashboard.words import number

ROWS, LIFT, HEIGHT, PAD = 5, 0.42, 320, 3
KINDS = ("negatives", "mixed", "positives")


def softened(counts: ArrayLike, passes: int = 2) -> np.ndarray:
    """Counts (R, G) -> (R, G + 2 PAD) after `passes` of the filter ¼ ½ ¼, so that few samples do not draw a comb.

    Empty bins are added at both ends, so that a hill at the very end of the range comes down again.
    """
    counts = np.pad(np.asarray(counts, dtype=float), [(0, 0), (PAD, PAD)])
    for _ in range(passes):
        wide = np.pad(counts, [(0, 0), (1, 1)])
        counts = wide[:, :-2] / 4 + wide[:, 1:-1] / 2 + wide[:, 2:] / 4
    return counts


def _padded(rows: np.ndarray) -> np.ndarray:
    """(ROWS, G): the last rows, with copies of the first in front, so that the number of series never changes."""
    rows = rows[-ROWS:]
    return np.concatenate([np.repeat(rows[:1], ROWS - len(rows), axis=0), rows])


def _hill(kind: str, heights: np.ndarray, base: float, age: int, missing: bool) -> dict:
    now = age == 0
    tallest = heights.max()
    return {
        "type": "line",
        "name": kind,
        "showSymbol": False,
        "silent": True,
        "z": 10 - age,
        "data": [] if missing else plain(base + heights / (tallest if tallest > 0 else 1), 3),
        "lineStyle": {
            "width": 2.2 if now else 1,
            "opacity": 1 if now else 0.55,
            "type": theme.DASH if kind == "negatives" and now else "solid",
        },
        "areaStyle": {"origin": base, "opacity": 0.28 if now else 0.06},
    }


def _mean(grid: np.ndarray, counts: np.ndarray) -> float:
    return float((grid * counts).sum() / counts.sum()) if counts.sum() else float("nan")


def hills(
    grid: ArrayLike,
    steps: Sequence[int],
    positives: ArrayLike,
    negatives: ArrayLike,
    mixed: ArrayLike | None = None,
    *,
    x_title: str = "similarity of anchor and candidate",
) -> Chart:
    """A ridge of histograms; each hill is drawn equally high, whatever it counts.

    Args:
        grid: (G,) centres of the bins, evenly spaced; 61 keep the message small.
        steps: (R,) step of each row, rising; the last is the present. At most five are drawn, the last five.
        positives: (R, G) counts.
        negatives: (R, G) counts.
        mixed: (R, G) counts of mixed anchors with their own candidate, where there are any.
        x_title: what the scores are.
    """
    grid = np.asarray(grid, dtype=float)
    empty = np.zeros((len(steps), len(grid)))
    counts = {"negatives": negatives, "mixed": empty if mixed is None else mixed, "positives": positives}
    rows = {kind: _padded(softened(counts[kind])) for kind in KINDS}
    marks = [*([steps[-len(steps[-ROWS:])]] * (ROWS - len(steps[-ROWS:]))), *steps[-ROWS:]]
    series = []
    for row in range(ROWS):
        age = ROWS - 1 - row
        series += [_hill(kind, rows[kind][row], age * LIFT, age, kind == "mixed" and mixed is None) for kind in KINDS]
    labels = ["now" if row == ROWS - 1 else str(marks[row]) for row in range(ROWS)]
    seen = [row for row in range(ROWS) if row == ROWS - 1 or marks[row] != marks[row + 1]]
    wide = grid[0] + (grid[1] - grid[0]) * np.arange(-PAD, len(grid) + PAD)
    across = scale(float(wide[0]), float(wide[-1]), count=6, tight=True)
    names = [(across.low, (ROWS - 1 - row) * LIFT, labels[row]) for row in seen]
    on_values = {"xAxisIndex": 1}
    option = theme.echarts(
        grid=margins(left=44, title=bool(x_title)),
        xAxis=[
            {"type": "category", "boundaryGap": False, "show": False, "data": plain(wide)},
            axis(across, line=True, position="bottom"),
        ],
        yAxis=axis(named([], [], 0, (ROWS - 1) * LIFT + 1.04)),
        series=[*series, *below(across, 0, x_title, **on_values), words(names, "left", distance=8) | on_values],
    )
    now = {kind: np.asarray(counts[kind], dtype=float)[-1] for kind in KINDS}
    alt = (
        f"Histograms of similarity at step {steps[-1]}: positives average {number(_mean(grid, now['positives']))}, "
        f"negatives {number(_mean(grid, now['negatives']))}."
    )
    shown = {kind: now[kind].tolist() for kind in KINDS if kind != "mixed" or mixed is not None}
    return Chart("echarts", option, alt, HEIGHT, {"similarity": plain(grid), **shown})
