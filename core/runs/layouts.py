"""Maps by UMAP from one long-lived process, since importing and compiling take seconds and a map a fraction of one.

home()/layouts/
  wanted/<key>.npz  a request: embeddings, start and settings; it stays until it is answered or withdrawn
  <key>.npz         its answer: coordinates and trustworthiness
  <key>.json        or a sentence that says why there is none
  state.json        what the worker is doing
  lock              held by the worker for as long as it lives

A key is the hash of all that decides the answer, so a map is made once.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from core.diagnostics.arrays import Array
from core.diagnostics.maps import COLD_EPOCHS
from core.diagnostics.trust import trustworthiness
from core.environment import code_version
from core.home import home
from core.runs import launch
from core.runs.folder import DamagedRun, read_arrays, write_arrays, write_json
from core.runs.locks import is_held

MEASURED = 2_000
_NEAR = 5
_GRACE = 15.0
_USUAL_WARM_UP = 20.0

Doing = Literal["asleep", "starting", "warming", "ready", "working", "gone"]


@dataclass(frozen=True, eq=False)
class Wanted:
    """A map that is asked for: `x` (N, D) float32, N at least 3; `start` (N, 2) float32 or None for PCA's.

    `neighbours`, `min_dist` and `epochs` are those of `core.diagnostics.maps.umap_layout`.
    """

    x: np.ndarray
    start: np.ndarray | None = None
    neighbours: int = 15
    min_dist: float = 0.1
    epochs: int = COLD_EPOCHS
    seed: int = 0

    @property
    def settings(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in ("neighbours", "min_dist", "epochs", "seed")}

    @cached_property
    def key(self) -> str:
        """24 hex digits that depend on the embedding, the start, the settings and the code."""
        place = None if self.start is None else self.start.shape
        known = json.dumps([self.settings, self.x.shape, place, code_version()])
        digest = hashlib.sha256(known.encode())
        for array in (self.x, self.start):
            if array is not None:
                digest.update(np.ascontiguousarray(array, dtype=np.float32).tobytes())
        return digest.hexdigest()[:24]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A map: `coordinates` (N, 2) float32, `trust` by `sampled_trust`; `tiny`: PCA's, since the items hardly differ."""

    coordinates: np.ndarray
    trust: float
    tiny: bool


@dataclass(frozen=True)
class Worker:
    """What the worker is doing, for how many seconds, and how many its last warm-up took.

    *asleep*: left on its own account, or never started. *gone*: it was at work and is not there any more.
    """

    doing: Doing
    seconds: float
    warm_up: float


def layouts_home() -> Path:
    """Where requests and maps live."""
    return home() / "layouts"


def request_file(key: str) -> Path:
    return layouts_home() / "wanted" / f"{key}.npz"


def answer_file(key: str) -> Path:
    return layouts_home() / f"{key}.npz"


def reason_file(key: str) -> Path:
    return layouts_home() / f"{key}.json"


def sample(n: int) -> np.ndarray:
    """(min(n, 2000),) rows, evenly spread over all n: what the trustworthiness of a map is measured on."""
    return np.arange(n) if n <= MEASURED else np.linspace(0, n - 1, MEASURED).round().astype(int)


def sampled_trust(x: Array, layout: Array) -> float:
    """Trustworthiness of a map (N, dims) of the embeddings (N, D), N at least 3, measured on the rows of `sample`."""
    rows = sample(len(x))
    return trustworthiness(x[rows], layout[rows], neighbours=min(_NEAR, (len(rows) - 1) // 2))


def ask(wanted: Wanted) -> str:
    """Put in a request and return its key, unless it waits already or there is an answer or a failure."""
    key = wanted.key
    if not any(file(key).exists() for file in (answer_file, reason_file, request_file)):
        place = {} if wanted.start is None else {"start": wanted.start}
        write_arrays(request_file(key), {"x": wanted.x, **place, **wanted.settings})
    return key


def find(key: str) -> Drawn | None:
    """The map, or None while there is none; one that cannot be read is forgotten, so that it can be asked for again."""
    arrays = arrays_of(answer_file(key))
    if arrays is None:
        answer_file(key).unlink(missing_ok=True)
        return None
    return Drawn(arrays["coordinates"], float(arrays["trust"]), bool(arrays["tiny"]))


def failure(key: str) -> str:
    """Why there is no map, in a sentence; empty where nothing went wrong."""
    try:
        return str(json.loads(reason_file(key).read_text(encoding="utf-8"))["message"])
    except (OSError, ValueError, KeyError):
        return ""


def is_waiting(key: str) -> bool:
    """Whether the request is there and not answered yet."""
    return request_file(key).exists()


def withdraw(key: str) -> None:
    """Forget a request or its failure; what the worker is just making for it is dropped."""
    request_file(key).unlink(missing_ok=True)
    reason_file(key).unlink(missing_ok=True)


def worker() -> Worker:
    """What the worker is doing now."""
    try:
        said = json.loads((layouts_home() / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = {}
    doing, seconds = said.get("doing", "asleep"), max(0.0, time.time() - said.get("at", 0))
    if not is_held(layouts_home() / "lock"):
        begins = doing == "starting" and seconds < _GRACE
        doing = doing if begins or doing == "asleep" else "gone"
    return Worker(doing, seconds, said.get("warm_up", _USUAL_WARM_UP))


def start() -> None:
    """Start the worker in a process of its own, unless there is one."""
    now = worker()
    if now.doing in ("asleep", "gone"):
        say("starting", now.warm_up)
        launch.detach(["layout"], layouts_home() / "log.txt")


def say(doing: Doing, warm_up: float) -> None:
    """Write what the worker is doing."""
    write_json(layouts_home() / "state.json", {"doing": doing, "at": time.time(), "warm_up": warm_up})


def arrays_of(file: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file; None where it is not there or not readable."""
    try:
        return read_arrays(file)
    except DamagedRun:
        return None
