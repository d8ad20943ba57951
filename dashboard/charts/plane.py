"""Pairs on a plane: an embedding of more than three dimensions, seen along two fixed directions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.chart import Chart, plain, points

HEIGHT = 440
SHOWN_TO = 1.08


def plane(
    a: ArrayLike,
    b: ArrayLike,
    *,
    urls: Sequence[str] | None = None,
    mixed: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    what: str = "picture",
) -> Chart:
    """Where each picture and its partner stand; the axes reach from -1 to 1 and stay there from step to step.

    Args:
        a: (n, 2) projections of the pictures, or of the first view; no longer than 1.
        b: (n, 2) projections of their partners, row by row.
        urls: (n,) addresses of thumbnails; without them the pictures are dots too.
        mixed: (k, 2) projections of the mixed pictures.
        names: (n,) what is read on hover.
        what: what an item of `a` is called in the alternative text.
    """
    at_a, at_b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    names = [str(i) for i in range(len(at_a))] if names is None else list(names)
    bridges = np.full((len(at_a), 3, 2), np.nan)
    bridges[:, 0], bridges[:, 1] = at_a, at_b
    rows_a = [{"name": name, "value": v} for name, v in zip(names, plain(at_a), strict=True)]
    rows_b = [{"name": name, "value": v} for name, v in zip(names, plain(at_b), strict=True)]
    if urls is not None:
        rows_a = [{**row, "symbol": f"image://{url}"} for row, url in zip(rows_a, urls, strict=True)]
    scatter = {"type": "scatter", "itemStyle": {"opacity": 1}}
    at_mixed = np.empty((0, 2)) if mixed is None else np.asarray(mixed, dtype=float)
    axis = {"type": "value", "min": -SHOWN_TO, "max": SHOWN_TO, "show": False}
    option = theme.echarts(
        grid={"left": 0, "right": 0, "top": 0, "bottom": 0},
        xAxis=axis,
        yAxis=axis,
        tooltip={"trigger": "item", "formatter": "{b}"},
        series=[
            {
                "type": "line",
                "name": "positives",
                "silent": True,
                "showSymbol": False,
                "data": plain(bridges.reshape(-1, 2)),
                "lineStyle": {"width": 1, "opacity": 0.6},
            },
            {**scatter, "name": "anchor", "data": rows_a, "symbolSize": 8 if urls is None else 22, "z": 4},
            {**scatter, "name": "positives", "data": rows_b, "symbolSize": 7, "z": 3},
            {
                **scatter,
                "name": "mixed",
                "data": points(at_mixed[:, 0], at_mixed[:, 1]),
                "symbol": "diamond",
                "symbolSize": 8,
                "silent": True,
                "z": 2,
            },
        ],
    )
    apart = float(np.linalg.norm(at_a - at_b, axis=1).mean()) if len(at_a) else float("nan")
    alt = f"{len(at_a)} pairs on a plane; a {what} and its partner are {apart:.2f} apart on average."
    return Chart(
        "echarts",
        option,
        alt,
        HEIGHT,
        {
            "item": names,
            f"{what} x": plain(at_a[:, 0]),
            f"{what} y": plain(at_a[:, 1]),
            "partner x": plain(at_b[:, 0]),
            "partner y": plain(at_b[:, 1]),
        },
    )
