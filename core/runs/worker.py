"""The work on one run folder: train, record, checkpoint, and leave the folder readable whatever happens."""

import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from filelock import FileLock, Timeout
from pydantic import ValidationError
from torch import Tensor

from core.addresses import knobs, spell
from core.data.loading import load
from core.data.registry import DataSet
from core.environment import code_version
from core.pasted.calls import Stopped, stopping
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.companion import fits
from core.runs.evaluation import evaluate
from core.runs.folder import DamagedRun, RunFolder, runs_home, write_arrays, write_atomically, write_json
from core.runs.identity import run_id
from core.runs.queue import Turn
from core.runs.trainer import Trainer, check_fit, choose_device

FLUSH_SECONDS = 0.2
SNAPSHOTS = 120
SNAPSHOT_BYTES = 100_000_000
Progress = Callable[[int], None]


def recipe_of(folder: RunFolder) -> Recipe:
    """The validated recipe of a run.

    Raises:
        DamagedRun: if it is missing, from a newer schema, or not a recipe.
    """
    try:
        return Recipe.model_validate(folder.recipe())
    except ValidationError as error:
        seen = error.errors()[0]
        place = ".".join(map(str, seen["loc"]))
        raise DamagedRun(f"{folder.path}: its recipe has a bad {place} ({seen['msg']}); delete the folder") from error


def prepare(recipe: Recipe, folder: RunFolder | None = None, threads: int = 1) -> RunFolder:
    """Make the folder of a run, or find it: equal recipe, data and code are one run.

    Args:
        recipe: what to train.
        folder: where to keep it; by default among the user's runs, named by its id.
        threads: torch threads, stored with the run, since bits depend on them.

    Raises:
        Refusal: if the folder holds something else, or parts of the recipe do not fit.
    """
    data = load(recipe.data)
    check_fit(recipe, data)
    if recipe.parent:
        _check_branch(recipe)
    name = run_id(recipe, data.digest)
    folder = folder or RunFolder(runs_home() / name)
    if folder.path.exists() and any(folder.path.iterdir()):
        if (folder.path / "recipe.json").exists() and folder.id == name:
            return folder
        raise Refusal(f"{folder.path} already holds something else; choose an empty or a new folder")
    environment = {
        "id": name,
        "device": choose_device().type,
        "threads": threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "code": code_version(),
        "data": data.digest,
    }
    write_json(folder.path / "environment.json", environment)
    folder.say("queued")
    write_json(folder.path / "recipe.json", recipe.model_dump(mode="json"))
    return folder


def _check_branch(recipe: Recipe) -> None:
    parent = RunFolder(runs_home() / recipe.parent)
    origin = recipe_of(parent)
    same = (origin.data, origin.encoder, origin.seed) == (recipe.data, recipe.encoder, recipe.seed)
    if not same or recipe.from_step > min(origin.steps, recipe.steps):
        raise Refusal(
            f"a branch keeps the data, encoder and seed of its parent {recipe.parent} and leaves it at a step that "
            f"both have; seen from_step {recipe.from_step} of {origin.steps}"
        )


def work(
    folder: RunFolder, *, polite: bool = False, checkpoint_seconds: float = 1.0, progress: Progress | None = None
) -> None:
    """Train the run in `folder` to its end, or until it is asked to stop; from its checkpoint if it has one.

    Args:
        folder: a prepared run.
        polite: let every other waiting run go first (the demo).
        checkpoint_seconds: time between checkpoints.
        progress: called with the number of steps done.

    Raises:
        Refusal: if another worker holds the run.
    """
    lock = FileLock(folder.path / "lock")
    try:
        lock.acquire(timeout=2)
    except Timeout as error:
        raise Refusal(f"{folder.path} is being trained by another process; wait for it or cancel it") from error
    turn = Turn(polite)
    try:
        (folder.path / "cancel").unlink(missing_ok=True)
        if folder.status().state == "done":
            return
        folder.say("queued")
        if not turn.take(folder.asked_to_stop):
            folder.say("cancelled", "Cancelled while it waited.")
            return
        folder.say("running")
        _Session(folder, turn, checkpoint_seconds, progress or (lambda step: None)).run()
    except Exception as error:
        folder.say("failed", _sentence(error))
        raise
    finally:
        turn.give_back()
        lock.release()


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (28, 122):
        return "The disk is full. What was written is kept; free some space, then resume."
    return str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"


