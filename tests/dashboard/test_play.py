"""Play: every loss renders, what stands there is what the run recorded, and the buttons do what they say."""

import errno
import itertools
import json
import re

import numpy as np
import pytest
from filelock import FileLock
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ElementTree

from core.addresses import read
from core.losses.registry import LOSSES, LossEntry
from core.methods.registry import METHODS
from core.runs import launch
from core.runs.demo import presets
from core.runs.folder import RunFolder
from core.runs.worker import prepare
from dashboard import transport
from dashboard.link import DEFAULT, on_data
from tests.dashboard.apps import (
    SMALL,
    link_of,
    numbers_below,
    numbers_in,
    opened,
    recipe_of,
    seen,
    train,
    well,
)

CHARTS = ["c_points", "c_hills", "c_push", "c_learning"]


@pytest.fixture(scope="module", autouse=True)
def own_home(tmp_path_factory):
    """One home for all: a run once trained is found again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHPULL_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def started(monkeypatch) -> list[RunFolder]:
    """Runs that the page asked to be trained; none is."""
    folders: list[RunFolder] = []
    monkeypatch.setattr("dashboard.lab.start", folders.append)
    return folders


def click(app: AppTest, key: str) -> AppTest:
    return well(app.button(key=key).click().run())


def slider(app: AppTest):
    """The slider of the present moment."""
    return next(each for each in app.select_slider if each.key.startswith("cursor_"))


def says(app: AppTest, text: str) -> bool:
    return any(text in each for each in seen(app).texts)


def numbers_of(app: AppTest, key: str) -> list[float]:
    return numbers_in(seen(app).panels[key].sentence)


def made_from_pairs(entry: LossEntry) -> bool:
    """Whether its companion makes the rest of what it needs from pairs and classes."""
    return bool(entry.made) and set(entry.needed_of_a_run) <= {"a", "b", "labels"}


@pytest.mark.parametrize(("loss", "lacks"), [("gmc", "joint"), ("coot", "bags"), ("cycle", "bags")])
def test_a_loss_that_needs_more_than_the_data_has_is_refused_in_words(loss, lacks):
    app = opened("play", SMALL | {"loss.kind": loss})
    assert not seen(app).panels
    (error,) = app.error
    assert f"needs {lacks}" in error.value


@pytest.mark.parametrize("loss", [e.key for e in LOSSES if e.pairwise or "joint" in e.inputs or made_from_pairs(e)])
def test_every_loss_renders_before_and_after_its_training(loss):
    link = SMALL | {"loss.kind": loss} | ({"encoder.joint": "true"} if "joint" in LOSSES[loss].inputs else {})
    before = seen(opened("play", link))
    assert list(before.panels) == CHARTS[:3]
    train(link)
    after = seen(opened("play", link))
    assert list(after.panels) == CHARTS
    assert not any("Not trained yet" in text for text in after.texts)
    for panel in after.panels.values():
        assert panel.title.endswith("?")
        assert panel.sentence
        assert panel.chip
        assert panel.alt.endswith(".")
        assert panel.numbers
    assert all("nan" not in text.lower() for text in after.texts)


@pytest.mark.parametrize("loss", ["ranking", "info_nce"])
def test_with_dmm_the_mixed_pairs_and_the_margin_that_was_applied_are_shown(loss):
    link = SMALL | {"loss.kind": loss, "mixing.kind": "dmm", "mixing.margin": "0.4"}
    run = train(link)
    page = seen(opened("play", link))
    assert list(page.panels) == ["c_points", "c_margin", *CHARTS[1:]]
    last = run.metrics()[-1]
    lam, margin, full = numbers_in(page.panels["c_margin"].sentence)
    assert (lam, margin, full) == (round(last["lam"], 2), round(last["margin"], 2), 0.4)
    assert margin == pytest.approx(0.4 * last["lam"], abs=0.006)


def test_a_planted_margin_that_decays_is_drawn_as_it_was_recorded():
    link = SMALL | {"loss.kind": "ranking", "mixing.kind": "dmm", "seed": "5"}
    run = train(link)
    rows = [row | {"margin": 0.2 * 0.5 ** row["step"]} for row in run.metrics()]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = json.loads(seen(opened("play", link)).panels["c_margin"].figure)
    drawn = np.array(list(numbers_below([series["data"] for series in spec["series"]])))
    assert [float(np.abs(drawn - row["margin"]).min()) < 1e-4 for row in rows[:8]] == [True] * 8
    assert numbers_in(seen(opened("play", link)).panels["c_margin"].sentence)[1] == 0


def test_the_numbers_are_those_of_the_recorded_step():
    link = SMALL | {"loss.kind": "info_nce"}
    run = train(link)
    for step in (0, run.snapshots()[len(run.snapshots()) // 2], 24):
        app = opened("play", link | {"at": str(step)})
        arrays = run.snapshot(step)
        left, right = (arrays[f"z.{name}"].astype(float) for name in ("left", "right"))
        scores = left @ right.T
        n = len(scores)
        own, others = np.diag(scores), scores[~np.eye(n, dtype=bool)]
        home = sum(int(np.argmax(scores[i]) == i) for i in range(n))
        assert numbers_of(app, "c_points")[:3] == [home, n, 1]
        assert numbers_of(app, "c_hills")[:2] == [round(own.mean(), 2), round(others.mean(), 2)]
        loss = next(row["loss"] for row in run.metrics() if row["step"] == step)
        assert numbers_of(app, "c_learning")[0] == round(loss, 2)


def test_the_last_plotted_step_is_the_last_line_of_the_metrics():
    link = SMALL | {"seed": "2"}
    run = train(link)
    spec = json.loads(seen(opened("play", link)).panels["c_learning"].figure)
    lines = [series["data"] for series in spec["series"] if series["type"] == "line" and len(series["data"]) > 2]
    assert [line[-1] for line in lines] == [[24, round(run.metrics()[-1]["loss"], 4)]] * 2


def test_the_slider_steps_and_the_reset_move_the_cursor_and_the_link():
    link = SMALL | {"seed": "2"}
    steps = train(link).snapshots()
    app = opened("play", link)
    assert "at" not in link_of(app)
    click(app, "reset")
    assert link_of(app)["at"] == "0"
    assert "step 0" in seen(app).panels["c_hills"].alt
    click(app, "step")
    assert link_of(app)["at"] == str(steps[1])
    well(slider(app).set_value(steps[5]).run())
    assert link_of(app)["at"] == str(steps[5])
    assert f"step {steps[5]}:" in seen(app).panels["c_learning"].alt
    well(slider(app).set_value(steps[-1]).run())
    assert "at" not in link_of(app)


def test_a_step_between_two_records_shows_the_one_before_and_one_beyond_the_last():
    link = SMALL | {"seed": "2", "steps": "300"}
    steps = train(link).snapshots()
    between = next(a for a, b in itertools.pairwise(steps) if b > a + 1)
    assert seen(opened("play", link | {"at": str(between + 1)})).panels["c_hills"].alt.count(f"step {between}:")
    assert seen(opened("play", link | {"at": "9999"})).panels["c_hills"].alt.count("step 300:")


def test_play_trains_what_has_no_run_and_replays_what_has(started):
    link = SMALL | {"seed": "11"}
    app = opened("play", link)
    assert says(app, "Not trained yet")
    assert app.button(key="step").disabled
    click(app, "play")
    assert [folder.path.name for folder in started] == [prepare(recipe_of(link)).path.name]
    assert app.button(key="play").label == "Pause"
    click(app, "play")
    assert app.button(key="play").label == "Play"
    train(link)
    app = opened("play", link)
    click(app, "play")
    assert len(started) == 1
    assert link_of(app)["at"] == "0"
    assert app.button(key="play").label == "Pause"


def test_a_browser_that_lags_does_not_move_the_cursor_back(monkeypatch):
    link = SMALL | {"seed": "2"}
    steps = train(link).snapshots()
    app = opened("play", link)
    late = slider(app)._widget_state
    click(app, "reset")
    sent = ElementTree.get_widget_states

    def late_too(tree: ElementTree) -> WidgetStates:
        states = sent(tree)
        kept = [state for state in states.widgets if state.id != late.id]
        return WidgetStates(widgets=[*kept, late])

    monkeypatch.setattr(ElementTree, "get_widget_states", late_too)
    click(app, "step")
    assert link_of(app)["at"] == str(steps[1])
    click(app, "play")
    assert app.button(key="play").label == "Pause"


def test_the_slider_stays_the_same_one_under_the_hand_that_moves_it():
    link = SMALL | {"seed": "2"}
    steps = train(link).snapshots()
    app = opened("play", link)
    here = slider(app)
    well(here.set_value(steps[5]).run())
    assert slider(app).key == here.key
    assert link_of(app)["at"] == str(steps[5])


def test_playback_moves_by_the_speed_and_stops_at_the_end():
    link = SMALL | {"seed": "2", "speed": "fast"}
    steps = train(SMALL | {"seed": "2"}).snapshots()
    app = click(opened("play", link), "play")
    places = [link_of(app).get("at")]
    while app.button(key="play").label == "Pause" and len(places) < 40:
        well(app.run())
        places.append(link_of(app).get("at"))
    stride = transport.STRIDE["fast"]
    assert [int(place) for place in places[1:] if place] == steps[places[1] and steps.index(int(places[1])) :: stride][
        : len([p for p in places[1:] if p])
    ]
    assert places[-1] is None
    assert app.button(key="play").label == "Play"


def test_a_second_lane_shows_both_runs_from_the_same_start():
    link = SMALL | {"loss.kind": "info_nce", "lane.on": "on", "lane.loss.kind": "ranking"}
    train(SMALL | {"loss.kind": "info_nce"})
    train(SMALL | {"loss.kind": "ranking"})
    first = seen(opened("play", link | {"at": "0"})).panels
    assert sorted(first) == sorted([*CHARTS, *(f"{key}_1" for key in CHARTS)])
    assert first["c_points"].numbers == first["c_points_1"].numbers
    assert first["c_hills"].sentence == first["c_hills_1"].sentence
    last = seen(opened("play", link)).panels
    assert last["c_points"].numbers != last["c_points_1"].numbers
    assert last["c_learning"].sentence != last["c_learning_1"].sentence
    alone = seen(opened("play", SMALL | {"loss.kind": "info_nce"})).panels
    assert {key: last[key].numbers for key in CHARTS} == {key: alone[key].numbers for key in CHARTS}


def test_an_untrained_lane_stands_beside_a_trained_one():
    train(SMALL | {"loss.kind": "info_nce"})
    link = SMALL | {"loss.kind": "info_nce", "lane.on": "on", "lane.loss.kind": "triplet", "lane.loss.over": "sum"}
    app = opened("play", link)
    assert says(app, "Not trained yet")
    assert {"c_learning", "c_points_1"} <= set(seen(app).panels)


def made(seed: str, state: str, message: str = "") -> tuple[dict[str, str], RunFolder]:
    """A finished run made to look as if it had ended in another way."""
    link = SMALL | {"seed": seed}
    run = train(link)
    (run.path / "result.json").unlink()
    run.say(state, message)
    return link, run


def test_a_killed_trainer_is_said_and_its_charts_stand_at_the_last_line(started):
    link, run = made("21", "running")
    lines = (run.path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "metrics.jsonl").write_bytes(b"".join(lines[:14]) + lines[14][:9])
    app = opened("play", link)
    assert says(app, "The trainer is gone")
    assert len([text for text in seen(app).texts if "trainer is gone" in text]) == 1
    shown = numbers_in(seen(app).panels["c_learning"].alt)
    assert shown[0] == 13
    assert shown[-1] == round(run.metrics()[-1]["loss"], 2)
    assert not app.button(key="resume_run_stopped").disabled
    click(app, "resume_run_stopped")
    assert [folder.path for folder in started] == [run.path]


@pytest.mark.parametrize(
    ("state", "message", "says_so", "button"),
    [
        ("cancelled", "Stopped at step 9. Resume goes on from there.", "Stopped at step 9", "Resume"),
        ("failed", "The disk is full. What was written is kept.", "The disk is full", "Resume"),
        ("diverged", "The loss is not a finite number at step 9.", "not a finite number at step 9", None),
    ],
)
def test_how_a_run_ended_is_said_once_with_the_button_that_goes_with_it(state, message, says_so, button, started):
    link, _ = made(f"{30 + len(state)}", state, message)
    app = opened("play", link)
    lines = [text for text in seen(app).texts if says_so in text]
    assert len(lines) == 1
    assert len(re.findall(r"Stopped|failed|diverged", lines[0])) <= 1
    assert [each.label for each in app.button if each.label in ("Stop", "Resume")] == ([button] if button else [])
    assert set(seen(app).panels) == set(CHARTS)


def test_a_running_trainer_can_be_stopped():
    link, run = made("40", "running")
    with FileLock(run.path / "lock"):
        app = opened("play", link)
        assert says(app, "Training: step 24 of 24.")
        click(app, "stop_run_running")
    assert run.asked_to_stop()


def test_a_waiting_run_says_what_it_waits_for():
    link = SMALL | {"seed": "41"}
    prepare(recipe_of(link)).say("queued")
    app = opened("play", link)
    assert says(app, "Waiting")
    assert [each.label for each in app.button if each.label in ("Stop", "Resume")] == ["Stop"]


@pytest.mark.parametrize("file", ["metrics.jsonl", "recipe.json", "state.json"])
def test_a_damaged_run_is_one_sentence(file):
    link, run = made(f"5{len(file)}", "done")
    (run.path / file).write_text("{\n{\n")
    app = opened("play", link)
    assert says(app, file)
    assert says(app, "cannot be read")
    click(app, "delete_run_damaged")
    assert not run.path.exists()
    assert says(app, "Not trained yet")


def test_a_damaged_snapshot_is_one_sentence():
    link, run = made("60", "done")
    (run.path / "snapshots" / "24.npz").write_bytes(b"PK\x03\x04 torn")
    app = opened("play", link)
    assert says(app, "24.npz")
    assert not app.button(key="delete_run_damaged").disabled


def test_parts_that_do_not_fit_are_said_before_anything_is_trained(started):
    app = opened("play", SMALL | {"data.kind": "npz", "data.clusters": "6"} | {"loss.kind": "supcon"})
    assert len(app.error) == 1
    assert not [each for each in app.button if each.key == "play"]


def test_a_full_disk_is_said_and_nothing_plays(monkeypatch):
    def full(recipe):
        raise OSError(errno.ENOSPC, "No space left on device")

    app = opened("play", SMALL | {"seed": "80"})
    monkeypatch.setattr("dashboard.lab.prepare", full)
    click(app, "play")
    assert [error.value for error in app.error] == [
        "The run could not be written: No space left on device. Free some space, then try again."
    ]
    assert app.button(key="play").label == "Play"
    assert not well(app.run()).error


def test_the_data_presets_set_their_dimensions_and_keep_the_loss():
    app = opened("play", {"loss.kind": "ranking"})
    for preset in presets()["data"][::-1]:
        well(app.selectbox(key="preset").set_value(preset["title"]).run())
        assert app.session_state["view"] == on_data(read({"loss.kind": "ranking"}, DEFAULT)[0], preset["link"])
        assert app.selectbox(key="preset").value == preset["title"]
    assert link_of(app) == {"loss.kind": "ranking"}


def test_a_knob_that_moves_leaves_the_playback_of_the_run_before(started):
    link = SMALL | {"seed": "2"}
    train(link)
    app = click(opened("play", link), "play")
    well(app.selectbox(key="loss").set_value("dcl").run())
    assert app.button(key="play").label == "Play"


def test_what_may_surprise_in_a_recipe_is_said_above_the_charts():
    odd = SMALL | {"mixing.kind": "dmm", "loss.kind": "ranking", "method.batch": "15"}
    sentence = "In each batch of 15, 1 item is its own partner, unmixed"
    assert says(opened("play", odd), sentence)
    assert not says(opened("play", odd | {"method.batch": "16"}), sentence)
    second = {"lane.on": "on", "lane.mixing.kind": "dmm", "lane.loss.kind": "ranking", "method.batch": "15"}
    assert says(opened("play", SMALL | second), sentence)


def test_what_has_no_effect_now_is_not_under_more():
    app = opened("play", SMALL | {"mixing.kind": "dmm", "loss.kind": "ranking"})
    keys = {widget.key for kind in ("select_slider", "selectbox", "slider", "number_input") for widget in app.get(kind)}
    assert {"mixing.law", "mixing.low", "mixing.partner"} <= keys
    assert not keys & {"mixing.fixed", "mixing.concentration", "mixing.shift", "mixing.bank", "mixing.layer"}
    fixed = opened("play", SMALL | {"mixing.kind": "dmm", "mixing.law": "fixed"})
    assert "mixing.fixed" in {each.key for each in fixed.select_slider}


METHOD_LINKS = {
    "shuffle": {},
    "queue": {"loss.kind": "moco", "method.size": "40"},
    "clustered": {"method.clusters": "3"},
    "hard": {"method.k": "20"},
    "pseudo_labels": {"loss.kind": "supcon"},
    "cut_classes": {"loss.kind": "sbcl"},
    "memory": {"loss.kind": "interclr", "method.size": "40"},
}


@pytest.mark.parametrize("kind", METHODS.keys())
def test_every_method_renders_before_and_after_its_training_with_its_knobs_under_more(kind):
    link = SMALL | {"method.kind": kind, "seed": "91"} | METHOD_LINKS[kind]
    app = opened("play", link)
    assert list(seen(app).panels) == CHARTS[:3]
    assert app.selectbox(key="method").value == kind
    keys = {widget.key for kind in ("select_slider", "slider", "number_input") for widget in app.get(kind)}
    assert {
        f"method.{name}" for name, field in METHODS[kind].params.model_fields.items() if field.annotation is int
    } <= keys
    train(link)
    after = seen(opened("play", link))
    assert list(after.panels) == CHARTS
    assert all("nan" not in text.lower() for text in after.texts)


def test_nothing_is_started_by_looking(monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    monkeypatch.setattr(launch, "detach", lambda *words: pytest.fail(f"started {words}"))
    opened("play", SMALL | {"seed": "70"})
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_two_lanes_of_one_loss_are_told_apart_by_what_differs(started):
    both = SMALL | {"loss.kind": "info_nce", "loss.temperature": "0.05", "lane.on": "on", "lane.loss.kind": "info_nce"}
    link = both | {"lane.loss.temperature": "1"}
    app = opened("play", link)
    assert [each.value for each in app.subheader][1:] == ["InfoNCE, Temperature τ 0.05", "InfoNCE, Temperature τ 1"]
    for change in ({}, {"loss.temperature": "1"}):
        train(SMALL | {"loss.kind": "info_nce", "loss.temperature": "0.05"} | change).say("cancelled", "Stopped.")
    app = opened("play", link)
    assert [button.label for button in app.button].count("Resume") == 2
    same = opened("play", both | {"lane.loss.temperature": "0.05"})
    assert [each.value for each in same.subheader][1:] == ["InfoNCE", "InfoNCE again"]
    assert [button.label for button in same.button].count("Resume") == 2


def test_a_lane_that_waits_is_not_told_to_press_play():
    link = SMALL | {"seed": "43"}
    prepare(recipe_of(link)).say("queued")
    texts = seen(opened("play", link)).texts
    assert any("Not trained yet" in text for text in texts)
    assert not any("Press **Play**" in text for text in texts)


def test_a_knob_moved_while_it_trains_stops_the_run_and_starts_a_branch_there(started, monkeypatch):
    link, run = made("44", "running")
    lines = (run.path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "metrics.jsonl").write_bytes(b"".join(lines[:10]))
    lock = FileLock(run.path / "lock", thread_local=False)
    lock.acquire()
    asked = []
    monkeypatch.setattr(RunFolder, "ask_to_stop", lambda folder: (asked.append(folder.path), lock.release()))
    app = opened("play", link)
    well(app.select_slider(key="loss.temperature").set_value(0.19).run())
    recipe = app.session_state["view"].recipe()
    assert asked == [run.path]
    assert (recipe.parent, recipe.from_step, recipe.loss.temperature) == (run.path.name, 10, 0.19)
    assert [json.loads((folder.path / "recipe.json").read_text())["parent"] for folder in started] == [run.path.name]
    assert read(link_of(app), DEFAULT)[0].recipe() == recipe


@pytest.mark.parametrize(("before", "after"), [("dmm", "none"), ("none", "dmm")])
def test_a_branch_that_switches_the_mixing_shows_the_clean_loss_of_both_parts(before, after):
    link = SMALL | {"loss.kind": "ranking", "seed": "3"}
    parent = train(link | {"mixing.kind": before})
    link |= {"mixing.kind": after, "parent": parent.path.name, "from_step": "3"}
    branch = train(link)
    rows = branch.metrics()
    assert any("term.clean" in name for name in rows[0]) is (before == "dmm")
    paid = [sum(v for k, v in row.items() if k.startswith("term.clean")) or row["loss"] for row in rows]
    drawn = seen(opened("play", link)).panels["c_learning"].numbers
    assert {round(value, 4) for value in paid} <= {round(value, 4) for value in drawn}
