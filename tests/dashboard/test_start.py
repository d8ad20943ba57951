"""Start: something true moves before the first click, every door opens, and no torch is needed for any of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import streamlit as st
from filelock import FileLock

from core.addresses import read
from core.environment import ROOT
from core.runs import demo, launch
from core.runs.folder import RunFolder, write_json
from core.runs.worker import prepare, work
from dashboard.lab import find
from dashboard.link import DEFAULT, of_lesson, on_data
from dashboard.moving import PAUSE, film, frame_index
from tests.dashboard.apps import SMALL, link_of, numbers_in, opened, pages, recipe_of, seen, train, well


@pytest.fixture(autouse=True)
def begun(tmp_path, monkeypatch) -> list[str]:
    """A home of its own, and each start of the demo written down instead of done."""
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))
    st.cache_resource.clear()
    starts: list[str] = []
    monkeypatch.setattr(demo, "start", lambda: starts.append("demo"))
    return starts


def small_demo(steps: str = "40") -> RunFolder:
    """The demo, on few emoji."""
    link = {"data.kind": "emoji", "data.items": "8", "encoder.dim": "2", "encoder.image.width": "4", "steps": steps}
    folder = prepare(recipe_of(link))
    work(folder)
    demo.remember(folder)
    return folder


def test_the_first_paint_needs_no_torch_no_sklearn_and_no_umap(tmp_path):
    code = (
        "import sys; from unittest.mock import patch; from streamlit.testing.v1 import AppTest;"
        "from core.runs import launch; launch.subprocess.Popen = lambda *a, **k: None;"
        "app = AppTest.from_file('dashboard/app.py', default_timeout=60).run();"
        "assert not app.exception and app.title[0].value == 'Pull together, push apart.' and app.get('echarts_chart');"
        "print([name for name in ('torch', 'sklearn', 'umap', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_first_visit_shows_the_shipped_recording_says_so_and_starts_the_demo_once(begun):
    page = seen(opened("start"))
    sentence = page.panels["c_moving"].sentence
    assert "A run recorded earlier" in sentence
    opened("start")
    assert begun == ["demo"]
    step, home, of = numbers_in(sentence)
    with np.load(ROOT / "assets" / "recording.npz", allow_pickle=False) as arrays:
        index = arrays["steps"].tolist().index(step)
        scores = arrays["pictures"][index] @ arrays["names"][index].T
    assert (home, of) == (sum(int(row.argmax()) == i for i, row in enumerate(scores)), len(scores))


def test_the_picture_moves_through_the_film_and_rests_on_its_end():
    now = film()
    app = opened("start")
    steps = [numbers_in(seen(app).panels["c_moving"].sentence)[0]]
    for _ in range(6):
        steps.append(numbers_in(seen(well(app.run())).panels["c_moving"].sentence)[0])
    assert steps[0] == steps[1] == now.steps[-1]
    assert steps[2:] == sorted(set(steps[2:]))
    assert steps[2] == 0
    shown = [frame_index(now, tick) for tick in range(2 * (len(now.steps) + PAUSE))]
    assert shown[: len(now.steps)] == list(range(len(now.steps)))
    assert shown[len(now.steps) : len(now.steps) + PAUSE] == [len(now.steps) - 1] * PAUSE


def test_a_trained_demo_is_shown_instead_of_the_recording(begun):
    folder = small_demo()
    sentence = seen(opened("start")).panels["c_moving"].sentence
    assert "A run on this machine" in sentence
    step, home, of = numbers_in(sentence)
    arrays = folder.snapshot(int(step))
    scores = arrays["z.noto"] @ arrays["z.en"].T
    assert (home, of) == (sum(int(row.argmax()) == i for i, row in enumerate(scores)), 8)
    assert begun == []


@pytest.mark.parametrize(("state", "again"), [("running", True), ("failed", True), ("cancelled", False)])
def test_a_demo_that_died_goes_on_and_one_that_was_stopped_does_not(state, again, begun):
    small_demo().say(state)
    sentence = seen(opened("start")).panels["c_moving"].sentence
    assert "A run on this machine" in sentence
    assert begun == (["demo"] if again else [])


def test_a_demo_that_is_training_is_shown_as_far_as_it_is():
    folder = small_demo()
    folder.say("running")
    for step in folder.snapshots()[3:]:
        (folder.path / "snapshots" / f"{step}.npz").unlink()
    with FileLock(folder.path / "lock"):
        assert film().steps == (0, 1)


def test_a_demo_of_other_code_or_a_damaged_one_gives_way_to_the_recording(begun):
    folder = small_demo()
    write_json(demo._pointer(), {"id": folder.path.name, "code": "older"})
    assert film().recorded
    assert begun == ["demo"]
    demo.remember(folder)
    assert not film().recorded
    st.cache_resource.clear()
    (folder.path / "snapshots" / "0.npz").write_bytes(b"torn")
    assert film().recorded
    demo._pointer().write_text("{")
    assert film().recorded


def test_every_door_lesson_and_preset_leads_to_a_page_by_a_link_without_a_mistake():
    offers = demo.presets()
    for card in [*offers["data"], *offers["lessons"]]:
        _, refused = read(card["link"], DEFAULT)
        assert refused == [], card["title"]
        view = of_lesson(card) if card in offers["lessons"] else on_data(DEFAULT, card["link"])
        assert (view == DEFAULT) is (not card["link"] or card is offers["data"][0]), card["title"]
        assert card.get("page", "play") in pages()
        assert len(card["title"].split()) <= 8
    doors = [button.key.removeprefix("open_") for button in opened("start").button if button.key.startswith("open_")]
    assert len(doors) == 3
    assert set(doors) <= set(pages())


def test_a_lesson_opens_its_page_with_its_link_and_its_runs_are_on_their_way(monkeypatch):
    started: list[list[str]] = []
    monkeypatch.setattr(launch, "detach", lambda words, log: started.append(words))
    card = next(card for card in demo.presets()["lessons"] if card["page"] == "play")
    app = opened("start")
    well(app.button(key=f"lesson_{card['key']}").click().run())
    assert app.subheader[0].value == "What does this loss do to the points?"
    assert app.session_state["view"] == of_lesson(card) != DEFAULT
    assert read(link_of(app), DEFAULT)[0] == app.session_state["view"]
    assert [words[0] for words in started] == ["work"]
    assert find(app.session_state["view"].recipe()).path.name in started[0][1]


def test_the_last_runs_open_on_play():
    run = train(SMALL | {"loss.kind": "triplet"})
    app = opened("start")
    assert any("triplet on circle" in text and "step 24 of 24 · done" in text for text in seen(app).texts)
    well(app.button(key=f"run_{run.path.name}").click().run())
    assert app.session_state["view"].recipe() == recipe_of(SMALL | {"loss.kind": "triplet"})
    assert "c_learning" in seen(app).panels


def test_opening_another_run_is_no_branch_of_the_one_that_trains(monkeypatch):
    training, other = train(SMALL), train(SMALL | {"loss.kind": "dcl"})
    training.say("running")
    monkeypatch.setattr(RunFolder, "ask_to_stop", lambda folder: pytest.fail("stopped"))
    with FileLock(training.path / "lock"):
        app = opened("play", SMALL)
        app.switch_page("../pages/start.py")
        well(app.run())
        well(app.button(key=f"run_{other.path.name}").click().run())
    assert app.session_state["view"].recipe() == recipe_of(SMALL | {"loss.kind": "dcl"})


def test_damaged_and_foreign_runs_are_said_and_open_nothing():
    damaged, foreign = train(SMALL), train(SMALL | {"seed": "1"})
    (damaged.path / "recipe.json").write_text("{")
    write_json(foreign.path / "recipe.json", foreign.recipe() | {"invented": 1})
    app = opened("start")
    assert any("A damaged run" in text and "not JSON" in text for text in seen(app).texts)
    assert [button.key for button in app.button if button.key.startswith("run_")] == [f"run_{foreign.path.name}"]
    well(app.button(key=f"run_{foreign.path.name}").click().run())
    assert "Another version" in app.error[0].value


def test_a_first_visit_lists_no_runs():
    assert not any("last runs" in text for text in seen(opened("start")).texts)


def test_a_link_is_checked_on_start_too():
    app = opened("start", {"steps": "0", "loss.kind": "dcl"})
    assert "`steps=0`" in app.warning[0].value
    assert link_of(app) == {"loss.kind": "dcl"}


def test_presets_are_written_as_data():
    cards = json.loads((ROOT / "assets" / "presets.json").read_text(encoding="utf-8"))
    for kind in ("data", "lessons"):
        assert len({card["key"] for card in cards[kind]}) == len(cards[kind]) > 0
        assert all(isinstance(value, str) for card in cards[kind] for value in card["link"].values())
