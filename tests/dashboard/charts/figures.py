"""Reading a figure back."""

from typing import Any

from dashboard.charts.chart import Chart


def drawn(chart: Chart, kind: str, name: str) -> list[dict[str, Any]]:
    """The series of one type and name that hold something, without bare words."""
    return [
        series
        for series in chart.spec["series"]
        if (series["type"], series["name"]) == (kind, name) and series["data"] and series.get("symbolSize") != 0
    ]


def said(chart: Chart) -> list[str]:
    """All words written in the figure."""
    return [item["name"] for series in chart.spec["series"] if series.get("symbolSize") == 0 for item in series["data"]]
