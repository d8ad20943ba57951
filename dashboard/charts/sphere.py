"""Pairs on a sphere: one that glides from step to step, seen from a chosen side, and one to turn with the mouse."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard.charts import theme
from dashboard.charts.chart import Chart, plain, points

HEIGHT, BEHIND = 440, 0.28


def seen(xyz: ArrayLike, turn: float, tilt: float) -> np.ndarray:
    """(n, 3) right, up and nearness of (n, 3) points, turned about the upright axis and tilted towards the eye."""
    x, y, z = np.asarray(xyz, dtype=float).reshape(-1, 3).T
    a, b = np.radians(turn), np.radians(tilt)
    right, away = x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)
    return np.stack([right, z * np.cos(b) + away * np.sin(b), z * np.sin(b) - away * np.cos(b)], axis=1)


def _flat(view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radius and degrees of what is seen, for a polar chart, which is always round."""
    return np.hypot(view[:, 0], view[:, 1]), np.degrees(np.arctan2(view[:, 1], view[:, 0])) % 360


def _scatter(name: str, rows: list, symbol: str, size: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "coordinateSystem": "polar",
        "name": name,
        "symbol": symbol,
        "symbolSize": size,
        "data": rows,
    }


def _rows(view: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "value": at, "itemStyle": {"opacity": 1 if near >= 0 else BEHIND}}
        for name, at, near in zip(names, points(*_flat(view)), view[:, 2], strict=True)
    ]


def _line(name: str, values: Any, opacity: float) -> dict[str, Any]:
    return {
        "type": "line",
        "coordinateSystem": "polar",
        "name": name,
        "silent": True,
        "showSymbol": False,
        "data": values,
        "lineStyle": {"width": 1, "opacity": opacity},
    }


def sphere(
    a: ArrayLike,
    b: ArrayLike,
    *,
    mixed: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    classes: ArrayLike | None = None,
    turn: float = 30,
    tilt: float = 20,
) -> Chart:
    """Pairs on the unit sphere without perspective; what lies behind is faint.

    Args:
        a: (n, 3) unit embeddings of one side, filled dots.
        b: (n, 3) unit embeddings of the other, rings, row by row.
        mixed: (k, 3) unit embeddings of the mixed items.
        names: (n,) what is read on hover.
        classes: (n,) whole numbers from 0, for the hue of the dots; beyond six the hues come round again.
        turn: degrees about the upright axis.
        tilt: degrees towards the eye.
    """
    view_a, view_b = seen(a, turn, tilt), seen(b, turn, tilt)
    n = len(view_a)
    names = [str(i) for i in range(n)] if names is None else list(names)
    at_a, at_b = _rows(view_a, names), _rows(view_b, names)
    if classes is None:
        dots = [_scatter("anchor", at_a, "circle", 8), _scatter("positives", at_b, theme.RING, 8)]
    else:
        slots = np.asarray(classes, dtype=int) % len(theme.CLASS_NAMES)
        dots = [
            _scatter(name, [row for row, s in zip(rows, slots, strict=True) if s == slot], symbol, 8)
            for rows, symbol in ((at_a, "circle"), (at_b, theme.RING))
            for slot, name in enumerate(theme.CLASS_NAMES)
        ]
    around = np.radians(np.linspace(0, 360, 73))
    equator = seen(np.stack([np.cos(around), np.sin(around), np.zeros(73)], 1), turn, tilt)
    front = np.where(equator[:, 2:] >= 0, np.stack(_flat(equator), 1), np.nan)
    back = np.where(equator[:, 2:] < 0, np.stack(_flat(equator), 1), np.nan)
    bridges = np.full((n, 3, 2), np.nan)
    bridges[:, 0], bridges[:, 1] = np.stack(_flat(view_a), 1), np.stack(_flat(view_b), 1)
    blend = seen(np.empty((0, 3)) if mixed is None else mixed, turn, tilt)
    option = theme.echarts(
        polar={"center": ["50%", "50%"], "radius": "100%"},
        classes=classes is not None,
        angleAxis={"type": "value", "min": 0, "max": 360, "startAngle": 0, "clockwise": False, "show": False},
        radiusAxis={"type": "value", "min": 0, "max": 1.1, "show": False},
        tooltip={"trigger": "item", "formatter": "{b}"},
        series=[
            _line("anchor", points(np.ones(73), np.linspace(0, 360, 73)), 0.3),
            _line("anchor", plain(front), 0.3),
            _line("anchor", plain(back), 0.12),
            _line("positives", plain(bridges.reshape(-1, 2)), 0.6),
            *dots,
            _scatter("mixed", _rows(blend, [""] * len(blend)), "diamond", 9),
        ],
    )
    return Chart("echarts", option, _alt(a, b), HEIGHT, _table(a, b, names))


