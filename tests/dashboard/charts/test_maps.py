import base64

import numpy as np
import pytest

from dashboard.charts import theme
from dashboard.charts.map import CELLS, MOST, caught, kept, landmarks, scatter_map, trio
from dashboard.charts.sphere import globe

XY = np.random.default_rng(0).normal(size=(500, 2))


def decoded(array: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["bdata"]), dtype=array["dtype"])


def traces(chart) -> tuple:
    return chart.spec.data


def test_points_travel_as_float32_and_are_where_they_are():
    chart = scatter_map(XY)
    dots, _ = chart.spec.to_plotly_json()["data"]
    assert dots["type"] == "scattergl"
    assert (dots["x"]["dtype"], dots["y"]["dtype"]) == ("f4", "f4")
    assert decoded(dots["x"]) == pytest.approx(XY[:, 0], abs=1e-5)
    assert len(traces(chart)[1].x) == 0
    assert chart.spec.layout.dragmode == "lasso"
    assert len(dots["x"]["bdata"] + dots["y"]["bdata"]) / len(XY) <= 16


def test_one_group_is_in_ink():
    group = XY[:, 0] > 1
    chart = scatter_map(XY, highlight=group, what="emoji")
    dots, ink = traces(chart)
    assert ink["x"] == pytest.approx(XY[group, 0], abs=1e-5)
    assert dots["marker"]["color"] == ink["marker"]["color"] == theme.ANCHOR
    assert dots["marker"]["opacity"] < ink["marker"]["opacity"]
    assert chart.alt == f"Map of 500 emoji, {group.sum()} of them in ink."


def test_at_most_twenty_thousand_are_drawn_and_the_words_say_so():
    chart = scatter_map(np.random.default_rng(0).normal(size=(30_001, 2)), highlight=np.arange(30_001) % 2 == 0)
    assert len(traces(chart)[0]["x"]) == MOST
    assert "20,000 of 30,001" in chart.alt
    assert (kept(30_001)[0], kept(30_001)[-1]) == (0, 30_000)
    assert len(set(kept(30_001))) == MOST


def test_landmarks_are_one_item_for_each_occupied_cell():
    chosen = landmarks(XY)
    low, high = XY.min(0), XY.max(0)
    cells: dict[tuple[int, int], list[int]] = {}
    place = (XY - low) / (high - low) * CELLS
    for i, (x, y) in enumerate(place):
        cells.setdefault((min(int(x), CELLS - 1), min(int(y), CELLS - 1)), []).append(i)
    nearest = [
        min(members, key=lambda i, c=cell: (place[i][0] - c[0] - 0.5) ** 2 + (place[i][1] - c[1] - 0.5) ** 2)
        for cell, members in cells.items()
    ]
    assert sorted(chosen) == sorted(nearest)
    urls = [f"{i}.png" for i in range(500)]
    assert {image.source for image in scatter_map(XY, urls=urls).spec.layout.images} == {urls[i] for i in nearest}
    assert landmarks(np.ones((4, 2))).tolist() == [0]


def test_the_loop_gives_back_rows_of_the_data():
    chart = scatter_map(np.random.default_rng(0).normal(size=(40_001, 2)), highlight=np.ones(40_001, dtype=bool))
    state = {
        "selection": {
            "points": [
                {"curve_number": 0, "point_index": 7},
                {"curve_number": 1, "point_index": 3},
                {"curve_number": 0, "point_index": 2},
            ]
        }
    }
    assert caught(state, chart) == [int(kept(40_001)[2]), int(kept(40_001)[7])]


def test_little_maps_share_one_figure_and_one_group():
    group = XY[:, 0] > 1
    chart = trio([("this 0.92", XY), ("other", XY[:, ::-1]), ("shuffled", -XY)], highlight=group)
    found = traces(chart)
    assert [t["xaxis"] for t in found] == ["x", "x", "x2", "x2", "x3", "x3"]
    assert [len(t["x"]) for t in found] == [500, group.sum()] * 3
    assert [a.text for a in chart.spec.layout.annotations] == ["this 0.92", "other", "shuffled"]
    assert {a.font.color for a in chart.spec.layout.annotations} == {theme.ANCHOR}
    assert len(chart.columns["map"]) == 1500


def test_names_are_read_on_hover_where_they_are_few():
    assert traces(scatter_map(XY, names=["n"] * 500))[0]["text"][0] == "n"
    many = np.random.default_rng(0).normal(size=(4000, 2))
    assert traces(scatter_map(many, names=["n"] * 4000))[0].text is None


def test_the_globe_holds_its_points_in_class_colours():
    a = np.eye(3)
    chart = globe(a, a[::-1], classes=[0, 1, 7])
    *_, first, second = traces(chart)
    assert (first["type"], second["marker"]["symbol"]) == ("scatter3d", "circle-open")
    assert tuple(first["marker"]["color"]) == (theme.CLASSES[0], theme.CLASSES[1], theme.CLASSES[1])
    assert np.stack([first["x"], first["y"], first["z"]], 1) == pytest.approx(a)
    assert "1 of 3" in chart.alt
