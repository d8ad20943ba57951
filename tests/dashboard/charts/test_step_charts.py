"""Charts of one run: the numbers in the figure are the numbers that came in."""

import numpy as np
import pytest

from dashboard.charts import theme
from dashboard.charts.bands import bands
from dashboard.charts.curve import curve
from dashboard.charts.hills import LIFT, PAD, ROWS, hills, softened
from dashboard.charts.push import push, rank_labels
from dashboard.charts.strip import strip
from tests.dashboard.charts.figures import drawn, said

GRID = np.linspace(-1, 1, 41)


def counts(at: int, rows: int = 1) -> np.ndarray:
    found = np.zeros((rows, len(GRID)))
    found[:, at] = 12
    return found


def test_softening_keeps_the_count_and_the_middle():
    soft = softened(counts(20))[0]
    assert soft.sum() == pytest.approx(12)
    assert soft[20 + PAD] == pytest.approx(12 * (1 / 16 + 4 / 16 + 1 / 16))
    assert soft.argmax() == 20 + PAD
    assert len(soft) == len(GRID) + 2 * PAD


def test_hills_are_equally_high_and_end_at_their_base():
    chart = hills(GRID, [0, 10, 20], counts(40, 3), counts(5, 3) * 50)
    for kind in ("positives", "negatives"):
        lines = drawn(chart, "line", kind)
        assert len(lines) == ROWS
        for row, line in enumerate(lines):
            base = (ROWS - 1 - row) * LIFT
            assert max(line["data"]) == pytest.approx(base + 1, abs=1e-3)
            assert line["data"][0] == line["data"][-1] == pytest.approx(base, abs=1e-3)
            assert line["areaStyle"]["origin"] == base
    now = drawn(chart, "line", "positives")[-1]["data"]
    assert now.index(max(now)) == 40 + PAD
    assert drawn(chart, "line", "mixed") == []


def test_only_the_present_is_thick_and_negatives_are_dashed():
    lines = drawn(hills(GRID, [0, 10], counts(40, 2), counts(5, 2)), "line", "negatives")
    assert [line["lineStyle"]["width"] for line in lines] == [1, 1, 1, 1, 2.2]
    assert lines[-1]["lineStyle"]["type"] == theme.DASH


def test_rows_are_named_by_their_step_and_the_last_is_now():
    assert [w for w in said(hills(GRID, [0, 10], counts(1, 2), counts(2, 2))) if w in ("0", "10", "now")].count(
        "now"
    ) == 1
    words = said(hills(GRID, [0, 5, 70, 80, 90, 99], counts(1, 6), counts(2, 6), x_title="cosine"))
    assert [word for word in words if word in ("5", "70", "80", "90", "now", "99")] == ["5", "70", "80", "90", "now"]
    assert "cosine" in words


def test_the_words_of_the_hills_give_the_averages():
    alt = hills(GRID, [3], counts(40), counts(10)).alt
    assert "step 3" in alt
    assert "positives average 1.00, negatives −0.50" in alt


def test_push_draws_its_shares_and_the_equal_ones():
    shares, equal = (0.07, 0.27, 0.55, 0.109, 0.001), (0.01, 0.04, 0.15, 0.3, 0.5)
    labels = rank_labels((0.01, 0.05, 0.2, 0.5, 1))
    assert labels == ["hardest\n1%", "1–5%", "5–20%", "20–50%", "easiest\n50%"]
    chart = push(labels, equal, shares)
    (bars,), (ticks,) = drawn(chart, "bar", "negatives"), drawn(chart, "scatter", "anchor")
    assert [value for _, value in bars["data"]] == pytest.approx(shares)
    assert [value for _, value in ticks["data"]] == pytest.approx(equal)
    assert sum(chart.columns["share of push"]) == pytest.approx(1)
    assert {"7%", "27%", "55%", "11%", "<1%"} <= set(said(chart))


