"""The work on an arm: paired by seed, tuned on validation alone, and resumed to the same numbers."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.loading import load
from core.data.registry import DataSet
from core.experiments import tasks as tasks_module
from core.experiments.folder import ExperimentFolder
from core.experiments.measures import Diverged, blind, check_several, missing_numbers
from core.experiments.results import assemble, best_controls
from core.experiments.tasks import MISSING, RETRIEVAL
from core.experiments.worker import Orphaned, Try, choose, watched
from core.refusal import Refusal
from core.runs.trainer import Trainer
from tests.core.experiments.tiny import KEYS, STEPS, asked, hand, task

BEFORE = 5


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Where all arms are finished; nobody trains there again."""
    path = tmp_path_factory.mktemp("whole")
    worker = hand(path)
    for arm in worker.task.chosen(worker.asked):
        worker.finish(arm)
    return path


@pytest.fixture
def finished(whole, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(whole, tmp_path / "finished")


def spoilt(data: DataSet) -> DataSet:
    """The same data with other values and other labels in its test part."""
    test = data.split.test
    labels = data.labels.index_copy(0, test, data.labels[test].roll(7))
    return replace(
        data,
        labels=labels,
        modalities=tuple(replace(m, values=m.values.index_copy(0, test, -m.values[test])) for m in data.modalities),
    )


def reads_the_test_part(run: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether what a task's `run` says of validation depends on the test part."""
    recipe = task().recipe(asked(), {}, 0)
    plain = run(recipe, ("validation",), lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(tasks_module, "load", lambda p: spoilt(load(p)))
        return run(recipe, ("validation",), lambda: None) != plain


@pytest.mark.parametrize("like", [RETRIEVAL, MISSING], ids=lambda like: like.key)
def test_what_tuning_sees_does_not_depend_on_the_test_part(like, monkeypatch):
    assert not reads_the_test_part(like.run, monkeypatch)


def test_a_planted_leak_of_the_test_part_is_found(monkeypatch):
    def leaking(recipe, parts, alive):
        data = tasks_module.load(recipe.data)
        z = Trainer(recipe, data, torch.device("cpu")).embed()
        return {"validation": missing_numbers(z, data, data.split.test)}

    assert reads_the_test_part(leaking, monkeypatch)


def test_blind_data_has_no_test_part_and_measuring_it_is_refused():
    recipe = task().recipe(asked(), {}, 0)
    whole = load(recipe.data)
    data = blind(whole)
    assert len(data.split.test) == 0
    z = {
        name: torch.full_like(rows, torch.nan).index_copy(0, data.split.train, rows[data.split.train])
        for name, rows in Trainer(recipe, whole, torch.device("cpu")).embed().items()
    }
    with pytest.raises(ValueError, match="NaN"):
        missing_numbers(z, data, whole.split.test)


@pytest.mark.parametrize("arm", KEYS)
def test_tuning_files_hold_validation_alone(arm, whole):
    (folder,) = whole.glob(f"runs/*/{arm}")
    tuning, report = (
        [json.loads(file.read_text()) for file in folder.glob(f"{purpose}-*.json")] for purpose in ("tuning", "report")
    )
    assert (len(tuning), len(report)) == (4, 3)
    assert all(set(row["measured"]) == {"validation"} for row in tuning)
    assert all(set(row["measured"]) == {"validation", "test"} for row in report)
    assert {row["seed"] for row in tuning}.isdisjoint(row["seed"] for row in report)


def test_the_choice_goes_by_the_mean_on_validation_and_a_divergence_is_the_worst():
    tries = [Try({"m": "1"}, (0.5, 0.7)), Try({"m": "2"}, (0.9, None)), Try({"m": "3"}, (0.7, 0.6))]
    assert choose(tries).link == {"m": "3"}
    assert choose(tries, lower_is_better=True).link == {"m": "1"}
    assert choose([Try({"m": "1"}, (0.5,)), Try({"m": "2"}, (0.5,))]).link == {"m": "1"}


@pytest.mark.parametrize("seed", [0, 3])
def test_arms_share_initial_weights_and_batches_of_a_seed(seed):
    like = task()
    known = None
    for arm in like.arms:
        if arm.key not in ("base", "twice", "mix_constant", "mix_masked", "dmm", "dmm_each", "dmm_hard", "clip_dmm"):
            continue
        recipe = like.recipe(asked(arms=()), arm.link, seed)
        trainer = Trainer(recipe, load(recipe.data), torch.device("cpu"))
        weights = [p.detach().clone() for p in trainer.model.parameters()]
        batches = []
        while trainer.step < STEPS:
            batches.append(trainer._items(trainer.clock(trainer.step)))
            trainer.advance()
        moved = [p.detach().clone() for p in trainer.model.parameters()]
        if known is None:
            known = weights, batches, moved
            continue
        assert all(torch.equal(a, b) for a, b in zip(weights, known[0], strict=True)), arm.key
        assert all(torch.equal(a, b) for a, b in zip(batches, known[1], strict=True)), arm.key
        assert not all(torch.equal(a, b) for a, b in zip(moved, known[2], strict=True)) or arm.key == "base", arm.key


def report_of(worker: Any) -> dict[str, Any]:
    arms = worker.task.chosen(worker.asked)
    made = assemble(worker.task, worker.asked, {arm.key: worker.report(arm) for arm in arms})
    return {name: value for name, value in made.items() if name not in ("date", "seconds")}


def test_whose_parent_has_gone_stops_also_where_it_went_before_anyone_looked():
    watched(os.getppid())()
    with pytest.raises(Orphaned):
        watched(os.getpid())()


class Killed(BaseException):
    """As if the process had gone."""


def test_a_killed_arm_goes_on_and_ends_with_the_same_results(whole, tmp_path):
    cut = hand(tmp_path / "cut")
    calls = iter(range(1000))

    def die():
        if next(calls) == BEFORE:
            raise Killed

    cut.alive = die
    arm = cut.task.chosen(cut.asked)[0]
    with pytest.raises(Killed):
        cut.finish(arm)
    files = sorted((tmp_path / "cut").rglob("*-*.json"))
    assert 0 < len(files) < 7
    ages = {file: file.stat().st_mtime_ns for file in files}
    again = hand(tmp_path / "cut")
    for arm in again.task.chosen(again.asked):
        again.finish(arm)
    assert {file: file.stat().st_mtime_ns for file in files} == ages
    assert report_of(again) == report_of(hand(whole))


def test_a_torn_file_is_trained_again(finished):
    worker = hand(finished)
    arm = worker.task.chosen(worker.asked)[0]
    before = worker.report(arm)["rows"]
    file = next(finished.glob(f"runs/*/{arm.key}/report-*.json"))
    file.write_text('{"seed": 0, "meas')
    assert None in worker.report(arm)["rows"]
    worker.finish(arm)
    after = worker.report(arm)["rows"]
    assert [row["measured"] for row in after] == [row["measured"] for row in before]


def test_another_budget_takes_over_what_fits(finished):
    known = {file: file.stat().st_mtime_ns for file in finished.rglob("*-*.json")}
    longer = hand(finished, seeds=5)
    longer.finish(longer.task.chosen(longer.asked)[0])
    now = {file: file.stat().st_mtime_ns for file in finished.rglob("*-*.json")}
    assert known.items() <= now.items()
    assert len(now) == len(known) + 2


def test_a_diverged_arm_is_said_and_never_wins(tmp_path):
    def run(recipe, parts, alive):
        if recipe.mixing.kind == "dmm":
            raise Diverged("not finite")
        return {part: {"mean": 0.5 + 0.01 * recipe.seed, "r1": 0.1} for part in parts}

    worker = hand(tmp_path, replace(task(), run=run), arms=("base", "dmm"))
    for arm in worker.task.chosen(worker.asked):
        worker.finish(arm)
    made = report_of(worker)
    arms = {arm["key"]: arm for arm in made["arms"]}
    assert arms["dmm"]["test"] is None
    assert arms["base"]["mean"] == {"mean": pytest.approx(0.51), "r1": pytest.approx(0.1)}
    assert {row["word"] for row in made["differences"]} == {"unknown"}
    json.dumps(made, allow_nan=False)


def test_the_best_control_is_the_best_on_validation_whatever_the_test_says():
    arms = [arm for arm in MISSING.arms if arm.key in ("base", "twice", "mix_zero", "dmm")]
    levels = {"base": (0.5, 0.9), "twice": (0.7, 0.6), "mix_zero": (0.6, 0.8), "dmm": (0.9, 0.7)}
    rows = {
        key: {"validation": [{"mean": validation}] * 3, "test": [{"mean": test}] * 3}
        for key, (validation, test) in levels.items()
    }
    assert best_controls(MISSING, arms, rows) == {"hinge": "twice"}


def test_differences_are_of_test_and_against_every_control(tmp_path):
    values = {"none": 0.5, "dmm": 0.6}

    def run(recipe, parts, alive):
        offset = {"validation": 0.0, "test": 0.2}
        level = values[recipe.mixing.kind] + 0.01 * recipe.seed + 0.001 * recipe.seed**2 * (recipe.mixing.kind == "dmm")
        return {part: {"mean": level + offset[part], "other": 1.0} for part in parts}

    worker = hand(tmp_path, replace(task(), run=run), seeds=5)
    for arm in worker.task.chosen(worker.asked):
        worker.finish(arm)
    made = report_of(worker)
    primary = {row["control"]: row for row in made["differences"] if row["measure"] == "mean"}
    assert set(primary) == {"base", "twice"}
    assert primary["base"]["per_seed"] == pytest.approx([0.1 + 0.001 * s**2 for s in range(5)])
    assert (primary["base"]["word"], primary["twice"]["word"]) == ("better", "tie")
    assert made["best_control"] == {"hinge": "twice"}
    assert [row["control"] for row in made["differences"] if row["measure"] == "other"] == ["twice"]


def test_one_modality_is_a_clear_sentence(monkeypatch):
    recipe = task().recipe(asked(), {}, 0)
    whole = load(recipe.data)
    monkeypatch.setattr("core.experiments.measures.load", lambda p: replace(whole, modalities=whole.modalities[:1]))
    with pytest.raises(Refusal, match=r"one modality \(left\), and this experiment needs two or more"):
        check_several(recipe)


def test_a_folder_without_an_experiment_is_refused(tmp_path):
    with pytest.raises(Refusal, match="cannot be read"):
        ExperimentFolder(tmp_path).asked()
    (tmp_path / "experiment.json").write_text('{"task": "none"}')
    with pytest.raises(Refusal, match="not an experiment of this version"):
        ExperimentFolder(tmp_path).asked()
    assert ExperimentFolder(tmp_path).results() == {}
