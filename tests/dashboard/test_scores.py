"""Scores: the hills and bands are those of the recorded embeddings, for one run and for several."""

import numpy as np
import pytest

from core.data.loading import load
from dashboard.words import number, share
from tests.dashboard.apps import SMALL, opened, recipe_of, seen, well
from tests.dashboard.planted import plant, unit


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    return tmp_path


def scores(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    items = load(recipe_of(SMALL).data).split.train.numpy()
    every = a[items] @ b[items].T
    same = np.eye(len(every), dtype=bool)
    return every[same], every[~same]


def test_without_a_run_the_page_teaches():
    page = opened("scores", {})
    well(page)
    assert "there is none yet" in " ".join(seen(page).texts)


def test_the_bands_are_the_quantiles_of_the_recorded_scores():
    a = unit(120, 4)
    b = a + 0.3 * unit(120, 4, 1)
    b = (b / np.linalg.norm(b, axis=1, keepdims=True)).astype(np.float32)
    run = plant({"left": a, "right": b}, loss__kind="info_nce")
    page = seen(well(opened("scores", SMALL | {"run": run.path.name})))
    positive, negative = scores(a, b)
    sentence = page.panels["c_bands"].sentence
    assert f"above {number(np.quantile(positive, 0.05))}" in sentence
    assert f"below {number(np.quantile(negative, 0.95))}" in sentence
    edges = np.linspace(-1, 1, 62)
    counts = [np.histogram(each, edges)[0] / len(each) for each in (positive, negative)]
    assert f"{share(np.minimum(*counts).sum())} in common" in page.panels["c_hills"].sentence


def test_two_runs_lie_beside_each_other():
    first = plant({"left": unit(120, 4), "right": unit(120, 4)}, seed="1")
    second = plant({"left": unit(120, 4), "right": unit(120, 4, 3)}, seed="2")
    link = SMALL | {"run": first.path.name, "scores.beside": second.path.name}
    page = seen(well(opened("scores", link)))
    sentence = page.panels["c_hills"].sentence
    assert "seed 1" in sentence
    assert "seed 2" in sentence
    assert len(page.panels["c_hills"].numbers) > len(
        seen(well(opened("scores", SMALL | {"run": first.path.name}))).panels["c_hills"].numbers
    )
