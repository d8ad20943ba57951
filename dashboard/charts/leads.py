"""Leads and margins: how far a name leads, how far it must, for which lambda that pulls, and what was drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.axes import axis, below, frame, margins, named, scale, words
from dashboard.charts.chart import Chart, plain, points
from dashboard.charts.xy import Curve, dot, ends, extent, hair, line, lines, table, value_at
from dashboard.words import number, tick

BULLETS_HEIGHT, CURVE_HEIGHT, SMALL_HEIGHT = 170, 300, 170


@dataclass(frozen=True)
class Bullet:
    """How far a pair leads and how far it must: in units of similarity."""

    name: str
    lead: float
    asked: float
    kind: Literal["anchor", "mixed"] = "anchor"

    @property
    def said(self) -> str:
        spare = self.lead - self.asked
        return f"silent: {number(spare)} to spare" if spare >= 0 else f"asks {number(-spare)} more"


def bullets(rows: Sequence[Bullet], *, x_title: str = "lead of the own name over the partner's") -> Chart:
    """A bar for the lead of each pair and a thick tick where its margin stands; words above each bar.

    Args:
        rows: the pairs, top to bottom.
        x_title: what the lead is.
    """
    n = len(rows)
    low = min(0.0, *(row.lead for row in rows), *(row.asked for row in rows))
    high = max(1.0, *(row.lead for row in rows), *(row.asked for row in rows))
    x = scale(low, high)
    y = named([], [], 0, n)
    level = [n - i - 0.68 for i in range(n)]
    bar = {"type": "line", "showSymbol": False, "silent": True}
    series = [
        bar
        | {
            "name": row.kind,
            "data": [[0, level[i]], [row.lead, level[i]]],
            "lineStyle": {"width": 16, "cap": "butt", "opacity": 0.9},
        }
        for i, row in enumerate(rows)
    ]
    asked = {
        "type": "scatter",
        "name": "negatives",
        "symbol": "rect",
        "symbolSize": [3.5, 26],
        "silent": True,
        "itemStyle": {"opacity": 1},
        "data": points([row.asked for row in rows], level),
        "z": 5,
    }
    above = [n - i - 0.22 for i in range(n)]
    named_left = [words([(x.low, above[i], row.name)], "right", row.kind, distance=0) for i, row in enumerate(rows)]
    silent = [(x.high, above[i], row.said) for i, row in enumerate(rows) if row.lead >= row.asked]
    asking = [(x.high, above[i], row.said) for i, row in enumerate(rows) if row.lead < row.asked]
    said = [words(silent, "left", distance=0), words(asking, "left", "negatives", distance=0)]
    option = frame(x, y, [*series, asked, *named_left, *said], x_title=x_title, left=16, right=16, top=2, grid=False)
    alt = "; ".join(f"{row.name} leads by {number(row.lead)} and must by {number(row.asked)}" for row in rows) + "."
    columns = {
        "pair": [row.name for row in rows],
        "lead": [float(row.lead) for row in rows],
        "asked": [float(row.asked) for row in rows],
    }
    return Chart("echarts", option, alt, BULLETS_HEIGHT, columns)


def lead_over_lambda(lam: ArrayLike, lead: ArrayLike, asked: ArrayLike, at: float) -> Chart:
    """The lead that a mixed pair has and the margin asked of it, over lambda; shaded where it has too little.

    Args:
        lam: (T,) share of the anchor, rising.
        lead: (T,) similarity of the mixture to the own name minus that to the partner's.
        asked: (T,) margin asked of the mixed pair.
        at: lambda of the slider.
    """
    lam, lead, asked = (np.asarray(v, dtype=float) for v in (lam, lead, asked))
    has, must = Curve("lead", lam, lead, "mixed", label="lead"), Curve("asked", lam, asked, "negatives", True, "asked")
    x, y = scale(float(lam[0]), float(lam[-1]), tight=True), scale(*extent([has, must]))
    pulled = lead < asked
    edge = np.pad(pulled, 1)
    inside = pulled | edge[2:] | edge[:-2]
    floor: dict[str, Any] = {
        "type": "line",
        "name": "mixed",
        "showSymbol": False,
        "silent": True,
        "stack": "pull",
        "stackStrategy": "all",
        "lineStyle": {"opacity": 0},
    }
    short = np.where(inside, np.maximum(asked - lead, 0), np.nan)
    region = [
        floor | {"data": points(lam, np.where(inside, lead, np.nan))},
        floor | {"data": points(lam, short), "areaStyle": {"opacity": 0.22}},
    ]
    option = frame(
        x,
        y,
        [
            *region,
            hair(at, y.low, y.high),
            line(has),
            line(must),
            dot(at, value_at(has, at), "mixed", "diamond", 13),
            *ends([has, must], y),
        ],
        x_title="λ, share of the anchor",
        right=52,
    )
    leads, needs = number(value_at(has, at)), number(value_at(must, at))
    alt = f"At λ {number(at)} the mixed pair leads by {leads} and must by {needs}."
    return Chart("echarts", option, alt, CURVE_HEIGHT, table([has, must], "lambda", "similarity"))


def histogram(edges: ArrayLike, counts: ArrayLike, *, x_title: str = "λ", what: str = "draws") -> Chart:
    """Violet bars of how often lambda fell where.

    Args:
        edges: (k + 1,) ends of the bins, evenly spaced.
        counts: (k,) how many fell into each.
        x_title: what was drawn.
        what: what is counted.
    """
    edges, counts = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    x = scale(float(edges[0]), float(edges[-1]), tight=True)
    high = max(1.0, float(counts.max()) if len(counts) else 1.0)
    option = theme.echarts(
        grid=margins(left=12, title=True),
        xAxis=[
            {"type": "category", "data": plain(edges[:-1]), "show": False},
            axis(x, line=True, position="bottom"),
        ],
        yAxis=axis(named([], [], 0, high * 1.05)),
        series=[
            {"type": "bar", "name": "mixed", "barCategoryGap": "6%", "data": plain(counts), "silent": True},
            *below(x, 0, x_title, xAxisIndex=1),
        ],
    )
    total = counts.sum()
    mean = float((counts * (edges[:-1] + edges[1:]) / 2).sum() / total) if total else float("nan")
    alt = f"{number(float(total), 0)} {what} of {x_title}, mean about {number(mean)}."
    columns = {"from": edges[:-1].tolist(), "to": edges[1:].tolist(), what: counts.tolist()}
    return Chart("echarts", option, alt, SMALL_HEIGHT, columns)


def applied(steps: ArrayLike, margin: ArrayLike, full: float) -> Chart:
    """A small diamond for the margin of each step, under a line at the full margin.

    Args:
        steps: (T,) steps or draws.
        margin: (T,) margin asked of the mixed pair at each.
        full: the margin m that lambda multiplies.
    """
    steps, margin = np.asarray(steps, dtype=float), np.asarray(margin, dtype=float)
    x = scale(0, max(float(steps[-1]), 1.0) if len(steps) else 1.0, tight=True)
    high = max(full, float(margin.max()) if len(margin) else 0.0, 1e-9)
    low = min(0.0, float(margin.min()) if len(margin) else 0.0)
    dots: dict[str, Any] = {
        "type": "scatter",
        "name": "mixed",
        "symbol": "diamond",
        "symbolSize": 6,
        "silent": True,
        "itemStyle": {"opacity": 0.75},
        "data": points(steps, margin),
    }
    limit = {
        "type": "line",
        "name": "anchor",
        "showSymbol": False,
        "silent": True,
        "data": [[x.low, full], [x.high, full]],
        "lineStyle": {"width": 1.5},
    }
    y = named([low, 0, full], [tick(round(low, 2)) if low < 0 else "", "0", tick(round(full, 2))], low, high * 1.12)
    option = frame(x, y, [dots, limit], x_title="step", grid=False)
    alt = f"Margin applied at {len(steps)} steps, mean {number(float(margin.mean()) if len(margin) else float('nan'))}."
    return Chart("echarts", option, alt, SMALL_HEIGHT, {"step": steps.tolist(), "applied margin": margin.tolist()})


def ramp(time: ArrayLike, weight: ArrayLike, *, x_title: str = "epoch", at: float | None = None) -> Chart:
    """How the weight of the mixed loss comes in, (T,) weights over (T,) epochs or steps, with the present marked."""
    high = max(1.0, float(np.max(weight)))
    return lines(
        [Curve("weight of the mixed loss", time, weight)],
        x_title=x_title,
        y_title="weight",
        at=at,
        y=scale(0, high, count=2),
        height=SMALL_HEIGHT,
    )
