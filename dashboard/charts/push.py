"""Who gets pushed: what share of all the push falls on the hardest negatives, beside the share they are of all."""

import itertools
from collections.abc import Sequence

from dashboard.charts.axes import frame, named, words
from dashboard.charts.chart import Chart, plain
from dashboard.words import share

HEIGHT = 210


def rank_labels(bounds: Sequence[float]) -> list[str]:
    """Names of the groups that end at `bounds`, shares of the pairs rising to 1, hardest first."""
    edges = [f"{100 * bound:g}" for bound in bounds]
    between = [f"{low}–{high}%" for low, high in itertools.pairwise(edges[:-1])]
    return [f"hardest\n{edges[0]}%", *between, f"easiest\n{100 - float(edges[-2]):g}%"]


def push(labels: Sequence[str], pairs: Sequence[float], pushed: Sequence[float]) -> Chart:
    """Bars of the share of push, with a tick where an equal share would end.

    Args:
        labels: (k,) names of the groups, hardest first, for example "hardest 1%"; a line break is kept.
        pairs: (k,) share of all negative pairs in each group, between 0 and 1, summing to 1.
        pushed: (k,) share of the whole push that falls on them, between 0 and 1, summing to 1; all 0 if none is.
    """
    spots = list(range(len(labels)))
    high = max(0.6, *pairs, *pushed) * 1.12
    bar = {
        "type": "bar",
        "name": "negatives",
        "barWidth": "58%",
        "data": [[i, value] for i, value in zip(spots, plain(pushed), strict=True)],
    }
    equal = {
        "type": "scatter",
        "name": "anchor",
        "symbol": "rect",
        "symbolSize": [38, 2.5],
        "itemStyle": {"opacity": 1},
        "silent": True,
        "data": [[i, value] for i, value in zip(spots, plain(pairs), strict=True)],
    }
    tops = [(i, max(a, b), share(b)) for i, a, b in zip(spots, pairs, pushed, strict=True)]
    option = frame(
        named(spots, labels, -0.5, len(labels) - 0.5),
        named([], [], 0, high),
        [bar, equal, words(tops, "top", distance=4)],
        left=8,
        right=8,
        top=8,
        grid=False,
    )
    option["grid"]["bottom"] = 40
    hardest = labels[0].replace("\n", " ")
    alt = f"Share of the push by group of negatives: {hardest} {share(pushed[0])} against an equal {share(pairs[0])}."
    return Chart("echarts", option, alt, HEIGHT, {
        "group": [label.replace("\n", " ") for label in labels],
        "share of pairs": list(map(float, pairs)),
        "share of push": list(map(float, pushed)),
    })  # fmt: skip
