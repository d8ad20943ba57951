"""The one file that knows how the theme's colours reach a chart.

Streamlit replaces colours in the browser: Plotly figures name them by placeholder, ECharts options take them by the
order in which series names first appear, Altair by the order of a domain. No chart writes a colour of its own.
"""

from typing import Any

KINDS = ("positives", "negatives", "mixed", "anchor")
CLASS_NAMES = tuple(f"class {i}" for i in range(6))
POSITIVE, NEGATIVE, MIXED, ANCHOR = "#000001", "#000002", "#000003", "#000004"
CLASSES = ("#000005", "#000006", "#000007", "#000008", "#000009", "#000010")
BACKGROUND, GRID = "#000038", "#000039"
SEQUENTIAL = [[i / 9, f"#0000{11 + i}"] for i in range(10)]
DIVERGING = [[i / 9, f"#0000{21 + i}"] for i in range(10)]
DASH = [5, 3]
LABEL = 12
# Hollow marks as outlines: the `empty` symbols of ECharts are filled with white, in the dark theme too.
RING = "path://M50,0A50,50,0,1,1,49.9,0ZM50,20A30,30,0,1,0,50.1,20Z"
FRAME = "path://M0,0H100V100H0ZM20,20V80H80V20Z"

# Only fullscreen and the picture stay in Plotly's bar; the bar itself shows on hover, as in the other charts.
PLOTLY_CONFIG = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": [
        "zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d",
        "zoom3d", "pan3d", "orbitRotation", "tableRotation", "resetCameraDefault3d", "resetCameraLastSave3d",
    ],
}  # fmt: skip


def faded(slot: str, share: float) -> str:
    """A Plotly slot at an opacity between 0 and 1."""
    return f"{slot}{round(255 * share):02X}"


def echarts(
    *, polar: dict[str, Any] | None = None, classes: bool = False, glide: int = 380, **option: Any
) -> dict[str, Any]:
    """An ECharts option whose series named after `KINDS` take the theme's colours.

    Empty series come first and claim the colours; charts then reuse their names. A chart that keeps the number,
    order and types of its series glides from one state to the next in `glide` milliseconds.

    Args:
        polar: the polar coordinate system, where the series live in one.
        classes: also claim the six class colours, for series named after `CLASS_NAMES`.
        glide: duration of the transition in milliseconds.
        **option: the rest of the option.
    """
    place = {"coordinateSystem": "polar"} if polar else {}
    frame = {"polar": polar} if polar else {}
    names = KINDS + CLASS_NAMES if classes else KINDS
    slots = [{"type": "line", "name": name, "data": [], "silent": True, **place} for name in names]
    return {
        "animationDuration": 0,
        "animationDurationUpdate": glide,
        "animationEasingUpdate": "linear",
        "legend": {"show": False},
        **frame,
        **option,
        "series": [*slots, *option.get("series", [])],
    }


def note(place: str = "right", **more: Any) -> dict[str, Any]:
    """An ECharts label in its series' own colour, which is the only way to a readable one: axis labels are grey."""
    return {
        "show": True,
        "position": place,
        "color": "inherit",
        "fontSize": LABEL,
        "lineHeight": 15,
        "formatter": "{b}",
        **more,
    }
