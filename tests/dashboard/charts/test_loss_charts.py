"""The charts of Losses: dots by group, a surface from above, a bar for each anchor."""

import json

import numpy as np
import pytest

from dashboard.charts import theme
from dashboard.charts.anchors import MOST as MOST_ANCHORS
from dashboard.charts.anchors import anchors
from dashboard.charts.microscope import MARKS, microscope, spread_over
from dashboard.charts.surface import LEVELS, surface


def drawn(chart) -> list[dict]:
    """The series after those that claim the colours."""
    return chart.spec["series"][len(theme.KINDS) :]


def test_every_group_has_a_series_of_its_own_whether_it_is_there_or_not():
    chart = microscope([0.1, 0.9, -0.2], [1, 2, 0], ["easy", "positive", "easy"], x_title="score", y_title="force")
    dots = dict(zip(MARKS, drawn(chart), strict=False))
    assert dots["easy"]["data"] == [[0.1, 1], [-0.2, 0]]
    assert dots["positive"]["data"] == [[0.9, 2]]
    assert dots["hard"]["data"] == []
    assert {mark.kind for mark in MARKS.values()} <= set(theme.KINDS)
    assert "2 easy, 1 positive" in chart.alt
    assert chart.columns == {"group": ["easy", "positive", "easy"], "score": [0.1, 0.9, -0.2], "force": [1, 2, 0]}


def test_an_even_choice_keeps_the_weakest_and_the_strongest():
    strength = np.random.default_rng(0).permutation(1000).astype(float)
    kept = spread_over(strength, 10)
    assert len(kept) == 10
    assert {strength[kept].min(), strength[kept].max()} == {0, 999}
    assert spread_over(strength[:5], 10).tolist() == [0, 1, 2, 3, 4]
    chart = microscope(strength, strength, ["hard"] * 1000, x_title="x", y_title="y", most=10)
    assert sum(len(series["data"]) for series in drawn(chart)[: len(MARKS)]) == 10
    assert len(chart.columns["x"]) == 1000


def test_each_place_of_the_surface_is_drawn_once_and_larger_is_darker():
    at = np.linspace(-1, 1, 5)
    value = np.arange(25.0).reshape(5, 5)
    chart = surface(at, value, positive_at=0.5, negative_at=-0.25, what="loss")
    cells = [series for series in drawn(chart) if series["type"] == "heatmap"]
    assert len(cells) == LEVELS
    found = {(x, y): (v, each["itemStyle"]["opacity"]) for each in cells for x, y, v in each["data"]}
    assert len(found) == 25
    assert [found[x, y][0] for y in range(5) for x in range(5)] == value.ravel().tolist()
    shades = [found[x, y][1] for y in range(5) for x in range(5)]
    assert shades == sorted(shades)
    hairs = {series["name"]: series["data"] for series in drawn(chart) if series["type"] == "line"}
    assert {x for x, _ in hairs["positives"]} == {0.5}
    assert {y for _, y in hairs["negatives"]} == {-0.25}
    assert chart.columns["loss"] == value.ravel().tolist()
    assert chart.columns["hardest negative"][:5] == [-1] * 5


def test_a_flat_surface_is_pale():
    chart = surface([-1, 0, 1], np.ones((3, 3)), positive_at=0, negative_at=0, what="push", kind="negatives")
    cells = [series for series in drawn(chart) if series["type"] == "heatmap"]
    assert [len(series["data"]) for series in cells] == [9] + [0] * (LEVELS - 1)


@pytest.mark.parametrize("n", [1, 24, 300])
def test_anchors_stand_in_order_and_many_are_thinned(n: int):
    g = np.random.default_rng(n)
    pull, push = g.random(n), g.random(n)
    chart = anchors(pull, push, up_name="pull", down_name="push")
    up, down = ([v for _, v in series["data"]] for series in drawn(chart)[:2])
    assert len(up) == len(down) == min(n, MOST_ANCHORS)
    whole = [a - b for a, b in zip(up, down, strict=True)]
    assert whole == sorted(whole, reverse=True)
    assert max(down) <= 0
    assert (chart.columns["pull"], chart.columns["push"]) == (pull.tolist(), push.tolist())


def test_one_sided_bars_have_their_level():
    chart = anchors([1.0, 3.0], up_name="effective negatives", level=7)
    bars, level, word = drawn(chart)[:3]
    assert (bars["name"], [v for _, v in bars["data"]]) == ("negatives", [3, 1])
    assert {y for _, y in level["data"]} == {7}
    assert word["data"][0]["name"] == "all 7"
    assert json.dumps(chart.spec)
