"""Pairs on a circle: pictures outside, names as dots on it, a line for each pair, a violet diamond for a mixed one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.chart import Chart, plain, points

PICTURE_AT, OUTER_AT, MIXED_AT, SHOWN_TO = 1.16, 1.34, 0.9, 1.44
HEIGHT = 440


def angles(xy: ArrayLike) -> np.ndarray:
    """(n,) degrees in [0, 360), anticlockwise from the right, of (n, 2) points; their length does not matter."""
    xy = np.asarray(xy, dtype=float)
    return np.degrees(np.arctan2(xy[:, 1], xy[:, 0])) % 360


def rings(degrees: np.ndarray, room: float = 9.5) -> np.ndarray:
    """(n,) radius of each picture: the second ring where an earlier picture within `room` degrees has the first.

    Only the angle of a picture means something, so crowded ones may step back. A picture gives way to those before
    it in the list alone, so one that moves disturbs few others.
    """
    first = np.zeros(len(degrees), dtype=bool)
    for i, angle in enumerate(degrees):
        apart = np.abs((degrees[:i] - angle + 180) % 360 - 180)
        first[i] = not (apart[first[:i]] < room).any()
    return np.where(first, PICTURE_AT, OUTER_AT)


def _scatter(name: str, data: list, symbol: str = "circle", size: float = 8, **more: object) -> dict:
    return {
        "type": "scatter",
        "coordinateSystem": "polar",
        "name": name,
        "symbol": symbol,
        "symbolSize": size,
        "itemStyle": {"opacity": 1},
        "data": data,
        **more,
    }


def _class_dots(rows: list, labels: np.ndarray, hollow: bool) -> list[dict]:
    """One series for each class colour; classes beyond six come round again as squares."""
    shapes = (theme.RING, theme.FRAME) if hollow else ("circle", "rect")
    series = []
    for slot, name in enumerate(theme.CLASS_NAMES):
        data = [
            {**row, "symbol": shapes[int(c) // len(theme.CLASS_NAMES) % 2]}
            for row, c in zip(rows, labels, strict=True)
            if c % len(theme.CLASS_NAMES) == slot
        ]
        series.append(_scatter(name, data, shapes[0]))
    return series


def circle(
    a: ArrayLike,
    b: ArrayLike,
    *,
    urls: Sequence[str] | None = None,
    mixed: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    classes: ArrayLike | None = None,
    what: str = "picture",
) -> Chart:
    """Where each picture and its name stand.

    Args:
        a: (n, 2) unit embeddings of the pictures, or of the first view.
        b: (n, 2) unit embeddings of their names, or of the second view, row by row.
        urls: (n,) addresses of thumbnails; without them the pictures are dots too.
        mixed: (k, 2) unit embeddings of the mixed pictures.
        names: (n,) what is read on hover.
        classes: (n,) class of each item, whole numbers from 0; used where there are no thumbnails.
        what: what an item of `a` is called in the alternative text.
    """
    at_a, at_b = angles(a), angles(b)
    at_mixed = angles(mixed) if mixed is not None and len(np.asarray(mixed)) else np.empty(0)
    n = len(at_a)
    names = [str(i) for i in range(n)] if names is None else list(names)
    radius = rings(at_a) if urls is not None else np.full(n, PICTURE_AT)
    rows_a = [{"name": name, "value": v} for name, v in zip(names, points(radius, at_a), strict=True)]
    rows_b = [{"name": name, "value": v} for name, v in zip(names, points(np.ones(n), at_b), strict=True)]
    bridges = np.full((n, 3, 2), np.nan)
    bridges[:, 0, 0], bridges[:, 0, 1], bridges[:, 1, 0], bridges[:, 1, 1] = 1, at_b, radius, at_a
    if urls is not None:
        pictures = [{**row, "symbol": f"image://{url}"} for row, url in zip(rows_a, urls, strict=True)]
        dots = [_scatter("anchor", pictures, size=28, z=4), _scatter("positives", rows_b, z=3)]
    elif classes is not None:
        labels = np.asarray(classes)
        dots = _class_dots(rows_a, labels, hollow=False) + _class_dots(rows_b, labels, hollow=True)
    else:
        dots = [_scatter("anchor", rows_a, size=8), _scatter("positives", rows_b, z=3)]
    line = {"type": "line", "coordinateSystem": "polar", "silent": True, "showSymbol": False}
    thin, faint = {"width": 1, "opacity": 0.6}, {"width": 1, "opacity": 0.3}
    rim = np.linspace(0, 360, 73)
    option = theme.echarts(
        polar={"center": ["50%", "50%"], "radius": "100%"},
        classes=classes is not None and urls is None,
        angleAxis={"type": "value", "min": 0, "max": 360, "startAngle": 0, "clockwise": False, "show": False},
        radiusAxis={"type": "value", "min": 0, "max": SHOWN_TO, "show": False},
        tooltip={"trigger": "item", "formatter": "{b}"},
        series=[
            {**line, "name": "anchor", "data": points(np.ones(73), rim), "lineStyle": faint},
            {**line, "name": "positives", "data": plain(bridges.reshape(-1, 2)), "lineStyle": thin},
            *dots,
            _scatter("mixed", points(np.full(len(at_mixed), MIXED_AT), at_mixed), "diamond", 9, silent=True, z=2),
        ],
    )
    nearest = (np.asarray(a) @ np.asarray(b).T).argmax(1) if n else np.empty(0)
    home = int((nearest == np.arange(n)).sum())
    return Chart(
        "echarts",
        option,
        f"{n} pairs on a circle; {home} of {n} {what}s sit nearest to their own name.",
        HEIGHT,
        {"item": names, f"{what}, degrees": plain(at_a, 2), "name, degrees": plain(at_b, 2)},
    )
