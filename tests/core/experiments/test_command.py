"""The command: its last line, its refusals, and that a killed one goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from core.__main__ import main
from core.environment import ROOT
from core.experiments import command
from core.experiments.command import run, settings
from core.experiments.folder import ExperimentFolder
from core.experiments.worker import work
from core.refusal import Refusal

PATIENCE = 0.02
SHORT = ["--seeds", "2", "--configurations", "1", "--steps", "3", "--arms", "base,dmm"]


def words(out: Path, *more: str) -> list[str]:
    return ["experiment", "missing", "--out", str(out), *SHORT, *more]


def runs_on(process: subprocess.Popen) -> None:
    """Let it run a little longer; it must not end meanwhile."""
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(PATIENCE)


def results_of(out: Path) -> dict:
    found = ExperimentFolder(out).results()
    return {name: value for name, value in found.items() if name not in ("date", "seconds")}


def test_the_last_line_is_the_outcome_and_a_second_call_trains_nothing(tmp_path, capsys):
    assert main(words(tmp_path / "run")) == 0
    out, err = capsys.readouterr()
    said = json.loads(out.splitlines()[-1])
    assert (said["task"], said["data"], said["best_control"]) == ("missing", "mfeat", {"hinge": "base"})
    assert set(said["verdicts"]) == {"dmm"}
    assert "8/8" in err
    made = json.loads(Path(said["file"]).read_text(encoding="utf-8"))
    assert made["seconds"] > 0
    assert made["recipe"]["data"]["modalities"] == ["fou", "zer", "mor"]
    assert made["sizes"] == {"train": 1000, "validation": 300, "test": 700}
    assert {"python", "torch", "numpy", "device"} <= set(made["versions"])
    assert len(made["date"]) == 10
    known = {file: file.stat().st_mtime_ns for file in (tmp_path / "run" / "runs").rglob("*.json")}
    assert len(known) == 8
    assert main(words(tmp_path / "run")) == 0
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "run" / "runs").rglob("*.json")} == known


def test_a_killed_command_leaves_no_one_working_and_goes_on_to_the_same_results(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    line = [sys.executable, "-m", "core", *words(cut, "--steps", "40")]
    first = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(cut.rglob("tuning-*.json")) and time.monotonic() < deadline:
        runs_on(first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert not (cut / "results.json").exists()
    logs = [cut / "log" / f"{arm}.txt" for arm in ("base", "dmm")]
    deadline, pause = time.monotonic() + 60, threading.Event()
    while not all("Orphaned" in log.read_text(encoding="utf-8") for log in logs):
        assert time.monotonic() < deadline, "an arm works on without its command"
        pause.wait(PATIENCE)
    assert main(words(cut, "--steps", "40")) == 0
    ExperimentFolder(whole).write_asked(ExperimentFolder(cut).asked())
    for arm in ("base", "dmm"):
        work(whole, arm, os.getppid())
    assert main(words(whole, "--steps", "40")) == 0
    assert results_of(cut) == results_of(whole)


@pytest.fixture
def control_c() -> Iterator[None]:
    """A suite that was started in the background ignores Ctrl-C, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("control_c")
def test_control_c_is_answered_and_what_is_finished_stays(tmp_path):
    line = [sys.executable, "-m", "core", *words(tmp_path / "run", "--steps", "2000", "--workers", "1")]
    running = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "log" / "base.txt").exists() and time.monotonic() < deadline:
        runs_on(running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert "the same command goes on" in err.splitlines()[-1]
    assert not ExperimentFolder(tmp_path / "run").is_alive()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["missing", "--seeds", "1"], "--seeds 1: expected a whole number from 2 to 50"),
        (["missing", "--seeds", "many"], "--seeds many: expected a whole number"),
        (["missing", "--arms", "base,none"], "missing has no arm 'none'; expected some of base, twice"),
        (["missing", "--data", "ratings"], "missing has no data 'ratings'; expected one of mfeat, emoji"),
        (["missing", "--colour", "blue"], "--colour blue: no such setting here"),
        (["missing", "--workers", "0"], "--workers 0: expected a whole number from 1"),
        (["missing", "--accept-terms"], "--accept-terms is for the recommender alone"),
        (["missing", "--seeds"], "--seeds has no value"),
        (["recommender"], "GroupLens"),
        (["recommender", "--ratings", "none.csv"], "is no file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_two(line, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    assert main(["experiment", *line, "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_an_unknown_task_is_exit_code_two(capsys):
    with pytest.raises(SystemExit) as end:
        main(["experiment", "none"])
    assert end.value.code == 2
    assert "invalid choice: 'none'" in capsys.readouterr().err


def test_a_folder_is_worked_in_by_one_command_alone(tmp_path):
    asked = settings("missing", {"steps": "3"})
    with FileLock(tmp_path / "lock"), pytest.raises(Refusal, match="another command works in"):
        run(asked, tmp_path, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="cannot be written"):
        run(asked, tmp_path / "file", 1)


def test_a_failing_arm_is_named_with_its_last_words(tmp_path, monkeypatch):
    asked = settings("missing", {"steps": "3", "arms": "base"})
    real = subprocess.Popen

    def popen(line, **more):
        return real([sys.executable, "-c", "import sys; sys.exit('no room left')"], **more)

    monkeypatch.setattr(command.subprocess, "Popen", popen)
    with pytest.raises(Refusal, match="arm 'base' failed: no room left"):
        run(asked, tmp_path, 1)


def test_an_experiment_that_is_asked_to_stop_stops(tmp_path, monkeypatch):
    asked = settings("missing", {"steps": "3", "arms": "base"})
    monkeypatch.setattr(ExperimentFolder, "asked_to_stop", lambda folder: True)
    with pytest.raises(command.Stopped, match="was asked to stop"):
        run(asked, tmp_path, 1)
    assert not ExperimentFolder(tmp_path).is_alive()
