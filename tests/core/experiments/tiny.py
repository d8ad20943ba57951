"""An experiment small enough for a test: points on a circle, a few steps, a few arms."""

from dataclasses import replace
from pathlib import Path

from core.experiments.folder import ExperimentFolder
from core.experiments.settings import Experiment
from core.experiments.tasks import MISSING, Task
from core.experiments.worker import Arms

STEPS = 6
TINY: dict[str, str] = {
    "data.kind": "circle",
    "encoder.vector.width": "16",
    "encoder.dim": "3",
    "method.batch": "16",
}
KEYS = ("base", "twice", "dmm")


def task(like: Task = MISSING) -> Task:
    """A task on the circle, under the name of the mfeat data."""
    return replace(like, links={"mfeat": TINY})


def asked(**changes) -> Experiment:
    settings = {"task": "missing", "seeds": 3, "configurations": 2, "steps": STEPS, "arms": KEYS}
    return Experiment(**(settings | changes))


def hand(path: Path, like: Task | None = None, **changes) -> Arms:
    """Somebody who works in a folder."""
    folder = ExperimentFolder(path)
    settings = asked(**changes)
    folder.write_asked(settings)
    return Arms(folder, like or task(), settings, lambda: None)
