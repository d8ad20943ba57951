"""The process that draws maps by UMAP: it warms up once, answers the requests of `core.runs.layouts`, and leaves."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from core.diagnostics.maps import umap_layout
from core.runs.folder import write_arrays, write_json
from core.runs.layouts import answer_file, arrays_of, layouts_home, reason_file, sampled_trust, say, worker

IDLE_SECONDS = 600.0
KEPT = 1_000
THREADS = 2  # for the neighbours of many items, which are the same with any number
_PATIENCE = 0.05


def serve(idle_seconds: float = IDLE_SECONDS) -> None:
    """Be the worker: warm up, answer requests, the newest first, and leave after `idle_seconds` without any.

    Returns at once where another worker holds the lock. A map that fails is answered by a sentence.
    """
    layouts_home().mkdir(exist_ok=True)
    lock = FileLock(layouts_home() / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return
    try:
        torch.set_num_threads(min(THREADS, os.cpu_count() or 1))
        warm_up = _warm_up(worker().warm_up)
        _prune()
        _answer_all(idle_seconds, warm_up)
        say("asleep", warm_up)
    finally:
        lock.release()


def _answer_all(idle_seconds: float, warm_up: float) -> None:
    """Answer what is there and what comes, until nothing has come for a while."""
    say("ready", warm_up)
    since = time.monotonic()
    while True:
        waiting = sorted((layouts_home() / "wanted").glob("[!.]*.npz"), key=_newest_first)
        if waiting:
            say("working", warm_up)
            _serve_one(waiting[0])
            say("ready", warm_up)
            since = time.monotonic()
        elif time.monotonic() - since >= idle_seconds:
            return
        else:
            time.sleep(_PATIENCE)


def _warm_up(usual: float) -> float:
    """Import and compile with a map of a few points; the seconds it took."""
    say("warming", usual)
    begun = time.monotonic()
    umap_layout(torch.linspace(0, 1, 96).sin().reshape(32, 3))
    return time.monotonic() - begun


def _serve_one(request: Path) -> None:
    """Answer one request. Whoever withdrew it meanwhile gets nothing."""
    asked, key = arrays_of(request), request.stem
    if asked is not None and not answer_file(key).exists():
        try:
            answer, reason = _draw(asked), ""
        except (ValueError, RuntimeError, MemoryError) as error:
            answer, reason = {}, f"There is no such map: {error}"
        if request.exists() and reason:
            write_json(reason_file(key), {"message": reason})
        elif request.exists():
            write_arrays(answer_file(key), answer)
    request.unlink(missing_ok=True)


def _draw(asked: dict[str, np.ndarray]) -> dict[str, Any]:
    x, settings = asked["x"], {name: asked[name].item() for name in ("neighbours", "min_dist", "epochs", "seed")}
    found = umap_layout(x, asked.get("start"), **settings)
    coordinates = found.coordinates.float().numpy()
    return {"coordinates": coordinates, "trust": sampled_trust(x, coordinates), "tiny": found.tiny}


def _newest_first(file: Path) -> float:
    """Where a file stands in the order; last where it has just been withdrawn."""
    try:
        return -file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _prune() -> None:
    """Keep the newest answers."""
    for file in sorted(layouts_home().glob("[!.]*.npz"), key=_newest_first)[KEPT:]:
        file.unlink(missing_ok=True)
