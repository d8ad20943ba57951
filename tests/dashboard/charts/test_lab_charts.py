"""The charts of the gradient lab and of the lens: cells, thresholds, powers of ten, regions."""

import numpy as np
import pytest

from dashboard.charts.gaps import Counter, Dots, Edge, closed_form, counters, gaps
from dashboard.charts.grid import LEVELS, Cells, grid
from dashboard.charts.lens import FLOOR, course
from dashboard.charts.phases import FILL, phases, strong_weak
from tests.dashboard.charts.figures import drawn, said


def cells_of(chart, kind: str) -> dict[tuple[int, int], float]:
    """(row, column) -> opacity of the cells of a kind."""
    found = {}
    for series in drawn(chart, "heatmap", kind):
        for column, row, _ in series["data"]:
            assert (row, column) not in found
            found[row, column] = series["itemStyle"]["opacity"]
    return found


def test_every_marked_cell_is_drawn_once_and_the_fainter_the_weaker():
    table = np.array([[0.0, 1.0, 0.5], [0.03, 0.2, 0.9], [0.4, 0.0, 0.0]])
    chart = grid(
        [Cells.of("negatives", table, ~np.eye(3, dtype=bool)), Cells.of("mixed", table, np.eye(3, dtype=bool))],
        3, 3, row_title="picture", column_title="name", alt="", darkest=0.5,
    )  # fmt: skip
    assert cells_of(chart, "negatives") == {(0, 1): 0.5, (0, 2): 0.3, (1, 2): 0.5, (2, 0): 0.2}
    assert cells_of(chart, "mixed") == {(1, 1): 0.1}
    assert {"picture", "name"} <= set(said(chart))
    assert chart.columns["strength"] == [1, 0.5, 0.9, 0.4, 0.2]
    assert chart.columns["kind"] == ["negatives"] * 4 + ["mixed"]


def test_an_empty_grid_keeps_its_series_so_that_it_glides():
    def series(table) -> list[tuple[str, str]]:
        chart = grid([Cells.of("mixed", table, np.ones((4, 4), bool))], 4, 4, row_title="a", column_title="b", alt="")
        return [(each["type"], each["name"]) for each in chart.spec["series"]]

    assert series(np.zeros((4, 4))) == series(np.ones((4, 4)))
    assert series(np.zeros((4, 4))).count(("heatmap", "mixed")) == LEVELS


def test_the_first_row_is_at_the_top():
    chart = grid([], 2, 3, row_title="a", column_title="b", alt="", texts=[(2.0, 0.0, "here")])
    assert [axis["inverse"] for axis in chart.spec["yAxis"]] == [True, True]
    assert chart.spec["xAxis"][0]["data"] == [0, 1, 2]
    (text,) = [s for s in chart.spec["series"] if any(item.get("name") == "here" for item in s["data"])]
    assert text["data"][0]["value"] == [2.5, 0.5]


def test_counters_say_both_numbers_even_where_they_are_small():
    chart = counters([Counter("all", 0.0, 0.0023), Counter("partner", 0.5, 0.13), Counter("silent", 1.0, 0.8)])
    assert {"0% → 0.23%", "50% → 13%", "100% → 80%"} <= set(said(chart))
    rings, diamonds = drawn(chart, "scatter", "anchor")[0], drawn(chart, "scatter", "mixed")[0]
    assert [x for x, _ in rings["data"]] == [0, 0.5, 1]
    assert [x for x, _ in diamonds["data"]] == [0.0023, 0.13, 0.8]
    assert [y for _, y in rings["data"]] == [y for _, y in diamonds["data"]]
    assert chart.columns["mixed"] == [0.0023, 0.13, 0.8]


def test_thresholds_stand_where_they_are_and_one_beyond_the_bars_is_said():
    lines = [Edge(0.2, "m"), Edge(0.1, "third", "negatives", dashed=True), Edge(np.inf, "partner", "mixed")]
    chart = gaps(np.linspace(0, 1, 5), [1, 4, 2, 0], lines)
    assert drawn(chart, "bar", "negatives")[0]["data"] == [1, 4, 2, 0]
    assert [s["data"][0][0] for s in drawn(chart, "line", "anchor")] == [0.2]
    assert [s["data"][0][0] for s in drawn(chart, "line", "negatives")] == [0.1]
    assert drawn(chart, "line", "mixed") == []
    assert {"m", "third", "partner →"} <= set(said(chart))
    assert "partner at ∞" in chart.alt


def test_no_threshold_line_crosses_the_word_of_another():
    lines = [Edge(0.2, "m"), Edge(0.1, "third", "negatives"), Edge(0.4, "partner", "mixed")]
    chart = gaps(np.linspace(0, 1, 5), [1, 4, 2, 0], lines)
    tops = {
        s["data"][0][0]: s["data"][1][1]
        for kind in ("anchor", "negatives", "mixed")
        for s in drawn(chart, "line", kind)
    }
    assert tops[0.1] > tops[0.2] > tops[0.4]