class _Diverged(Exception):
    def __init__(self, step: int) -> None:
        super().__init__(f"The loss is not a finite number at step {step}; a smaller learning rate may help.")
        self.step = step


class _Session:
    """One worker's time with a run."""

    def __init__(self, folder: RunFolder, turn: Turn, checkpoint_seconds: float, progress: Progress) -> None:
        self.folder, self.turn, self.checkpoint_seconds, self.progress = folder, turn, checkpoint_seconds, progress
        self.recipe = recipe_of(folder)
        environment = folder.environment()
        torch.set_num_threads(int(environment["threads"]))
        self.data: DataSet = load(self.recipe.data)
        self.trainer = Trainer(self.recipe, self.data, torch.device(environment["device"]))
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        self.busy = 0.0

    def run(self) -> None:
        started = time.perf_counter()
        self._resume()
        try:
            finished = self._train()
        except _Diverged as end:
            self.folder.say("diverged", str(end))
            return
        if not finished:
            self.folder.say("cancelled", f"Stopped at step {self.trainer.step}. Resume goes on from there.")
            return
        metrics, embeddings = evaluate(self.trainer, self.folder.metrics()[-1])
        joint = self.trainer.embed_jointly(torch.arange(len(self.data), device=self.trainer.device))
        if joint is not None:
            write_arrays(self.folder.path / "joint.npz", {"joint": joint.cpu().numpy()})
        write_arrays(self.folder.path / "embeddings.npz", embeddings)
        timing = {"seconds": time.perf_counter() - started, "training_seconds": self.busy}
        write_json(self.folder.path / "result.json", {"metrics": metrics, "timing": timing})
        self.folder.say("done")

    def _train(self) -> bool:
        """Steps until the end; False if it was asked to stop, be it within a step."""
        with (self.folder.path / "metrics.jsonl").open("a", encoding="utf-8") as lines:
            try:
                with stopping(self.folder.asked_to_stop):
                    return self._steps(lines)
            except Stopped:
                self._flush(lines)
                self._save()
                return False

    def _steps(self, lines: Any) -> bool:
        trainer, every = self.trainer, self._snapshot_interval()
        flushed = saved = begun = time.perf_counter()
        while True:
            last = trainer.step == self.recipe.steps
            if trainer.step % every == 0 or last:
                self._flush(lines)
                self._write_snapshot()
            if last:
                self.pending.append((trainer.step, trainer.record(trainer.payment())))
                self._flush(lines)
                self.busy += time.perf_counter() - begun
                self._save()
                return True
            self.pending.append((trainer.step, trainer.advance()))
            now = time.perf_counter()
            if now - flushed > FLUSH_SECONDS:
                self._flush(lines)
                flushed = now
            if now - saved > self.checkpoint_seconds:
                self._flush(lines)
                self._save()
                saved = now
            if self.folder.asked_to_stop() or not self._let_others_go(lines):
                self._flush(lines)
                self._save()
                return False

    def _let_others_go(self, lines: Any) -> bool:
        if not (self.turn.polite and self.turn.others_wait()):
            return True
        self._flush(lines)
        self._save()
        self.turn.give_back()
        self.folder.say("queued", "Lets a run of yours go first.")
        if not self.turn.take(self.folder.asked_to_stop):
            return False
        self.folder.say("running")
        return True

    def _flush(self, lines: Any) -> None:
        """Write what is pending. A loss that is not finite ends the run, with the steps before it kept."""
        if not self.pending:
            return
        pending, self.pending = self.pending, []
        names = list(pending[0][1])
        table = torch.stack([torch.stack([row[name] for name in names]) for _, row in pending]).tolist()
        for (step, _), values in zip(pending, table, strict=True):
            if not all(map(math.isfinite, values)):
                lines.flush()
                raise _Diverged(step)
            lines.write(json.dumps({"step": step, **dict(zip(names, values, strict=True))}) + "\n")
        lines.flush()
        self.progress(self.trainer.step)

    def _snapshot_interval(self) -> int:
        size = sum(array.nbytes for array in self.trainer.snapshot().values())
        count = max(2, min(SNAPSHOTS, SNAPSHOT_BYTES // size))
        return max(1, math.ceil(self.recipe.steps / count))

    def _write_snapshot(self) -> None:
        write_arrays(self.folder.path / "snapshots" / f"{self.trainer.step}.npz", self.trainer.snapshot())

    def _save(self) -> None:
        """Write the state with the recipe beside it, spelt as a link spells it: the file then says what it is."""
        state = {"recipe": {knob.address: spell(knob.value) for knob in knobs(self.recipe)}} | self.trainer.state()
        write_atomically(self.folder.path / "checkpoint.pt", lambda file: torch.save(state, file))

    def _resume(self) -> None:
        """Take up the checkpoint, or the parent's state, and drop whatever was written after it."""
        checkpoint = self.folder.path / "checkpoint.pt"
        if checkpoint.exists():
            self.trainer.restore(_checkpoint(self.folder))
        elif self.recipe.parent:
            self._leave_parent()
        self.folder.cut_metrics(self.trainer.step)
        for step in self.folder.snapshots():
            if step > self.trainer.step:
                (self.folder.path / "snapshots" / f"{step}.npz").unlink()
        self.progress(self.trainer.step)

    def _leave_parent(self) -> None:
        """Start where the parent was at `from_step`, with its record up to there."""
        parent, at = RunFolder(runs_home() / self.recipe.parent), self.recipe.from_step
        _take_over(self.trainer, state_at(parent, at, self.trainer.device))
        rows = "".join(json.dumps(row) + "\n" for row in parent.metrics() if row["step"] < at)
        write_atomically(self.folder.path / "metrics.jsonl", lambda file: file.write(rows.encode()))
        for name in (f"{step}.npz" for step in parent.snapshots() if step < at):
            content = (parent.path / "snapshots" / name).read_bytes()
            write_atomically(self.folder.path / "snapshots" / name, lambda file, content=content: file.write(content))


def state_at(folder: RunFolder, step: int, device: torch.device) -> Trainer:
    """The trainer of a run before its step `step`: from its checkpoint if that is not later, else replayed."""
    recipe = recipe_of(folder)
    if recipe.parent and step <= recipe.from_step:
        return state_at(RunFolder(runs_home() / recipe.parent), step, device)
    trainer = Trainer(recipe, load(recipe.data), device)
    state = _checkpoint(folder) if (folder.path / "checkpoint.pt").exists() else None
    if state is not None and state["step"] <= step:
        trainer.restore(state)
    elif recipe.parent:
        _take_over(trainer, state_at(RunFolder(runs_home() / recipe.parent), recipe.from_step, device))
    while trainer.step < step:
        trainer.advance()
    return trainer


def _take_over(child: Trainer, parent: Trainer) -> None:
    """Give a branch its parent's weights and step, and the optimiser's moments where both learn the same parameters.

    Another mixing or method begins with nothing kept, and its teacher as the networks are.
    """
    state = parent.state()
    if child.learned.ranges != parent.learned.ranges:
        state |= {"learned": child.learned.state_dict(), "optimiser": child.optimiser.state_dict()}
    if not _same_companion(child, state["companion"]):
        state |= {"companion": child.state()["companion"], "optimiser": child.optimiser.state_dict()}
    if child.recipe.mixing != parent.recipe.mixing:
        state["memory"] = {}
    if child.recipe.method != parent.recipe.method:
        state |= {"kept": {}, "teacher": {}}
    child.restore(state)
    settings = child.recipe.optimiser
    for group in child.optimiser.param_groups:
        group["weight_decay"] = settings.weight_decay if group["weight_decay"] else 0.0


def _same_companion(child: Trainer, state: Mapping[str, Tensor]) -> bool:
    return not state if child.companion is None else fits(child.companion, state)


def _checkpoint(folder: RunFolder) -> dict[str, Any]:
    file = folder.path / "checkpoint.pt"
    try:
        return torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:
        raise DamagedRun(
            f"{file} is not readable ({type(error).__name__}); delete it to train from the start"
        ) from error
