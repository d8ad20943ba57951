"""The one file that knows how the theme's colours reach a chart.

Streamlit replaces colours in the browser: Plotly figures name them by placeholder, ECharts options take them by the
order in which series names first appear, Altair by the order of a domain. No chart writes a colour of its own.
"""

from typing import Any

KINDS = ("positives", "negatives", "mixed", "anchor")
POSITIVE, NEGATIVE, MIXED, ANCHOR = "#000001", "#000002", "#000003", "#000004"
CLASSES = ("#000005", "#000006", "#000007", "#000008", "#000009", "#000010")
BACKGROUND, GRID = "#000038", "#000039"
SEQUENTIAL = [[i / 9, f"#0000{11 + i}"] for i in range(10)]
DIVERGING = [[i / 9, f"#0000{21 + i}"] for i in range(10)]


def faded(slot: str, share: float) -> str:
    """A Plotly slot at an opacity between 0 and 1."""
    return f"{slot}{round(255 * share):02X}"


def echarts(*, polar: bool = False, glide: int = 380, **option: Any) -> dict[str, Any]:
    """An ECharts option whose series named after `KINDS` take the theme's colours.

    Four empty series come first and claim the four colours; charts then reuse their names. A chart that keeps the
    number, order and types of its series glides from one state to the next in `glide` milliseconds.
    """
    place = {"coordinateSystem": "polar"} if polar else {}
    slots = [{"type": "line", "name": kind, "data": [], "silent": True, **place} for kind in KINDS]
    return {
        "animationDuration": 0,
        "animationDurationUpdate": glide,
        "animationEasingUpdate": "linear",
        "legend": {"show": False},
        **option,
        "series": [*slots, *option.get("series", [])],
    }
