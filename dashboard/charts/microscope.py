"""The pair microscope: every pair of a batch as a dot, its score against how hard it is pulled or pushed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import frame, scale, words
from dashboard.charts.chart import Chart, points
from dashboard.words import count, number

HEIGHT, MOST, GLIDES = 400, 800, 1200
CROSS = "path://M18,8L50,40L82,8L92,18L60,50L92,82L82,92L50,60L18,92L8,82L40,50L8,18Z"


@dataclass(frozen=True)
class Mark:
    """How a group is drawn: its colour, symbol, size and opacity."""

    kind: str
    symbol: str
    size: float
    opacity: float = 1.0


MARKS: Mapping[str, Mark] = {
    "pair": Mark("anchor", "circle", 6, 0.6),
    "excluded": Mark("anchor", CROSS, 6, 0.45),
    "negative": Mark("negatives", theme.FRAME, 7, 0.8),
    "easy": Mark("negatives", "rect", 4, 0.5),
    "semi-hard": Mark("negatives", theme.FRAME, 8, 0.9),
    "hard": Mark("negatives", "rect", 8, 0.9),
    "synthetic": Mark("mixed", "diamond", 9, 0.9),
    "partner": Mark("mixed", "diamond", 9, 0.9),
    "positive": Mark("positives", "circle", 9, 0.9),
}


def spread_over(strength: np.ndarray, most: int) -> np.ndarray:
    """(min(n, most),) of n dots, evenly spread over their strength, the weakest and the strongest among them."""
    if len(strength) <= most:
        return np.arange(len(strength))
    return np.sort(np.argsort(strength, kind="stable")[np.linspace(0, len(strength) - 1, most).round().astype(int)])


def microscope(
    scores: ArrayLike, strength: ArrayLike, groups: Sequence[str], *, x_title: str, y_title: str, most: int = MOST
) -> Chart:
    """Dots at (score, strength), each group in its own colour and shape.

    Args:
        scores: (n,) score of each pair.
        strength: (n,) size of its force or motion, at least 0.
        groups: (n,) names out of `MARKS`.
        x_title: what a score is.
        y_title: what the strength is.
        most: dots drawn of each group; an even choice by strength where there are more.
    """
    scores, strength, named = np.asarray(scores, float), np.asarray(strength, float), np.asarray(groups, dtype=object)
    rows = {name: np.flatnonzero(named == name) for name in MARKS}
    drawn = {name: row[spread_over(strength[row], most)] for name, row in rows.items()}
    total = sum(map(len, drawn.values()))
    finite = np.isfinite(scores) & np.isfinite(strength)
    low, high = (float(scores[finite].min()), float(scores[finite].max())) if finite.any() else (-1.0, 1.0)
    x, y = scale(low, high), scale(0, float(strength[finite].max(initial=0)) or 1.0)
    series: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "name": mark.kind,
            "symbol": mark.symbol,
            "symbolSize": mark.size,
            "itemStyle": {"opacity": mark.opacity},
            "animation": total <= GLIDES,
            "data": points(scores[drawn[name]], strength[drawn[name]]),
            "z": 2 + place,
        }
        for place, (name, mark) in enumerate(MARKS.items())
    ]
    option = frame(
        x,
        y,
        [*series, words([(x.low, y.high, y_title)], "top", align="left", distance=6)],
        x_title=x_title,
        left=52,
        top=28,
        tooltip={"trigger": "item", "formatter": "{c}"},
    )
    said = ", ".join(f"{count(len(row))} {name}" for name, row in rows.items() if len(row))
    largest = number(float(strength[finite].max(initial=0)), 3)
    alt = f"{count(len(scores))} dots, {x_title} against {y_title}: {said}; the strongest {largest}."
    columns = {"group": list(groups), x_title: scores.tolist(), y_title: strength.tolist()}
    return Chart("echarts", option, alt, HEIGHT, columns)
