"""Forces, leads and margins: the numbers in the figure are the numbers that came in."""

import numpy as np
import pytest

from dashboard.charts import theme
from dashboard.charts.gradient import pull_push, strength
from dashboard.charts.heat import LARGEST, STRENGTH_UNDER_TEXT, heat
from dashboard.charts.leads import Bullet, applied, bullets, histogram, lead_over_lambda, ramp
from dashboard.charts.margins import ARROW_AT, Spot, Zone, scene
from dashboard.charts.xy import Curve, lines
from tests.dashboard.charts.figures import drawn, said

FORCES = np.array([[2.0, -1.0, 0.0], [-0.05, 0.5, -0.5], [0.0, 0.0, 0.0]])


def test_each_cell_of_the_microscope_has_its_colour_and_strength():
    chart = heat(FORCES)
    bars = [s for s in chart.spec["series"] if s["type"] == "bar"]
    pulls, pushes = bars[0::2], bars[1::2]
    for i in range(3):
        for j in range(3):
            pull, push = pulls[j]["data"][i], pushes[j]["data"][i]
            cell, other = (pull, push) if FORCES[i, j] > 0 else (push, pull)
            assert other == 0
            assert cell["itemStyle"]["opacity"] == pytest.approx(abs(FORCES[i, j]) / 2 * STRENGTH_UNDER_TEXT, abs=1e-3)
    assert {s["name"] for s in pulls} == {"positives"}
    assert {s["name"] for s in pushes} == {"negatives"}


def test_numbers_stand_in_cells_above_four_per_cent_of_the_largest():
    words = said(heat(FORCES))
    assert {"+2.00", "−1.00", "+0.50", "−0.50"} <= set(words)
    assert "−0.05" not in words
    assert not any(word[0] in "+−" for word in said(heat(np.random.default_rng(0).normal(size=(11, 11)))))


def test_a_large_microscope_is_cut_and_a_dead_one_is_blank():
    chart = heat(np.ones((40, 30)))
    assert len(chart.columns["force"]) == LARGEST**2
    dead = [cell for s in heat(np.zeros((2, 2))).spec["series"] if s["type"] == "bar" for cell in s["data"] if cell]
    assert [cell["itemStyle"]["opacity"] for cell in dead] == [0] * 4


def test_pull_and_push_are_marked_at_the_slider():
    x = np.linspace(-1, 1, 201)
    chart = pull_push(x, 3 * x, 2 * x, at=0.25, positive_at=0.6)
    assert [s["data"] for s in drawn(chart, "scatter", "positives")] == [[[0.25, pytest.approx(0.75)]]]
    assert [s["data"] for s in drawn(chart, "scatter", "negatives")] == [[[0.25, pytest.approx(0.5)]]]
    pushed = drawn(chart, "line", "negatives")[0]
    assert pushed["lineStyle"]["type"] == theme.DASH
    assert [y for _, y in pushed["data"]] == pytest.approx(2 * x, abs=1e-4)
    assert "pull is 0.75 and the push 0.50" in chart.alt


def test_clean_and_mixed_gradients_keep_their_kinds():
    x = np.linspace(0, 1, 5)
    chart = strength(x, x, 1 - x)
    assert [y for _, y in drawn(chart, "line", "anchor")[0]["data"]] == pytest.approx(x)
    assert [y for _, y in drawn(chart, "line", "mixed")[0]["data"]] == pytest.approx(1 - x)
    assert chart.columns["curve"] == ["clean"] * 5 + ["mixed"] * 5


def test_words_at_line_ends_do_not_meet():
    x = np.arange(3)
    chart = lines([Curve("a", x, x, label="a"), Curve("b", x, x, label="b")], x_title="x", y_title="y")
    heights = [
        item["value"][1]
        for s in chart.spec["series"]
        for item in s["data"]
        if isinstance(item, dict) and item["name"] in "ab"
    ]
    low, high = chart.spec["yAxis"]["min"], chart.spec["yAxis"]["max"]
    assert abs(heights[0] - heights[1]) >= 0.07 * (high - low)
    assert max(heights) <= high


