"""`python -m core experiment`: one process an arm, progress on standard error, and the results once all are in."""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.addresses import read
from core.environment import ONE_THREAD, ROOT
from core.experiments.arms import Arm
from core.experiments.folder import ExperimentFolder
from core.experiments.progress import finished
from core.experiments.results import assemble, summary
from core.experiments.settings import Experiment
from core.experiments.tasks import tasks
from core.experiments.worker import Arms
from core.home import home
from core.refusal import Refusal
from core.runs.folder import write_json

POLL = 0.2


class Stopped(Refusal):
    """Someone asked the experiment to stop; what is finished stays."""


def settings(task: str, flat: Mapping[str, str], accept_terms: bool = False) -> Experiment:
    """What is asked, from the words of the command line.

    Raises:
        Refusal: naming the flag, what was seen and what was expected.
    """
    data = {"data": "ratings"} if task == "recommender" else {}
    asked, refused = read({**data, **flat, "task": task}, Experiment())
    if refused:
        raise Refusal(f"--{refused[0].address} {refused[0].value}: {refused[0].reason}")
    if task != "recommender" and accept_terms:
        raise Refusal(f"--accept-terms is for the recommender alone, and this is {task}; leave it out")
    if task == "recommender":
        from core.data.movielens import ratings_file

        asked = Experiment.model_validate({**dict(asked), "ratings": str(ratings_file(asked.ratings, accept_terms))})
    task_of = tasks()[task]
    for arm in task_of.chosen(asked):
        for extra in arm.tuned[: asked.configurations]:
            task_of.recipe(asked, {**arm.link, **extra}, 0)
    task_of.digest(task_of.recipe(asked, {}, 0))
    return asked


def usual_folder(asked: Experiment) -> Path:
    """Where an experiment is kept unless another folder is named."""
    return home() / "experiments" / f"{asked.task}-{asked.data}"


def run(asked: Experiment, path: Path, workers: int) -> dict[str, Any]:
    """Work off an experiment, or go on with one; returns its summary.

    Raises:
        Refusal: if another command works in the folder, it cannot be written, or an arm fails.
    """
    if workers < 1:
        raise Refusal(f"--workers {workers}: expected a whole number from 1")
    folder = ExperimentFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / "lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Refusal(f"another command works in {path}; wait for it or choose another folder") from error
    except OSError as error:
        raise Refusal(f"{path} cannot be written ({error.strerror}); name a new folder with --out") from error
    try:
        (path / "cancel").unlink(missing_ok=True)
        folder.write_asked(asked)
        return _finish(folder, asked, workers)
    finally:
        lock.release()


def _finish(folder: ExperimentFolder, asked: Experiment, workers: int) -> dict[str, Any]:
    task = tasks()[asked.task]
    arms = task.chosen(asked)
    hand = Arms(folder, task, asked, lambda: None)
    with _bar(finished(folder)[1]) as seen:
        unfinished = [arm for arm in arms if None in hand.report(arm)["rows"]]
        _work_off(folder, unfinished, workers, lambda: seen(finished(folder)[0]))
        seen(finished(folder)[0])
    reports = {arm.key: hand.report(arm) for arm in arms}
    if gone := [key for key, report in reports.items() if None in report["rows"]]:
        raise Refusal(f"arm '{gone[0]}' was worked on with other code than this; run the command again")
    results = assemble(task, asked, reports)
    write_json(folder.path / "results.json", results)
    return summary(results, str(folder.path / "results.json"))


@contextmanager
def _bar(total: int) -> Generator[Any]:
    from tqdm import tqdm

    with tqdm(total=total, unit="training", file=sys.stderr) as bar:
        yield lambda done: bar.update(done - bar.n)


def _work_off(folder: ExperimentFolder, waiting: list[Arm], workers: int, tell: Any) -> None:
    """A process for each arm, `workers` of them at once; none outlives this call."""
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while waiting or children:
            while waiting and len(children) < workers:
                arm = waiting.pop(0)
                children[arm.key] = _start(folder, arm.key)
            time.sleep(POLL)
            tell()
            if folder.asked_to_stop():
                raise Stopped(f"{folder.path} was asked to stop; the same command goes on from what is finished")
            for key in [key for key, child in children.items() if child.poll() is not None]:
                if children.pop(key).returncode:
                    raise Refusal(f"arm '{key}' failed: {_last_words(folder, key)}")
    finally:
        for child in children.values():
            child.terminate()
        for child in children.values():
            child.wait()


def _start(folder: ExperimentFolder, key: str) -> subprocess.Popen[bytes]:
    log = folder.path / "log" / f"{key}.txt"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "core", "arm", str(folder.path.resolve()), key, str(os.getpid())],
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )


def _last_words(folder: ExperimentFolder, key: str) -> str:
    lines = (folder.path / "log" / f"{key}.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "no word from it")
