"""Data of bags on the pages: videos of clips, trained with COOT and shown by every page that shows a run."""

import numpy as np
import pytest

from core.data.loading import load
from core.runs import launch
from dashboard.words import share
from tests.dashboard.apps import SMALL, Seen, numbers_in, opened, recipe_of, seen, train

BAGS = SMALL | {"data.kind": "clips", "data.videos": "60", "encoder.bag.width": "16", "encoder.dim": "4"}
MIXED = BAGS | {"loss.kind": "coot", "mixing.kind": "dmm", "mixing.weight": "constant"}
CHARTS = {
    "play": ["c_points", "c_margin", "c_hills", "c_push", "c_learning"],
    "scores": ["c_bands", "c_hills"],
    "gradients": ["c_curves", "c_microscope", "c_rank", "c_hardness", "c_strength"],
    "map": ["c_map", "c_noise"],
    "missing": ["c_subsets", "c_rates", "c_across", "c_fills", "c_damage"],
    "inspect": ["c_spectrum"],
}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def workers(monkeypatch) -> None:
    """Nothing is started in a process of its own."""
    monkeypatch.setattr(launch, "detach", lambda words, log: None)


def sound(page: Seen) -> bool:
    return all(panel.numbers and panel.sentence for panel in page.panels.values()) and not any(
        "nan" in text.lower() for text in page.texts
    )


@pytest.mark.parametrize("page", CHARTS)
def test_every_page_shows_a_run_of_coot_with_mixed_clips(page: str):
    run = train(MIXED)
    found = seen(opened(page, MIXED | {"run": run.path.name}))
    assert list(found.panels) == CHARTS[page]
    assert sound(found)


@pytest.mark.parametrize("loss", ["coot", "ranking", "clip"])
def test_before_training_and_after_it_play_counts_the_videos_that_found_their_paragraph(loss: str):
    link = BAGS | {"loss.kind": loss}
    assert list(seen(opened("play", link)).panels) == CHARTS["play"][:1] + CHARTS["play"][2:4]
    run = train(link)
    found = seen(opened("play", link))
    arrays = run.snapshot(run.snapshots()[-1])
    scores = arrays["z.clips"] @ arrays["z.sentences"].T
    home = int((scores.argmax(axis=1) == np.arange(len(scores))).sum())
    assert numbers_in(found.panels["c_points"].sentence)[:2] == [home, len(scores)]
    assert sound(found)


def test_the_subsets_of_missing_are_clips_and_sentences():
    run = train(MIXED)
    data = load(recipe_of(MIXED).data)
    sentence = seen(opened("missing", MIXED | {"run": run.path.name})).panels["c_subsets"].sentence
    counts = np.bincount(data.labels[data.split.test].numpy())
    assert "clips alone" in sentence
    assert f"commonest class {share(counts.max() / counts.sum())}" in sentence


def test_the_cycle_alone_is_refused_in_words():
    app = opened("play", BAGS | {"loss.kind": "cycle"})
    (error,) = app.error
    assert "choose coot, which has it as a term" in error.value
    assert not seen(app).panels
