"""The lens on a margin: what is applied call by call, on an axis of powers of ten."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts.axes import frame, named, scale, words
from dashboard.charts.chart import Chart, points, thinned
from dashboard.charts.xy import dot, hair
from dashboard.words import number

HEIGHT, FLOOR, ROOM = 300, -330, 0.045
EPOCH_WORD = 0.18  # of the way down
STEPS, MOST, LEAST_FLOOR = (1, 2, 5, 10, 20, 50), 7, -12
LEAST = -323.3  # the smallest float above 0 is 5e-324


def course(
    margin: ArrayLike,
    *,
    full: float,
    epoch: int,
    below: int | None,
    level: float,
    zero: int | None,
    x_title: str,
    calls: ArrayLike | None = None,
    floor: int | None = None,
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
        calls: (T,) numbers of the calls, rising; None counts from 1.
        floor: power of ten at which the axis ends; None takes it from the margins.
    """
    margin = np.asarray(margin, dtype=float)
    calls = np.arange(1, len(margin) + 1, dtype=float) if calls is None else np.asarray(calls, dtype=float)
    power = np.log10(np.where(margin > 0, margin, np.nan))
    x = scale(0, float(max(calls.max(initial=0), 1)), tight=True)
    floor = _floor(power) if floor is None else floor
    step = next(step for step in STEPS if -floor / step <= MOST)
    ticks = range(0, floor - 1, -step)
    y = named(ticks, ["1" if p == 0 else f"1e{p}".replace("-", "−") for p in ticks], floor, -ROOM * floor)
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
    ended = [] if zero is None else [(float(zero), max(LEAST, floor), f"exactly 0 at {zero}")]
    series = [
        hair(min(epoch, x.high), y.low, y.high, dashed=True),
        limit,
        line,
        *_marks(marked, x.high, "diamond"),
        *_marks(ended, x.high, "rect"),
        words([(epoch, EPOCH_WORD * floor, "end of epoch 0")] if epoch <= x.high else [], "right", distance=5),
    ]
    option = frame(x, y, series, x_title=x_title, left=58, right=16)
    last = f"{margin[-1]:.2g}" if len(margin) else "none"
    said = [f"below {level:g} from call {below}"] if below else []
    said += [f"exactly 0 from call {zero}"] if zero else []
    alt = f"Margin over {len(margin)} calls, from {number(float(margin[0]))} to {last}; {', '.join(said) or 'never 0'}."
    return Chart("echarts", option, alt, HEIGHT, {"call": calls.tolist(), "applied margin": margin.tolist()})


def _floor(power: np.ndarray) -> int:
    """Where the axis of powers ends: at that of the smallest margin, but low enough for the mark at 1e-9 to be seen."""
    held = power[np.isfinite(power)]
    least = float(held.min()) if len(held) else 0.0
    return FLOOR if least < FLOOR + 20 else min(LEAST_FLOOR, int(np.floor(least * 1.1)))


def _marks(spots: Sequence[tuple[float, float, str]], far: float, symbol: str) -> list[dict]:
    """A mark and its word, on the side where there is room; series stay where there is none, so that charts glide."""
    series = []
    place = "left" if spots and spots[0][0] > 0.6 * far else "right"
    text = words(list(spots), place, "mixed", distance=9)
    mark = dot(*spots[0][:2], "mixed", symbol, 11) if spots else dot(0, math.nan, "mixed", symbol, 11)
    series += [mark, text]
    return series