def test_bullets_say_how_much_is_missing():
    chart = bullets([Bullet("clean pair", 0.93, 0.3), Bullet("mixed pair", 0.09, 0.16, "mixed")])
    (clean,), (mixed,) = drawn(chart, "line", "anchor"), drawn(chart, "line", "mixed")
    assert (clean["data"][1][0], mixed["data"][1][0]) == (0.93, 0.09)
    assert [x for x, _ in drawn(chart, "scatter", "negatives")[0]["data"]] == [0.3, 0.16]
    assert {"silent: 0.63 to spare", "asks 0.07 more"} <= set(said(chart))
    below = bullets([Bullet("x", -0.7, 0.3)])
    assert below.spec["xAxis"]["min"] <= -0.7


def test_the_region_of_pull_is_where_the_lead_is_too_small():
    lam = np.linspace(0.5, 1, 51)
    lead, asked = 3 * (lam - 0.5), 0.3 * lam
    chart = lead_over_lambda(lam, lead, asked, at=0.54)
    (region,) = [s for s in drawn(chart, "line", "mixed") if "areaStyle" in s]
    shaded = [x for x, y in region["data"] if y is not None]
    border = 1.5 / 2.7
    assert shaded[0] == 0.5
    assert border <= shaded[-1] <= border + 0.011
    (now,) = drawn(chart, "scatter", "mixed")
    assert now["data"] == [[0.54, pytest.approx(0.12)]]
    assert drawn(lead_over_lambda(lam, lead + 9, asked, at=0.6), "line", "mixed")[1]["data"][0][1] is None


def test_draws_and_applied_margins_are_drawn_as_they_are():
    chart = histogram(np.linspace(0.5, 1, 6), [3, 1, 4, 1, 5])
    assert drawn(chart, "bar", "mixed")[0]["data"] == [3, 1, 4, 1, 5]
    assert chart.alt.startswith("14 draws of λ")
    margins = applied(np.arange(4), [0.2, 0.1, 0.3, 0.25], 0.3)
    assert drawn(margins, "scatter", "mixed")[0]["data"] == [[0, 0.2], [1, 0.1], [2, 0.3], [3, 0.25]]
    assert "mean 0.21" in margins.alt
    assert [y for _, y in drawn(ramp([0, 1, 2], [0, 0.5, 0.7], at=1), "scatter", "anchor")[0]["data"]] == [0.5]


def draw_scene(**moves: float):
    return scene(
        anchor=Spot(130, "anchor", "a.png"),
        partner=Spot(50, "partner", "b.png"),
        mixed=Spot(92, "mixed", "m.png"),
        own=Spot(142, "“turtle”"),
        other=Spot(38, "“strawberry”"),
        asked_mixed=Zone(92, 58),
        asked_clean=Zone(130, 50),
        moves=moves,
    )


def test_the_scene_stands_where_its_angles_say():
    chart = draw_scene()
    assert drawn(chart, "scatter", "positives")[0]["data"][0]["value"] == [1, 142]
    assert drawn(chart, "scatter", "negatives")[0]["data"][0]["value"] == [1, 38]
    pictures = [
        s["data"][0] for s in drawn(chart, "scatter", "anchor") if s["data"][0]["symbol"].startswith("image://")
    ]
    assert [(p["symbol"], p["value"][1]) for p in pictures] == [("image://a.png", 130), ("image://b.png", 50)]
    band = next(s for s in drawn(chart, "line", "mixed") if s["lineStyle"]["width"] == 20)
    assert (band["data"][0][1], band["data"][-1][1]) == (34, 150)


def test_arrows_end_where_the_step_ends_and_point_along_it():
    chart = draw_scene(own=-12, anchor=30, other=0.1)
    (own,) = [s["data"][0] for s in drawn(chart, "scatter", "positives") if s["data"][0].get("symbol") == "triangle"]
    assert own["value"] == [1, 130]
    assert own["symbolRotate"] == 130 - 180
    (anchor,) = [s["data"][0] for s in drawn(chart, "scatter", "anchor") if s["data"][0].get("symbol") == "triangle"]
    assert anchor["value"] == [ARROW_AT, 160]
    assert anchor["symbolRotate"] == 160
    assert [s["data"][0].get("symbol") for s in drawn(chart, "scatter", "negatives")] == [theme.FRAME]
    assert "2 of 4 points move" in chart.alt