def globe(a: ArrayLike, b: ArrayLike, *, names: Sequence[str] | None = None, classes: ArrayLike | None = None) -> Chart:
    """The same pairs to turn with the mouse, in Plotly; rebuilt at every change, so for looking, not for playing.

    Args:
        a: (n, 3) unit embeddings of one side.
        b: (n, 3) unit embeddings of the other, row by row.
        names: (n,) what is read on hover.
        classes: (n,) whole numbers from 0, for the hue of the dots.
    """
    import plotly.graph_objects as go

    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    names = [str(i) for i in range(len(a))] if names is None else list(names)
    hues = None if classes is None else [theme.CLASSES[int(c) % len(theme.CLASSES)] for c in np.asarray(classes)]
    bridges = np.full((len(a), 3, 3), np.nan, dtype=np.float32)
    bridges[:, 0], bridges[:, 1] = a, b
    lines = bridges.reshape(-1, 3)
    rim = np.radians(np.linspace(0, 360, 91))
    circles = [
        np.stack([np.cos(rim), np.sin(rim), 0 * rim]),
        np.stack([np.cos(rim), 0 * rim, np.sin(rim)]),
        np.stack([0 * rim, np.cos(rim), np.sin(rim)]),
    ]
    figure = go.Figure(
        [
            *(
                go.Scatter3d(
                    x=x,
                    y=y,
                    z=z,
                    mode="lines",
                    hoverinfo="skip",
                    line={"color": theme.ANCHOR, "width": 1},
                    opacity=0.35,
                )
                for x, y, z in circles
            ),
            go.Scatter3d(
                x=lines[:, 0],
                y=lines[:, 1],
                z=lines[:, 2],
                mode="lines",
                hoverinfo="skip",
                line={"color": theme.POSITIVE, "width": 2},
                opacity=0.5,
            ),
            *(
                go.Scatter3d(
                    x=side[:, 0],
                    y=side[:, 1],
                    z=side[:, 2],
                    mode="markers",
                    text=names,
                    hovertemplate="%{text}<extra></extra>",
                    marker={"size": 5, "symbol": symbol, "color": hues or colour},
                )
                for side, symbol, colour in ((a, "circle", theme.ANCHOR), (b, "circle-open", theme.POSITIVE))
            ),
        ]
    )
    hidden = {"visible": False, "range": [-1.05, 1.05]}
    figure.update_layout(
        height=HEIGHT,
        showlegend=False,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "aspectmode": "cube",
            "camera": {"eye": dict.fromkeys("xyz", 1.0)},
        },
    )
    return Chart("plotly", figure, _alt(a, b), HEIGHT, _table(a, b, names))


def _alt(a: ArrayLike, b: ArrayLike) -> str:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    home = int(((a @ b.T).argmax(1) == np.arange(len(a))).sum()) if len(a) else 0
    return f"{len(a)} pairs on a sphere; {home} of {len(a)} sit nearest to their own partner."


def _table(a: ArrayLike, b: ArrayLike, names: Sequence[str]) -> dict[str, list]:
    sides = {"a": np.asarray(a, dtype=float), "b": np.asarray(b, dtype=float)}
    return {"item": list(names)} | {
        f"{side} {axis}": plain(xyz[:, k]) for side, xyz in sides.items() for k, axis in enumerate("xyz")
    }
