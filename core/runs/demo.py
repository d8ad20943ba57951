"""The run of the Start page: one, shared by everyone who opens it, and found again without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from core.environment import ROOT, code_version
from core.home import home
from core.runs.folder import RunFolder, runs_home, write_arrays, write_json
from core.runs.launch import detach

PRESETS = ROOT / "assets" / "presets.json"
LOSS = {"loss.kind": "info_nce", "loss.temperature": "0.15"}


def presets() -> dict[str, list[dict[str, Any]]]:
    """Data and lessons that the pages offer, each with the part of a link that it stands for."""
    return json.loads(PRESETS.read_text(encoding="utf-8"))


def first_link() -> dict[str, str]:
    """What the app opens on: the first data preset, with InfoNCE."""
    return presets()["data"][0]["link"] | LOSS


def _pointer() -> Path:
    return home() / "demo.json"


def find() -> RunFolder | None:
    """The demo's run as this version of the code made it, or None."""
    try:
        known = json.loads(_pointer().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    folder = RunFolder(runs_home() / known["id"])
    return folder if known["code"] == code_version() and folder.path.exists() else None


def remember(folder: RunFolder) -> None:
    """Let `find` find it."""
    write_json(_pointer(), {"id": folder.path.name, "code": code_version()})


def record(folder: RunFolder, path: Path) -> None:
    """Write the film that the Start page shows until the demo has been trained: every third recorded step."""
    steps = folder.snapshots()[::3]
    frames = [folder.snapshot(step) for step in steps]
    first, second = [name for name in frames[0] if name.startswith("z.")][:2]
    arrays = {"steps": np.array(steps), "items": frames[0]["items"]}
    arrays |= {"pictures": np.stack([f[first] for f in frames]), "names": np.stack([f[second] for f in frames])}
    write_arrays(path, arrays)


def start() -> None:
    """Train the demo in a process of its own, giving way to any run that a person starts."""
    detach(["demo"], home() / "demo.log")
