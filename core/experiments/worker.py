"""The work on one arm, in a process of its own: tune on validation, then train and measure every seed."""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.experiments.arms import Arm, Link
from core.experiments.folder import ExperimentFolder, Purpose
from core.experiments.measures import Alive, Diverged, Numbers
from core.experiments.settings import TUNING_SEEDS, Experiment
from core.experiments.tasks import PARTS, Part, Task
from core.runs.folder import write_json

WORST = -math.inf
PARTS_OF: dict[Purpose, tuple[Part, ...]] = {"tuning": ("validation",), "report": PARTS}


@dataclass(frozen=True)
class Try:
    """One configuration of an arm: its link, and its primary measure on validation, one a tuning seed."""

    link: Link
    scores: tuple[float | None, ...]

    @property
    def mean(self) -> float:
        """The mean, or the worst there is where a training diverged."""
        found = [score for score in self.scores if score is not None]
        return sum(found) / len(found) if len(found) == len(self.scores) else WORST


def choose(tries: list[Try], *, lower_is_better: bool = False) -> Try:
    """The try with the best mean on validation; the first of equals."""
    return max(tries, key=lambda one: one.mean if not lower_is_better or one.mean == WORST else -one.mean)


class Arms:
    """Finishes trainings, or finds them finished."""

    def __init__(self, folder: ExperimentFolder, task: Task, asked: Experiment, alive: Alive) -> None:
        self.folder, self.task, self.asked, self.alive = folder, task, asked, alive

    def finished(self, arm: Arm, purpose: Purpose, link: Link, seed: int) -> dict[str, Any] | None:
        """The numbers of a training that is on disk; None where there is none."""
        recipe = self.task.recipe(self.asked, link, seed)
        return _read(self.folder.file(arm.key, purpose, recipe, self.task.digest(recipe)))

    def _run(self, arm: Arm, purpose: Purpose, link: Link, seed: int) -> dict[str, Any]:
        recipe = self.task.recipe(self.asked, link, seed)
        file = self.folder.file(arm.key, purpose, recipe, self.task.digest(recipe))
        known = _read(file)
        if known is not None:
            return known
        self.alive()
        begun = time.perf_counter()
        measured: dict[Part, Numbers] | None
        try:
            measured = self.task.run(recipe, PARTS_OF[purpose], self.alive)
        except Diverged:
            measured = None
        row = {"seed": seed, "measured": measured, "seconds": round(time.perf_counter() - begun, 3)}
        write_json(file, row)
        return row

    def tuned(self, arm: Arm, run: Callable[..., dict[str, Any] | None] | None = None) -> tuple[Try, list[Try]]:
        """The configuration that validation prefers, and all that were tried."""
        tries = []
        for extra in arm.tuned[: self.asked.configurations]:
            rows = [(run or self._run)(arm, "tuning", {**arm.link, **extra}, seed) for seed in TUNING_SEEDS]
            scores = tuple(_score(row, self.task.primary) for row in rows)
            tries.append(Try(extra, scores))
        return choose(tries, lower_is_better=self.task.primary in self.task.lower), tries

    def finish(self, arm: Arm) -> None:
        """Do whatever of an arm is not on disk yet."""
        best, _ = self.tuned(arm)
        for seed in range(self.asked.seeds):
            self._run(arm, "report", {**arm.link, **best.link}, seed)

    def report(self, arm: Arm) -> dict[str, Any]:
        """Tuning and all seeds of an arm that is finished."""
        best, tries = self.tuned(arm, self.finished)
        rows = [self.finished(arm, "report", {**arm.link, **best.link}, seed) for seed in range(self.asked.seeds)]
        return {"chosen": best, "tries": tries, "rows": rows}


def _score(row: dict[str, Any] | None, primary: str) -> float | None:
    return row["measured"]["validation"][primary] if row and row["measured"] else None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) and "measured" in row else None


class Orphaned(BaseException):
    """Whoever started this process is gone."""


def watched(parent: int) -> Alive:
    """Raises `Orphaned` once the process that started this one has gone, so that nothing works on unseen.

    Args:
        parent: its number. This process is told it, since it may be gone before all is imported that asks for it.
    """

    def alive() -> None:
        if os.getppid() != parent:
            raise Orphaned

    return alive


def work(path: Path, key: str, parent: int) -> None:
    """Finish one arm of the experiment in a folder; the process of `python -m core arm`.

    Args:
        path: the experiment's folder.
        key: of the arm.
        parent: the process that waits for it.

    Raises:
        Orphaned: once that process has gone.
    """
    import torch

    from core.experiments.tasks import tasks

    torch.set_num_threads(1)
    folder = ExperimentFolder(path)
    asked = folder.asked()
    task = tasks()[asked.task]
    arm = next(arm for arm in task.chosen(asked) if arm.key == key)
    Arms(folder, task, asked, watched(parent)).finish(arm)
