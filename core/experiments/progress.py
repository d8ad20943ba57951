"""Starting an experiment that outlives whoever started it, and how far it has come."""

import os
import time

from core.environment import code_version
from core.experiments.folder import ExperimentFolder, wanted
from core.experiments.settings import Experiment
from core.experiments.tasks import tasks
from core.runs.launch import detach

PATIENCE = 20.0
POLL = 0.1
VOICE = "python -m core experiment: "


def start(asked: Experiment, folder: ExperimentFolder) -> None:
    """Run an experiment in a process of its own, leaving a core to the app; unless it runs already.

    Returns once it works, or has said why it does not.
    """
    if folder.is_alive():
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    words = ["experiment", asked.task, "--out", str(folder.path), "--data", asked.data, "--seeds", str(asked.seeds)]
    words += ["--configurations", str(asked.configurations), "--steps", str(asked.steps)]
    words += ["--workers", str(max(1, (os.cpu_count() or 2) - 1))]
    words += ["--ratings", asked.ratings] if asked.ratings else []
    folder.write_asked(asked)
    (folder.path / "log.txt").unlink(missing_ok=True)
    detach(words, folder.path / "log.txt")
    until = time.monotonic() + PATIENCE
    while not folder.is_alive() and not last_words(folder) and time.monotonic() < until:
        time.sleep(POLL)


def last_words(folder: ExperimentFolder) -> str:
    """Why a command that was started here ended without results; empty where it did not."""
    try:
        lines = (folder.path / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix(VOICE) if lines and lines[-1].startswith(VOICE) else ""


def finished(folder: ExperimentFolder) -> tuple[int, int]:
    """How many trainings are done, and how many there will be."""
    asked = folder.asked()
    arms = tasks()[asked.task].chosen(asked)
    total = wanted(len(arms), asked)
    done = sum(len(list((folder.path / "runs" / code_version() / arm.key).glob("[tr]*.json"))) for arm in arms)
    return min(done, total), total
