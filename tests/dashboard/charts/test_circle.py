import numpy as np
import pytest

from dashboard.charts.circle import MIXED_AT, OUTER_AT, PICTURE_AT, angles, circle, rings
from dashboard.charts.sphere import seen, sphere
from tests.dashboard.charts.figures import drawn

A = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
B = np.array([[0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])


def test_angles_turn_anticlockwise_from_the_right():
    assert angles([[1, 0], [0, 2], [-3, 0], [0, -1]]) == pytest.approx([0, 90, 180, 270])


def test_pictures_names_and_mixtures_stand_where_they_are():
    chart = circle(A, B, urls=["a.png", "b.png", "c.png"], mixed=[[0.0, -1.0]], names=["x", "y", "z"])
    (pictures,) = drawn(chart, "scatter", "anchor")
    (names,) = drawn(chart, "scatter", "positives")
    (mixed,) = drawn(chart, "scatter", "mixed")
    assert [p["symbol"] for p in pictures["data"]] == ["image://a.png", "image://b.png", "image://c.png"]
    assert [p["value"] for p in pictures["data"]] == [[PICTURE_AT, 0.0], [PICTURE_AT, 90.0], [PICTURE_AT, 180.0]]
    assert [n["value"] for n in names["data"]] == [[1.0, 90.0], [1.0, pytest.approx(53.1301)], [1.0, 180.0]]
    assert [n["name"] for n in names["data"]] == ["x", "y", "z"]
    assert mixed["data"] == [[MIXED_AT, 270.0]]
    assert mixed["symbol"] == "diamond"


def test_a_line_joins_each_pair_and_no_others():
    (line,) = drawn(circle(A, B), "line", "positives")
    assert line["data"][:3] == [[1.0, 90.0], [PICTURE_AT, 0.0], [None, None]]
    assert len(line["data"]) == 3 * len(A)


def test_the_words_count_who_is_at_home():
    nearest = [max(range(3), key=lambda j, i=i: float(A[i] @ B[j])) for i in range(3)]
    home = sum(i == j for i, j in enumerate(nearest))
    assert f"{home} of 3" in circle(A, B).alt
    assert home == 1


def test_crowded_pictures_step_back_for_those_before_them():
    degrees = np.array([0.0, 4.0, 100.0, 358.0, 12.0])
    assert rings(degrees).tolist() == [PICTURE_AT, OUTER_AT, PICTURE_AT, OUTER_AT, PICTURE_AT]
    moved = np.array([0.0, 4.0, 140.0, 358.0, 12.0])
    assert rings(moved).tolist() == rings(degrees).tolist()


def test_classes_take_the_class_colours_and_then_squares():
    chart = circle(A, B, classes=[0, 1, 6])
    filled, hollow = drawn(chart, "scatter", "class 0")
    assert [d["symbol"] for d in filled["data"]] == ["circle", "rect"]
    assert all(d["symbol"].startswith("path://") for d in hollow["data"])
    assert len(drawn(chart, "scatter", "class 1")) == 2
    assert drawn(chart, "scatter", "positives") == []


def test_an_empty_circle_is_drawn():
    assert circle(np.empty((0, 2)), np.empty((0, 2))).alt.startswith("0 pairs")


def test_the_sphere_is_seen_from_the_front():
    assert seen([[1, 0, 0], [0, 0, 1], [0, -1, 0]], 0, 0) == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    assert seen([[1, 0, 0]], 90, 0)[0] == pytest.approx([0, 0, -1])
    assert seen([[0, 0, 1]], 0, 90)[0] == pytest.approx([0, 0, 1])
    turned = seen(np.random.default_rng(0).normal(size=(9, 3)), 33, 21)
    assert np.linalg.norm(turned, axis=1) == pytest.approx(
        np.linalg.norm(np.random.default_rng(0).normal(size=(9, 3)), axis=1)
    )


def test_what_lies_behind_the_sphere_is_faint():
    a = np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    (dots,) = drawn(sphere(a, a, turn=0, tilt=0), "scatter", "anchor")
    front, back = (item["itemStyle"]["opacity"] for item in dots["data"])
    assert front == 1
    assert back < 0.5
