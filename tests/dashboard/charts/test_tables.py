"""Altair charts: the tables inside hold the numbers, the colours come from one domain, labels are in ink."""

import functools
import json

import altair as alt
import numpy as np
import pandas as pd
import pytest
from altair.utils import schemapi

from dashboard import panel
from dashboard.charts import theme
from dashboard.charts.beside import beside
from dashboard.charts.chart import Chart
from dashboard.charts.distributions import LIFT, distributions
from dashboard.charts.evidence import differences
from dashboard.charts.missing import drop_curve, subsets
from dashboard.charts.tables import plot

PRESENT = np.array([[1, 1], [1, 0], [0, 1]], dtype=bool)
BEST, WORST = np.array([0.9, 0.8, 0.7]), np.array([0.92, 0.6, 0.5])


def both() -> dict[str, tuple]:
    return {"aligned": (BEST, BEST - 0.02, BEST + 0.02), "joint": (WORST, WORST, WORST)}


def tables(chart: Chart) -> list[list[dict]]:
    return list(chart.spec.to_dict()["datasets"].values())


def rows(chart: Chart, *keys: str) -> list[dict]:
    return next(table for table in tables(chart) if set(keys) <= set(table[0]))


def colours(spec: object) -> list[dict]:
    if isinstance(spec, dict):
        found = [spec["color"]] if isinstance(spec.get("color"), dict) and "field" in spec["color"] else []
        return found + [c for value in spec.values() for c in colours(value)]
    return [c for value in spec for c in colours(value)] if isinstance(spec, list) else []


@functools.cache
def draw() -> dict[str, Chart]:
    rates = np.array([0, 0.5, 1])
    one = {"positives": np.eye(9)[8], "negatives": np.eye(9)[2]}
    return {
        "subsets": subsets(["image", "name"], PRESENT, both()),
        "one method": subsets(["image", "name"], PRESENT, {"only": both()["aligned"]}),
        "drop": drop_curve(rates, both(), chance=0.1),
        "beside": beside(
            ["a", "b"], {"raw": [(2, 1, 3), (5, 4, 6)], "lof": [(1, 0, 2), (3, 2, 4)]}, x_title="distance"
        ),
        "forest": differences(["a", "b"], [2, 0.5], [1, -0.5], [3, 1.5]),
        "distributions": distributions(np.linspace(-1, 1, 9), {"A": one, "B": one | {"mixed": np.eye(9)[5]}}),
    }


@pytest.fixture(params=["subsets", "one method", "drop", "beside", "forest", "distributions"])
def chart(request) -> Chart:
    return draw()[request.param]


def test_colours_are_the_slots_of_the_theme_in_order(chart):
    found = colours(chart.spec.to_dict())
    assert found
    assert {tuple(c["scale"]["domain"]) for c in found} == {theme.KINDS}
    assert all(c["legend"] is None for c in found)


def test_axis_labels_are_in_ink(chart):
    text = json.dumps(chart.spec.to_dict())
    assert text.count('"labelColor": {"expr": "scale(\'color\', \'anchor\')"}') >= 1
    assert text.count('"labelColor"') == text.count('labelColor": {"expr"')


def test_a_chart_that_breaks_the_schema_is_refused_where_it_is_drawn():
    wrong = plot(pd.DataFrame({"a": [1]})).mark_point().encode(x=alt.X("a:Q", scale=alt.Scale(domain="wide")))
    with pytest.raises(schemapi.SchemaValidationError, match="wide"):
        panel.draw("wrong", Chart("altair", wrong, "", 1, {}))


def test_every_table_has_words_and_columns_of_one_length(chart):
    assert chart.kind == "altair"
    assert chart.alt.endswith(".")
    assert len({len(column) for column in chart.columns.values()}) == 1


def test_subsets_hold_per_cent_and_dots_for_what_is_there():
    chart = draw()["subsets"]
    values = rows(chart, "mean", "low", "high")
    assert [r["mean"] for r in values if r["method"] == "aligned"] == pytest.approx(100 * BEST)
    assert [r["low"] for r in values if r["method"] == "aligned"] == pytest.approx(100 * BEST - 2)
    assert [r["solid"] for r in values] == [True] * 3 + [False] * 3
    matrix = rows(chart, "there")
    assert [r["there"] for r in matrix] == PRESENT.ravel().tolist()
    assert max(r["x"] for r in matrix) < min(r["mean"] for r in values)
    assert chart.columns["subset"] == ["image + name", "image", "name"]
    assert "aligned keeps at least 70%" in chart.alt


def test_the_drop_curve_runs_over_its_rates_and_shows_chance():
    chart = draw()["drop"]
    values = rows(chart, "rate", "low")
    assert [(r["rate"], r["mean"]) for r in values if r["method"] == "aligned"] == [
        (0, pytest.approx(90)),
        (50, pytest.approx(80)),
        (100, pytest.approx(70)),
    ]
    level = next(t for t in tables(chart) if any(r.get("name") == "chance 10%" for r in t))
    assert {r["mean"] for r in level} == {10}
    assert "aligned falls from 90% to 70%" in chart.alt


def test_an_interval_around_zero_is_not_sure():
    chart = draw()["forest"]
    assert [(r["name"], r["sure"]) for r in rows(chart, "sure")] == [("a", True), ("b", False)]
    assert "1 leave zero out" in chart.alt


def test_ways_stand_beside_each_other_in_their_order():
    chart = draw()["beside"]
    assert [(r["name"], r["way"], r["mean"]) for r in rows(chart, "high")] == [
        ("a", "raw", 2),
        ("b", "raw", 5),
        ("a", "lof", 1),
        ("b", "lof", 3),
    ]
    assert chart.alt == "2 rows of distance; a: raw 2.0, lof 1.0."
    marks = [layer["mark"] for layer in chart.spec.to_dict()["layer"] if layer["mark"]["type"] == "point"]
    assert [(mark["shape"], mark["filled"]) for mark in marks] == [("circle", False), ("circle", True)]


def test_distributions_are_equally_high_one_below_the_other():
    values = [r for table in tables(draw()["distributions"]) for r in table if "top" in r]
    for run, base in (("A", LIFT), ("B", 0)):
        tops = [r["top"] for r in values if r["run"] == run and r["kind"] == "positives"]
        assert max(tops) == pytest.approx(base + 1)
        assert {r["base"] for r in values if r["run"] == run} == {base}
    assert {r["kind"] for r in values if r["run"] == "A"} == {"positives", "negatives"}
    assert "A: positives average 1.00, negatives −0.50" in draw()["distributions"].alt
