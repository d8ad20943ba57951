"""The family map as a figure: every loss in the mark of its family, the chosen one named with its nearest."""

import numpy as np
import pytest

from dashboard.charts import theme
from dashboard.charts.family import LONGEST, brought_nearer, clicked, distances, family_chart

XY = np.array([[0, 0], [0.1, 0.1], [1, -1], [-1, 1], [0.5, 0.4], [0.1, 0.1]])
KEYS = ["a", "b", "c", "d", "e", "f"]
TITLES = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "A name that is much too long"]
FAMILIES = ["softmax", "hinge", "softmax", "hinge", "softmax", "hinge"]
WORDS = {"softmax": "softmax", "hinge": "hinge"}


def chart(**more):
    return family_chart(XY, KEYS, TITLES, FAMILIES, words=WORDS, **more)


def test_each_family_has_its_mark_its_colour_and_its_name():
    found = chart().spec.data
    assert [trace.name for trace in found] == ["softmax", "hinge"]
    assert [trace.marker.color for trace in found] == list(theme.CLASSES[:2])
    assert len({trace.marker.symbol for trace in found}) == 2
    assert np.stack([found[1].x, found[1].y], axis=1) == pytest.approx(XY[[1, 3, 5]])
    assert list(found[1].text) == ["Beta", "Delta", TITLES[5]]


def test_the_chosen_loss_is_ringed_and_named_in_bold_with_its_nearest():
    figure = chart(named=["a", "b", "f"], around=[[0.2, 0.3]], around_titles=["Margin m = 1"])
    notes = {note.text: note for note in figure.spec.layout.annotations}
    assert set(notes) == {"<b>Alpha</b>", "Beta", TITLES[5][: LONGEST - 1].rstrip() + "…"}
    assert {(note.x, note.y) for note in notes.values()} == {(0, 0), (0.1, 0.1)}
    heights = sorted(note.ay for note in notes.values())
    assert min(np.diff(heights)) > 0
    assert {note.ax > XY[:, 0].max() for note in notes.values()} == {True}
    line, other, ring = figure.spec.data[2:]
    assert list(zip(line.x, line.y, strict=True))[:2] == [(0, 0), (0.2, 0.3)]
    assert (list(other.text), list(ring.x), list(ring.y)) == (["Margin m = 1"], [0], [0])
    assert figure.alt == f"Map of 6 losses; Alpha at 0.00, 0.00, nearest Beta, {TITLES[5]}."


@pytest.mark.parametrize("chosen", KEYS)
def test_names_stay_inside_the_picture(chosen: str):
    layout = chart(named=[chosen, *(key for key in KEYS if key != chosen)]).spec.layout
    low, high = layout.yaxis.range
    assert all(low < note.ay < high for note in layout.annotations)


def test_a_click_is_the_loss_under_it_and_a_ring_is_none():
    figure = chart(named=["a"], around=[[0.2, 0.3]], around_titles=["Margin m = 1"])

    def click(curve: int, point: int) -> str:
        return clicked({"selection": {"points": [{"curve_number": curve, "point_index": point}]}}, figure)

    assert [click(0, 0), click(0, 2), click(1, 0), click(1, 2)] == ["a", "e", "b", "f"]
    assert [click(3, 0), click(4, 0)] == ["", ""]
    assert clicked({"selection": {"points": []}}, figure) == ""
    assert figure.columns["loss"] == ["a", "c", "e", "b", "d", "f"]


def kinds(figure) -> list[str]:
    return [layer["mark"]["type"] for layer in figure.spec.to_dict()["layer"]]


def test_distances_are_bars_with_their_numbers():
    bars = distances(["Beta", "Gamma"], [0.02, 0.5])
    assert bars.columns == {"loss": ["Beta", "Gamma"], "distance": [0.02, 0.5]}
    assert kinds(bars) == ["bar", "text"]
    assert bars.alt == "Distances of 2 losses, Beta at 0.02."


def test_a_change_is_a_ring_beside_the_dot_and_none_is_drawn_where_there_is_none():
    figure = brought_nearer(["Beta", "Gamma"], [0.02, 0.5], [None, 0.0])
    assert figure.columns["after"] == pytest.approx([float("nan"), 0], nan_ok=True)
    assert kinds(figure) == ["rule", "point", "point"]
    assert figure.alt == "Distances of 2 losses; a change brings 1 of them nearer."
    assert kinds(brought_nearer(["Beta"], [0.02], [None])) == ["point"]
