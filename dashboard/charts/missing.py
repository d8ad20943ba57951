"""What is left when modalities go missing: every subset, the way down with the drop rate, and differences of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dashboard.charts.chart import Chart
from dashboard.charts.tables import FAINT, PAPER, axis, bottom, colour, plot, shown, tips
from dashboard.words import share

ROW, CURVE_HEIGHT, METHODS = 34, 320, 2
Estimate = tuple[ArrayLike, ArrayLike, ArrayLike]


def _tidy(results: Mapping[str, Estimate], factor: float = 100) -> pd.DataFrame:
    """One row for each method and place: `method, at, mean, low, high`, in per cent, and the kind that colours it."""
    frames = [
        pd.DataFrame(
            {
                "method": name,
                "solid": i == 0,
                "at": np.arange(len(np.asarray(mean))),
                "mean": np.asarray(mean, dtype=float) * factor,
                "low": np.asarray(low, dtype=float) * factor,
                "high": np.asarray(high, dtype=float) * factor,
                "kind": "anchor",
            }
        )
        for i, (name, (mean, low, high)) in enumerate(list(results.items())[:METHODS])
    ]
    return pd.concat(frames, ignore_index=True)


def _dots(source: Any, solid: bool, **encoding: Any) -> Any:
    """Filled dots for the first method, hollow ones for the second."""
    kept = source.transform_filter(alt.datum.solid == solid)
    mark = (
        kept.mark_point(filled=True, size=95, opacity=1)
        if solid
        else kept.mark_point(filled=False, size=85, strokeWidth=2, fill=PAPER, opacity=1)
    )
    return mark.encode(**encoding)


def subsets(
    modalities: Sequence[str], present: ArrayLike, results: Mapping[str, Estimate], *, what: str = "accuracy"
) -> Chart:
    """Every subset of the modalities as a row of dots, and beside it what is still reached with it.

    Args:
        modalities: (M,) names.
        present: (S, M) bool, which of them each subset has; rows are drawn in this order, top to bottom.
        results: method -> (mean (S,), low (S,), high (S,)), shares between 0 and 1; the first method is a filled dot,
            a second one hollow, joined by a line. Pass the mean thrice where there is no interval.
        what: name of the measure.
    """
    present = np.asarray(present, dtype=bool)
    values = _tidy(results)
    low = np.floor(max(0.0, values[["low", "mean"]].min().min() - 1) / 10) * 10
    high = min(100.0, np.ceil((values[["high", "mean"]].max().max() + 1) / 10) * 10)
    column = (high - low) * 0.085
    left = low - column * (len(modalities) + 0.7)
    matrix = pd.DataFrame(
        [
            {"x": left + column * (m + 0.5), "at": s, "there": bool(present[s, m]), "kind": "anchor"}
            for s in range(len(present))
            for m in range(len(modalities))
        ]
    )
    heads = pd.DataFrame(
        [{"x": left + column * (m + 0.5), "at": -0.75, "name": n, "kind": "anchor"} for m, n in enumerate(modalities)]
    )
    ticks = np.arange(low, high + 1, 10 if high - low > 20 else 5)
    scale = alt.Scale(domain=[left, high], nice=False, zero=False)
    line = bottom(f"{what}, %", values=ticks.tolist(), grid=True, domain=False, titleAnchor="end")

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=line)

    y = alt.Y("at:Q", scale=alt.Scale(domain=[len(present) - 0.5, -2.1], nice=False), axis=None)
    source = plot(values)
    across = plot(values).mark_rule(strokeWidth=3, opacity=0.3)
    tooltip = [*tips("method:N"), alt.Tooltip("mean:Q", format=".1f"), alt.Tooltip("low:Q", format=".1f"),
               alt.Tooltip("high:Q", format=".1f")]  # fmt: skip
    layers = [
        across.transform_aggregate(one="min(mean)", other="max(mean)", groupby=["at", "kind"]).encode(
            x=x("one"), x2=alt.X2("other:Q"), y=y, color=colour()
        ),
        source.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x=x("low"), x2=alt.X2("high:Q"), y=y, color=colour()),
        _dots(source, True, x=x("mean"), y=y, color=colour(), tooltip=tooltip),
        *([_dots(source, False, x=x("mean"), y=y, color=colour(), tooltip=tooltip)] if len(results) > 1 else []),
        plot(matrix).mark_circle(size=110).encode(x=x("x"), y=y, color=colour(), opacity=shown(alt.datum.there, FAINT)),
        plot(heads)
        .mark_text(angle=315, align="left", baseline="middle", fontSize=12)
        .encode(x=x("x"), y=y, text=alt.Text("name:N"), color=colour()),
    ]
    names = list(results)[:METHODS]
    worst = values[values["method"] == names[0]]["mean"].min() / 100
    alt_text = f"{len(present)} subsets of {len(modalities)} modalities; {names[0]} keeps at least {share(worst)}."
    columns: dict[str, list] = {
        "subset": [" + ".join(m for m, here in zip(modalities, row, strict=True) if here) for row in present]
    }
    for name in names:
        for part, numbers in zip(("", " low", " high"), results[name], strict=True):
            columns[name + part] = np.asarray(numbers, dtype=float).tolist()
    return Chart("altair", alt.layer(*layers), alt_text, ROW * (len(present) + 2) + 50, columns)


def _top(largest: float) -> float:
    """Per cent at which the axis ends: the next of 4, 8, 20, 40 and 100 above the largest value."""
    return next((float(end) for end in (4, 8, 20, 40) if largest < end), 100.0)


def drop_curve(
    rates: ArrayLike, results: Mapping[str, Estimate], *, chance: float | None = None, what: str = "accuracy"
) -> Chart:
    """What is left while each modality is dropped with a growing probability; the axis starts at 0.

    Args:
        rates: (R,) drop rates between 0 and 1, rising.
        results: method -> (mean (R,), low (R,), high (R,)), shares between 0 and 1; at most two, solid and dashed.
        chance: share reached by guessing, dotted.
        what: name of the measure.
    """
    rates = np.asarray(rates, dtype=float) * 100
    values = _tidy(results)
    values["rate"] = rates[values["at"]]
    x = alt.X("rate:Q", scale=alt.Scale(domain=[0, 118], nice=False), axis=bottom(
        "share of modalities dropped, %", values=[0, 25, 50, 75, 100], titleAnchor="middle"
    ))  # fmt: skip
    top = _top(max(float(np.nanmax(values["high"])), 100 * (chance or 0)))
    y = alt.Y("mean:Q", scale=alt.Scale(domain=[0, top]), axis=axis(values=np.linspace(0, top, 5).tolist()))
    source = plot(values)
    band = source.mark_area(opacity=FAINT).encode(
        x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=colour(), detail=alt.Detail("method:N")
    )
    lines = [
        source.transform_filter(alt.datum.solid == solid)
        .mark_line(strokeWidth=2.5, strokeDash=[1, 0] if solid else [5, 3])
        .encode(x=x, y=y, color=colour(), detail=alt.Detail("method:N"))
        for solid in (True, False)
    ]
    ends = values[values["at"] == values["at"].max()].sort_values("mean")
    heights = ends["mean"].to_numpy().copy()
    if len(heights) == METHODS:
        heights[1] = max(heights[1], heights[0] + 0.07 * top)
    words = plot(ends.assign(mean=heights)).mark_text(align="left", dx=6, fontSize=12).encode(
        x=x, y=y, text=alt.Text("method:N"), color=colour()
    )  # fmt: skip
    layers = [band, *lines, words]
    if chance is not None:
        level = pd.DataFrame({"rate": [0.0, 100.0], "mean": [chance * 100] * 2, "kind": "anchor", "name": [
            f"chance {share(chance)}", ""
        ]})  # fmt: skip
        base = plot(level)
        layers += [
            base.mark_line(strokeWidth=1.5, strokeDash=[2, 2]).encode(x=x, y=y, color=colour()),
            base.mark_text(align="left", dy=-8, fontSize=12).encode(x=x, y=y, text=alt.Text("name:N"), color=colour()),
        ]
    said = "; ".join(
        f"{name} falls from {share(float(np.asarray(mean)[0]))} to {share(float(np.asarray(mean)[-1]))}"
        for name, (mean, _, _) in list(results.items())[:METHODS]
    )
    columns = {key: values[key].tolist() for key in ("method", "rate", "mean", "low", "high")}
    return Chart("altair", alt.layer(*layers), f"{what} over the drop rate: {said}.", CURVE_HEIGHT, columns)
