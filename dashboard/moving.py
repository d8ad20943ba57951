"""The moving picture of the Start page: the demo's recorded steps, or a shipped recording until there are some."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.environment import ROOT
from core.runs import demo
from core.runs.folder import DamagedRun, RunFolder

RECORDING = ROOT / "assets" / "recording.npz"
PAUSE = 12


@dataclass(frozen=True)
class Film:
    """Recorded steps of one run: `steps` (S,), `pictures` and `names` (S, n, 2), `items` (n,)."""

    steps: tuple[int, ...]
    pictures: np.ndarray
    names: np.ndarray
    items: np.ndarray
    recorded: bool

    def found(self, index: int) -> int:
        """How many pictures sit nearest to their own name."""
        scores = self.pictures[index] @ self.names[index].T
        return int((scores.argmax(axis=1) == np.arange(len(scores))).sum())


@st.cache_resource(max_entries=2, show_spinner=False)
def _film(folder: str, steps: tuple[int, ...]) -> Film:
    run = RunFolder(demo.runs_home() / folder)
    frames = [run.snapshot(step) for step in steps]
    first, second = [name for name in frames[0] if name.startswith("z.")][:2]
    return Film(
        steps,
        np.stack([frame[first] for frame in frames]),
        np.stack([frame[second] for frame in frames]),
        frames[0]["items"],
        recorded=False,
    )


@st.cache_resource(show_spinner=False)
def _shipped() -> Film:
    with np.load(RECORDING, allow_pickle=False) as arrays:
        steps = tuple(arrays["steps"].tolist())
        return Film(steps, arrays["pictures"], arrays["names"], arrays["items"], recorded=True)


def film() -> Film:
    """What can be shown now; starts the demo where it was never trained, and resumes it unless someone stopped it."""
    folder = demo.find()
    if folder is None:
        _begin(demo_of="new")
        return _shipped()
    status = folder.status()
    if status.state in ("stopped", "failed"):
        _begin(demo_of=folder.path.name + status.state)
    steps = folder.snapshots()
    if len(steps) < 2:
        return _shipped()
    shown = tuple(steps if status.state == "done" else steps[: len(steps) // 8 * 8] or steps[:2])
    try:
        return _film(folder.path.name, shown)
    except DamagedRun:
        return _shipped()


@st.cache_resource(show_spinner=False)
def _begin(demo_of: str) -> str:
    """Start the demo once for each reason to start it."""
    demo.start()
    return demo_of


def frame_index(film: Film, tick: int) -> int:
    """Which recorded step is shown at a tick: forward through the film, then a rest on its last step."""
    return min(tick % (len(film.steps) + PAUSE), len(film.steps) - 1)