def test_a_closed_form_is_drawn_in_powers_of_ten_with_the_errors_of_its_dots():
    gap = np.linspace(0, 1, 11)
    dots = Dots([0.5, 1.0], [0.1, 0.001], [0.01, 0.001])
    chart = closed_form(gap, 10.0 ** (-4 * gap), np.full(11, 0.1), dots, title="left", log=True, at=0.5)
    clean = [line["data"] for line in drawn(chart, "line", "anchor") if len(line["data"]) == 11]
    assert [y for _, y in clean[0]] == pytest.approx(-4 * gap)
    diamonds = drawn(chart, "scatter", "mixed")[0]["data"]
    assert diamonds == [[0.5, -1], [1, -3]]
    bars = [line["data"] for line in drawn(chart, "line", "mixed") if len(line["data"]) == 2]
    assert bars[0] == [[0.5, pytest.approx(np.log10(0.08), abs=1e-4)], [0.5, pytest.approx(np.log10(0.12), abs=1e-4)]]
    assert bars[1][0] == [1, -4]
    assert {"1", "10⁻¹", "10⁻⁴"} <= set(said(chart))
    assert chart.columns["curve"].count("counted") == 2
    assert chart.columns["left"][-2:] == [0.1, 0.001]


def test_a_closed_form_that_ends_at_zero_keeps_its_word():
    gap = np.linspace(0, 1, 3)
    chart = closed_form(gap, np.array([1.0, 0, 0]), np.array([1.0, 0.5, 0.2]), Dots([], [], []), title="p", log=True)
    assert {"clean", "mixed"} <= set(said(chart))
    flat = closed_form(gap, np.array([1.0, 0, 0]), np.ones(3), Dots([], [], []), title="p", log=False)
    assert (flat.spec["yAxis"]["min"], flat.spec["yAxis"]["max"]) == (0, 1)


def test_the_lens_marks_where_the_margin_leaves_the_floats():
    margin = 1.5 * 0.25 ** np.arange(1.0, 801)
    below, zero = int((margin >= 1e-9).sum()) + 1, int((margin > 0).sum()) + 1
    chart = course(margin, full=1.5, epoch=256, below=below, level=1e-9, zero=zero, x_title="call")
    assert {f"below 1e−9 at {below}", f"exactly 0 at {zero}", "end of epoch 0", "1e−300"} <= set(said(chart))
    (line,) = (s for s in drawn(chart, "line", "mixed") if len(s["data"]) > 2)
    powers = [y for _, y in line["data"] if y is not None]
    assert powers[0] == pytest.approx(np.log10(margin[0]), abs=1e-4)
    assert FLOOR < min(powers) < -320
    assert {x for x, y in line["data"] if y is None} <= set(range(zero, 801))
    assert chart.columns["applied margin"] == margin.tolist()
    assert f"exactly 0 from call {zero}" in chart.alt


def test_a_margin_that_stays_is_a_level_line_without_marks():
    chart = course(np.full(100, 0.3), full=0.4, epoch=256, below=None, level=1e-9, zero=None, x_title="call")
    assert not any("at" in word or "epoch" in word for word in said(chart))
    assert "never 0" in chart.alt
    held = course(0.5 ** np.arange(60.0), full=1, epoch=60, below=30, level=1e-9, zero=None, x_title="step")
    assert (held.spec["yAxis"]["min"], "1e−15" in said(held), "1e−300" in said(held)) == (-20, True, False)
    dead = course(np.zeros(5), full=0.0, epoch=256, below=1, level=1e-9, zero=1, x_title="call")
    assert "exactly 0 at 1" in said(dead)


def test_regions_arrows_and_the_present_pair_are_in_the_plane():
    letters = np.array([["b", "i"], ["p", "n"]])
    chart = phases([0, 0.5, 1], letters, [(0.2, 0.2, 0.1, 0.1), (0.8, 0.8, 0, 0)], (0.6, 0.7))
    areas = [s for s in chart.spec["series"] if "areaStyle" in s]
    assert [s["name"] for s in areas] == [kind for kind, opacity in FILL.values() if opacity]
    both = areas[0]["data"]
    assert [y for _, y in both] == [0.5, None]
    assert drawn(chart, "scatter", "mixed")[0]["data"] == [[0.6, 0.7]]
    heads = drawn(chart, "scatter", "anchor")[0]["data"]
    assert [(head["value"], head["symbolRotate"]) for head in heads] == [([0.3, 0.3], -45)]
    assert {"both asked", "only the pair asked", "only its partner asked", "nobody asked"} <= set(said(chart))
    assert "both asked 25%" in chart.alt


def test_a_region_that_is_not_there_has_no_word():
    chart = phases([0, 0.5, 1], np.full((2, 2), "b"), [], None)
    assert "both asked" in said(chart)
    assert not {"nobody asked", "only the pair asked"} & set(said(chart))
    assert drawn(chart, "scatter", "mixed") == []


def test_strong_and_weak_stand_beside_the_clean_level():
    lam = np.array([0.5, 0.75, 1.0])
    chart = strong_weak(lam, [-0.06, -0.03, -0.02], [0.4, 0.3, 0.4], (-0.02, 0.43), 0.75)
    dotted = [s["data"][0][1] for s in drawn(chart, "line", "anchor") if s["lineStyle"].get("type") == "dotted"]
    assert dotted == [-0.02, 0.43]
    assert chart.columns["curve"][-2:] == ["strong pairs, clean", "weak pairs, clean"]
    assert "Clean: strong −0.020, weak 0.430" in chart.alt
