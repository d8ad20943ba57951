"""The lens on a margin: what is applied call by call, on an axis of powers of ten."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts.axes import frame, named, scale, words
from dashboard.charts.chart import Chart, points, thinned
from dashboard.charts.xy import dot, hair
from dashboard.words import number

HEIGHT, FLOOR, TICKS = 300, -330, (0, -50, -100, -150, -200, -250, -300)
EPOCH_WORD = -60
LEAST = -323.3  # the smallest float above 0 is 5e-324


def course(
    margin: ArrayLike, *, full: float, epoch: int, below: int | None, level: float, zero: int | None, x_title: str
) -> Chart:
    """The margin of each call, from the first; a line down to the last float above 0, and where it leaves that too.

    Args:
        margin: (T,) margin of each call.
        full: the margin at the start, drawn as a line.
        epoch: calls in an epoch, marked by a hair.
        below: number of the first call under `level`, marked; None where there is none.
        level: what `below` refers to.
        zero: number of the first call with a margin of exactly 0, marked; None where there is none.
        x_title: what is counted.
    """
    margin = np.asarray(margin, dtype=float)
    calls = np.arange(1, len(margin) + 1, dtype=float)
    power = np.log10(np.where(margin > 0, margin, np.nan))
    x = scale(0, float(len(margin)), tight=True)
    y = named(TICKS, ["1" if p == 0 else f"1e{p}".replace("-", "−") for p in TICKS], FLOOR, 14)
    at, drawn = thinned(calls, power)
    line = {
        "type": "line",
        "name": "mixed",
        "showSymbol": False,
        "silent": True,
        "data": points(at, drawn),
        "lineStyle": {"width": 2.2},
    }
    top = math.log10(full) if full > 0 else 0.0
    limit = {
        "type": "line",
        "name": "anchor",
        "showSymbol": False,
        "silent": True,
        "data": [[x.low, top], [x.high, top]],
        "lineStyle": {"width": 1.2, "type": "dotted"},
    }
    marked = (
        []
        if below is None
        else [(float(below), math.log10(level), f"below 1e{round(math.log10(level))} at {below}".replace("-", "−"))]
    )
    ended = [] if zero is None else [(float(zero), LEAST, f"exactly 0 at {zero}")]
    series = [
        hair(min(epoch, x.high), y.low, y.high, dashed=True),
        limit,
        line,
        *_marks(marked, x.high, "diamond"),
        *_marks(ended, x.high, "rect"),
        words([(epoch, EPOCH_WORD, "end of epoch 0")] if epoch <= x.high else [], "right", distance=5),
    ]
    option = frame(x, y, series, x_title=x_title, left=58, right=16)
    last = f"{margin[-1]:.2g}" if len(margin) else "none"
    said = [f"below {level:g} from call {below}"] if below else []
    said += [f"exactly 0 from call {zero}"] if zero else []
    alt = f"Margin over {len(margin)} calls, from {number(float(margin[0]))} to {last}; {', '.join(said) or 'never 0'}."
    return Chart("echarts", option, alt, HEIGHT, {"call": calls.tolist(), "applied margin": margin.tolist()})


def _marks(spots: Sequence[tuple[float, float, str]], far: float, symbol: str) -> list[dict]:
    """A mark and its word, on the side where there is room; series stay where there is none, so that charts glide."""
    series = []
    place = "left" if spots and spots[0][0] > 0.6 * far else "right"
    text = words(list(spots), place, "mixed", distance=9)
    mark = dot(*spots[0][:2], "mixed", symbol, 11) if spots else dot(0, math.nan, "mixed", symbol, 11)
    series += [mark, text]
    return series
