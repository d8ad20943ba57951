"""How strongly a loss pulls and pushes: against the similarity of one negative, and against the lead of a pair."""

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import frame, scale, words
from dashboard.charts.chart import Chart
from dashboard.charts.xy import Curve, dot, extent, hair, line, lines, table, value_at
from dashboard.words import number

HEIGHT = 300


def pull_push(similarity: ArrayLike, pull: ArrayLike, push: ArrayLike, at: float, positive_at: float) -> Chart:
    """Pull on the positive and push on one negative, while that negative moves.

    Args:
        similarity: (T,) similarity of the negative, rising.
        pull: (T,) force on the positive, that is minus dL/ds of it.
        push: (T,) force on the negative, dL/ds of it.
        at: where the slider stands.
        positive_at: similarity of the positive.
    """
    pulls = Curve("pull", similarity, pull, "positives")
    pushes = Curve("push", similarity, push, "negatives", dashed=True)
    both = [pulls, pushes]
    x = scale(float(np.min(similarity)), float(np.max(similarity)), tight=True)
    y = scale(*extent(both))
    there = value_at(pushes, at)
    align = "right" if positive_at > (x.low + x.high) / 2 else "left"
    option = frame(
        x,
        y,
        [
            hair(at, y.low, y.high),
            hair(positive_at, y.low, y.high, "positives", dashed=True),
            words([(positive_at, y.high, "the positive sits here")], "top", "positives", align=align, distance=4),
            line(pulls),
            line(pushes),
            dot(at, value_at(pulls, at), "positives"),
            dot(at, there, "negatives", theme.FRAME),
        ],
        x_title="similarity of the negative",
        top=22,
    )
    alt = (
        f"Pull and push against the similarity of one negative; at {number(at)} the pull is "
        f"{number(value_at(pulls, at))} and the push {number(there)}."
    )
    return Chart("echarts", option, alt, HEIGHT, table(both, "similarity of the negative", "force"))


def strength(lead: ArrayLike, clean: ArrayLike, mixed: ArrayLike, at: float | None = None) -> Chart:
    """Length of the gradient against the lead of a pair, clean beside mixed.

    Args:
        lead: (T,) similarity of the own name minus that of another, rising.
        clean: (T,) length of the clean pair's gradient.
        mixed: (T,) length of the mixed pair's gradient, averaged over the law of lambda.
        at: where the shown pair stands.
    """
    curves = [
        Curve("clean", lead, clean, "anchor", dashed=True, label="clean"),
        Curve("mixed", lead, mixed, "mixed", label="mixed"),
    ]
    return lines(curves, x_title="lead of the own name", y_title="gradient", at=at, right=56)