def test_the_curve_splits_past_and_future_at_the_cursor():
    steps, values = np.arange(0, 50, 10), np.array([4.0, 3.0, np.nan, 2.5, 2.0])
    chart = curve({"clean": (steps, values)}, at=35, chance=3.87, floor=1.5, floor_name="even")
    whole, past, *levels = drawn(chart, "line", "anchor")
    assert whole["data"] == [[0, 4.0], [10, 3.0], [20, None], [30, 2.5], [40, 2.0]]
    assert past["data"] == [[0, 4.0], [10, 3.0], [20, None], [30, 2.5], [40, None]]
    assert whole["lineStyle"]["opacity"] < 1
    assert [line["data"][0][1] for line in levels] == [3.87, 1.5]
    assert {line["lineStyle"]["type"] for line in levels} == {"dotted"}
    (dot,) = drawn(chart, "scatter", "anchor")
    assert dot["data"] == [[30.0, 2.5]]
    assert {"chance 3.87", "even 1.50"} <= set(said(chart))
    assert "clean 2.50" in chart.alt


def test_the_name_of_a_level_keeps_out_of_the_way_of_the_curve():
    steps = np.arange(11)

    def place(values) -> dict[str, float]:
        chart = curve({"loss": (steps, values)}, at=10, floor=0.05, chance=1)
        labels = [each for s in chart.spec["series"] for each in s["data"] if isinstance(each, dict)]
        return {each["name"]: each["value"][0] for each in labels if each["name"][0].isalpha()}

    assert place(np.linspace(1, 0.5, 11)) == {"chance 1.00": 10, "floor 0.05": 10, "step": 5}
    assert place(np.array([1] * 5 + [0.08] * 6))["floor 0.05"] == 0
    assert place(np.full(11, 0.08))["floor 0.05"] == 10


def test_two_lanes_differ_by_dash_not_by_hue():
    steps = np.arange(5)
    chart = curve({"a": (steps, steps + 1.0), "b": (steps, steps + 2.0)}, at=2, until=100)
    assert {s["name"] for s in chart.spec["series"][4:]} == {"anchor"}
    assert [line["lineStyle"]["type"] for line in drawn(chart, "line", "anchor")] == ["solid", "solid"] + [
        theme.DASH
    ] * 2
    assert [dot["data"] for dot in drawn(chart, "scatter", "anchor")] == [[[2.0, 3.0]], [[2.0, 4.0]]]
    assert chart.spec["xAxis"]["max"] == 100
    assert chart.columns["run"] == ["a"] * 5 + ["b"] * 5


def test_a_curve_without_numbers_is_drawn():
    assert drawn(curve({"a": ([], [])}, at=0), "scatter", "anchor") == []
    assert drawn(curve({"a": ([0], [np.nan])}, at=0), "scatter", "anchor") == []


def test_the_strip_shows_what_was_applied():
    steps, applied = np.arange(0, 60, 10), np.array([0.2, 0.25, 0.3, 0.15, 0.22, 0.28])
    chart = strip(steps, applied, 0.3, at=31)
    past, future = drawn(chart, "bar", "mixed")
    assert past["data"] == [[0, 0.2], [10, 0.25], [20, 0.3], [30, 0.15], [40, None], [50, None]]
    assert [y for _, y in future["data"]] == [None, None, None, None, 0.22, 0.28]
    (line,), (now,) = drawn(chart, "line", "anchor"), drawn(chart, "scatter", "mixed")
    assert [y for _, y in line["data"]] == [0.3, 0.3]
    assert now["data"] == [[30.0, 0.15]]
    assert {"m 0.30", "now 0.15"} <= set(said(chart))


def test_a_margin_that_decays_in_place_draws_a_falling_strip():
    steps, margin, applied = np.arange(600), 0.3, []
    for _ in steps:
        margin *= 0.99
        applied.append(margin)
    heights = [y for _, y in drawn(strip(steps, applied, 0.3, at=599), "bar", "mixed")[0]["data"]]
    assert len(heights) <= 200
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] < 0.01


def test_bands_enclose_their_median():
    q = np.sort(np.random.default_rng(0).normal(size=(7, 5)), axis=1)
    chart = bands(np.arange(7), {"positives": q}, at=3)
    outer_low, outer, inner_low, inner, median = drawn(chart, "line", "positives")
    as_y = lambda series: np.array([y for _, y in series["data"]])  # noqa: E731
    assert as_y(outer_low) == pytest.approx(q[:, 0], abs=1e-4)
    assert as_y(outer_low) + as_y(outer) == pytest.approx(q[:, 4], abs=1e-3)
    assert as_y(inner_low) + as_y(inner) == pytest.approx(q[:, 3], abs=1e-3)
    assert as_y(median) == pytest.approx(q[:, 2], abs=1e-4)
    assert f"positives {q[3, 2]:.2f}".replace("-", "−") in chart.alt
