"""A run on disk: one folder, readable at any moment, by anyone, without torch.

recipe.json       the recipe and its schema version
environment.json  device, threads, versions: what bits may depend on
state.json        queued, running, done, ...
metrics.jsonl     one line a step; a torn last line is ignored
snapshots/        arrays of the probe items, one file a recorded step
checkpoint.pt     the newest state to resume from
embeddings.npz    all items, once done
joint.npz         all items by the joint encoder, where there is one
result.json       metrics and timing, once done
lock              held by the worker for as long as it lives
cancel            present where someone asked it to stop
"""

import json
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal
from zipfile import BadZipFile

import numpy as np

from core.home import home
from core.refusal import Refusal
from core.runs.locks import is_held

SCHEMA_VERSION = 1
GRACE = 15.0
SETTLED = 10**9  # nanoseconds after which a folder's time of change tells that nothing was added since

State = Literal["queued", "running", "done", "cancelled", "diverged", "failed", "stopped", "damaged"]
RESUMABLE: tuple[State, ...] = ("cancelled", "failed", "stopped")
MOVING: tuple[State, ...] = ("queued", "running")


class DamagedRun(Refusal):
    """A folder that cannot be read as a run; the message says what was seen and what to do."""


@dataclass(frozen=True)
class Status:
    """What a run is doing: its state, the last step written, the steps asked for, and a sentence where one helps."""

    state: State
    step: int
    steps: int
    message: str = ""


def write_atomically(path: Path, write: Callable[[BinaryIO], Any], *, durable: bool = True) -> None:
    """Fill `path` through a neighbour and a rename, so that a reader sees the old content or the new, never a part.

    Args:
        path: the file.
        write: writes the content.
        durable: wait until the disk has it, so that it outlives a power cut too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with neighbour.open("wb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays atomically, uncompressed."""
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays), durable=False)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` atomically."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(path, lambda file: file.write(text.encode()))


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. Reading never changes them."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id, from its environment file, or the folder's name before there is one."""
        return str(self._json("environment.json").get("id", self.path.name))

    def _json(self, name: str) -> dict[str, Any]:
        file = self.path / name
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise DamagedRun(f"{file} is not JSON ({error}); delete the folder or restore the file") from error
        if not isinstance(value, dict):
            raise DamagedRun(f"{file} holds {type(value).__name__}, expected an object; delete the folder")
        return value

    def recipe(self) -> dict[str, Any]:
        """The recipe as plain data.

        Raises:
            DamagedRun: if there is none, or a newer version of Pushpull wrote it.
        """
        recipe = self._json("recipe.json")
        if not recipe:
            raise DamagedRun(f"{self.path} has no recipe.json, so it is not a run; choose a run's folder")
        version = recipe.get("schema_version")
        if version != SCHEMA_VERSION:
            raise DamagedRun(
                f"{self.path} has schema version {version}, and this Pushpull reads version {SCHEMA_VERSION}; "
                f"open it with the version that wrote it"
            )
        return recipe

    def environment(self) -> dict[str, Any]:
        return self._json("environment.json")

    def result(self) -> dict[str, Any]:
        return self._json("result.json")

    def is_alive(self) -> bool:
        """Whether a worker holds the lock; the kernel drops it however the worker dies."""
        return is_held(self.path / "lock")

    def status(self) -> Status:
        """What the run is doing now; a damaged folder is a state, not an error."""
        try:
            steps = int(self.recipe().get("steps", 0))
            said = self._json("state.json")
            rows = self.metrics()
        except DamagedRun as error:
            return Status("damaged", 0, 0, str(error))
        step = int(rows[-1]["step"]) if rows else 0
        state, message = said.get("state", "queued"), said.get("message", "")
        waiting = state == "queued" and time.time() - said.get("at", 0) < GRACE
        if state in MOVING and not waiting and not self.is_alive():
            said = self._json("state.json")
            if said.get("state") in MOVING:
                return Status("stopped", step, steps, "The trainer is gone. Resume goes on from its last checkpoint.")
            state, message = said.get("state", "queued"), said.get("message", "")
        return Status(state, step, steps, message)

    def say(self, state: State, message: str = "") -> None:
        """Write the state."""
        write_json(self.path / "state.json", {"state": state, "message": message, "at": time.time()})

    def metrics(self) -> list[dict[str, float]]:
        """The lines written so far, in order; a torn last line is left out.

        Raises:
            DamagedRun: if a complete line is not JSON.
        """
        file = self.path / "metrics.jsonl"
        try:
            seen = file.stat()
        except FileNotFoundError:
            return []
        return _parse(file, seen.st_size, seen.st_mtime_ns)

    def cut_metrics(self, step: int) -> None:
        """Keep the lines of the steps before `step`."""
        rows = [row for row in self.metrics() if row["step"] < step]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_atomically(self.path / "metrics.jsonl", lambda file: file.write(text.encode()))

    def snapshots(self) -> list[int]:
        """Recorded steps, ascending."""
        place = self.path / "snapshots"
        try:
            changed = place.stat().st_mtime_ns
            settled = time.time_ns() - changed > SETTLED
            return list(_numbered(place, changed) if settled else _numbered.__wrapped__(place, changed))
        except FileNotFoundError:
            return []

    def snapshot(self, step: int) -> dict[str, np.ndarray]:
        """The arrays recorded at `step`.

        Raises:
            DamagedRun: if the file is unreadable.
        """
        return read_arrays(self.path / "snapshots" / f"{step}.npz")

    def embeddings(self) -> dict[str, np.ndarray]:
        """Modality -> (N, D) of all items, after the last step."""
        return read_arrays(self.path / "embeddings.npz")

    def joint(self) -> np.ndarray | None:
        """(N, D) of all items by the joint encoder after the last step, or None where the run has none."""
        file = self.path / "joint.npz"
        return read_arrays(file)["joint"] if file.exists() else None

    def ask_to_stop(self) -> None:
        """Ask the worker to stop; it answers within one step."""
        (self.path / "cancel").touch()

    def asked_to_stop(self) -> bool:
        return (self.path / "cancel").exists()

    def delete(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path)


@lru_cache(maxsize=64)
def _parse(file: Path, size: int, changed: int) -> list[dict[str, float]]:
    complete = file.read_bytes()[:size].rpartition(b"\n")[0]
    rows = []
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise DamagedRun(f"{file}, line {number} is not JSON ({error}); delete the run or resume it") from error
    return rows


@lru_cache(maxsize=64)
def _numbered(place: Path, changed: int) -> tuple[int, ...]:
    """The numbers of the arrays in a folder, ascending; `changed` is when it last did."""
    with os.scandir(place) as entries:
        names = [entry.name.partition(".") for entry in entries]
    return tuple(sorted(int(stem) for stem, _, end in names if end == "npz" and stem.isdigit()))


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `write_arrays` wrote.

    Raises:
        DamagedRun: if it is not there or not readable.
    """
    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error, RuntimeError) as error:
        raise DamagedRun(f"{file} is not readable ({error}); resume the run or delete it") from error


def runs_home() -> Path:
    """Where the user's runs live."""
    return home() / "runs"


def list_runs() -> Iterator[RunFolder]:
    """The user's runs, the newest first."""
    found = [path for path in runs_home().glob("*") if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        yield RunFolder(path)
