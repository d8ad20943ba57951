"""The scene of the margins: who pulls whom when a picture is mixed, on the upper part of the circle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dashboard.charts import theme
from dashboard.charts.chart import Chart, plain, points
from dashboard.charts.circle import PICTURE_AT

SCENE_HEIGHT, SHOWN_TO = 430, 1.5
ARROW_AT, STILL = 1.35, 0.5
PICTURE_WORD_AT, NAME_WORD_AT = 1.43, 0.76
Who = Literal["own", "other", "anchor", "partner"]


@dataclass(frozen=True)
class Spot:
    """Something that stands on the circle: its angle in degrees, anticlockwise from the right, and what to call it."""

    angle: float
    label: str
    url: str | None = None


@dataclass(frozen=True)
class Zone:
    """Where a foreign name would be too close: `centre` and `half` width in degrees; half 0 draws nothing."""

    centre: float
    half: float


def _arc(kind: str, radius: float, start: float, end: float, width: float, opacity: float) -> dict[str, Any]:
    degrees = np.linspace(start, end, 33)
    return {
        "type": "line",
        "coordinateSystem": "polar",
        "name": kind,
        "silent": True,
        "showSymbol": False,
        "data": points(np.full(33, radius), degrees % 360) if start != end else [],
        "lineStyle": {"width": width, "opacity": opacity, "cap": "butt"},
    }


def _spots(kind: str, data: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "type": "scatter",
        "coordinateSystem": "polar",
        "name": kind,
        "silent": True,
        "itemStyle": {"opacity": 1},
        "data": data,
        **more,
    }


def _spot(spot: Spot, radius: float, symbol: str, size: float) -> dict[str, Any]:
    return {"name": spot.label, "value": [radius, round(spot.angle % 360, 2)], "symbol": symbol, "symbolSize": size}


def _picture(kind: str, spot: Spot, size: float) -> dict[str, Any]:
    symbol = "circle" if spot.url is None else f"image://{spot.url}"
    return _spots(kind, [_spot(spot, PICTURE_AT, symbol, size if spot.url else 12)], z=6)


def _word(kind: str, spot: Spot, radius: float) -> dict[str, Any]:
    """What a spot is called, written outwards from the top of the circle, so that words do not meet arrows."""
    side = np.cos(np.radians(spot.angle)) * (1 if radius > 1 else -1)
    align = "center" if abs(side) < 0.2 else "left" if side > 0 else "right"
    word = {"name": spot.label, "value": [radius, round(spot.angle % 360, 2)]}
    return _spots(kind, [word], symbolSize=0, label=theme.note("inside", align=align, fontSize=13), z=7)


def _arrow(kind: str, radius: float, start: float, by: float) -> list[dict[str, Any]]:
    """A curved shaft of `by` degrees and a triangle at its end; one of less than half a degree has neither."""
    moves, end = abs(by) >= STILL, start + by
    head = {
        "value": [radius, round(end % 360, 2)],
        "symbol": "triangle",
        "symbolSize": 13,
        "symbolRotate": round(end if by > 0 else end - 180, 1),
    }
    shaft = _arc(kind, radius, start, end if moves else start, 2.5, 1)
    return [shaft, _spots(kind, [head] if moves else [], z=5)]


def scene(
    *,
    anchor: Spot,
    partner: Spot,
    mixed: Spot,
    own: Spot,
    other: Spot,
    asked_mixed: Zone,
    asked_clean: Zone,
    moves: Mapping[Who, float],
) -> Chart:
    """Two pictures, their mixture, their names, the zones that the margins keep free, and where all are driven.

    Args:
        anchor: the picture that is mixed, with its thumbnail.
        partner: the picture mixed in.
        mixed: the mixture, with the blended thumbnail.
        own: the anchor's name, drawn as a filled square.
        other: the partner's name, drawn as an open square.
        asked_mixed: names in this zone are too close to the mixture (violet, on the circle).
        asked_clean: names in this zone are too close to the anchor (neutral, inside it).
        moves: by how many degrees the step of the loss turns each point, anticlockwise above 0; absent points rest.
    """
    rim = _arc("anchor", 1, 0, 359.99, 1, 0.3) | {"data": points(np.ones(91), np.linspace(0, 360, 91))}
    chord = _arc("mixed", 1, 0, 0, 1.2, 0.7) | {
        "data": [[PICTURE_AT, anchor.angle % 360], [PICTURE_AT, partner.angle % 360]]
    }
    chord["lineStyle"] = {"width": 1.2, "opacity": 0.7, "type": theme.DASH}
    bands = [
        _arc("anchor", 0.88, asked_clean.centre - asked_clean.half, asked_clean.centre + asked_clean.half, 12, 0.16),
        _arc("mixed", 1, asked_mixed.centre - asked_mixed.half, asked_mixed.centre + asked_mixed.half, 20, 0.22),
    ]
    arrows = (
        ("positives", 1, own, moves.get("own", 0)),
        ("negatives", 1, other, moves.get("other", 0)),
        ("anchor", ARROW_AT, anchor, moves.get("anchor", 0)),
        ("anchor", ARROW_AT, partner, moves.get("partner", 0)),
    )
    names = [
        _spots("positives", [_spot(own, 1, "rect", 14)], z=7),
        _spots("negatives", [_spot(other, 1, theme.FRAME, 15)], z=7),
    ]
    option = theme.echarts(
        polar={"center": ["50%", "68%"], "radius": "132%"},
        angleAxis={"type": "value", "min": 0, "max": 360, "startAngle": 0, "clockwise": False, "show": False},
        radiusAxis={"type": "value", "min": 0, "max": SHOWN_TO, "show": False},
        series=[
            rim,
            *bands,
            chord,
            *(part for kind, at, spot, by in arrows for part in _arrow(kind, at, spot.angle, by)),
            *names,
            _picture("anchor", anchor, 42),
            _picture("anchor", partner, 42),
            _picture("mixed", mixed, 46),
            _spots("mixed", [_spot(mixed, 1, "diamond", 13)], z=8),
            _word("anchor", anchor, PICTURE_WORD_AT),
            _word("anchor", partner, PICTURE_WORD_AT),
            _word("mixed", mixed, PICTURE_WORD_AT),
            _word("positives", own, NAME_WORD_AT),
            _word("negatives", other, NAME_WORD_AT),
        ],
    )
    option["media"] = [{"query": {"maxWidth": 420}, "option": {"polar": {"center": ["50%", "52%"], "radius": "112%"}}}]
    moving = sum(abs(by) >= STILL for by in moves.values())
    alt = (
        f"On the circle: {anchor.label} at {anchor.angle:.0f}°, {partner.label} at {partner.angle:.0f}°, "
        f"their mixture at {mixed.angle:.0f}°; {moving} of 4 points move."
    )
    spots = (anchor, partner, mixed, own, other)
    table = {"what": [spot.label for spot in spots], "angle, degrees": plain([spot.angle for spot in spots], 2)}
    return Chart("echarts", option, alt, SCENE_HEIGHT, table)
