"""Starting a trainer that outlives whoever started it. Knows no torch: the child imports it."""

import os
import subprocess
import sys
from pathlib import Path

from core.environment import ONE_THREAD, ROOT
from core.runs.folder import RunFolder

# Kept until they end, so that none becomes a zombie of a server that lives long.
_children: list[subprocess.Popen[bytes]] = []


def detach(words: list[str], log: Path) -> None:
    """Run `python -m core <words>` in a session of its own, its output going to `log`."""
    _children[:] = [child for child in _children if child.poll() is None]
    with log.open("ab") as sink:
        child = subprocess.Popen(
            [sys.executable, "-m", "core", *words],
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    _children.append(child)


def start(folder: RunFolder) -> None:
    """Start or resume the run in a prepared folder, unless it is finished or being worked on."""
    if folder.status().state == "done" or folder.is_alive():
        return
    folder.say("queued")
    detach(["work", str(folder.path)], folder.path / "log.txt")
