"""The project on this machine: its root, its code version, and the virtual environment it makes for itself.

Uses the standard library alone, since it runs before anything is installed.
"""

import hashlib
import os
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
OLDEST = (3, 11)
# What is computed here is small: a second thread costs more in waiting than it saves. Read when numpy and torch load.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
# Losses may be pasted where this variable is "on", and only in an app that nobody else reaches.
PASTE, PASTE_LINE, THIS_MACHINE = "PUSHPULL_PASTE", "python3 -m dashboard --paste", "127.0.0.1"


def python() -> Path:
    """The interpreter inside the environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(requirements: Path) -> str:
    """Hash of everything that decides what is installed: the Python version and each file named with `-r`."""
    text = f"{sys.version_info[:2]}"
    pending = [requirements]
    while pending:
        file = pending.pop()
        content = file.read_text(encoding="utf-8")
        text += content
        pending += [file.parent / line[3:].strip() for line in content.splitlines() if line.startswith("-r ")]
    return hashlib.sha256(text.encode()).hexdigest()


def ensure(requirements: Path) -> Path:
    """Make the environment if it is missing or older than `requirements`, and return its interpreter.

    Raises:
        SystemExit: with one sentence, if Python is too old, the environment cannot be made, or pip fails.
    """
    if sys.version_info < OLDEST:
        raise SystemExit(f"Python {sys.version.split()[0]} is too old: Pushpull needs 3.11 or newer.")
    stamp = VENV / f"installed-{requirements.parent.name}.txt"
    wanted = fingerprint(requirements)
    if python().exists() and stamp.exists() and stamp.read_text() == wanted:
        return python()
    print("Preparing the environment in .venv (once; torch is large) ...", file=sys.stderr, flush=True)
    try:
        venv.create(VENV, with_pip=True, clear=not python().exists())
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(
            f"Could not make a virtual environment in {VENV} ({error}). On Debian and Ubuntu: apt install python3-venv."
        ) from error
    install = [python(), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", requirements]
    if subprocess.call(install) != 0:
        raise SystemExit("pip could not install the requirements; its message stands above. Run the command again.")
    stamp.write_text(wanted)
    return python()


@cache
def code_version() -> str:
    """Hash of the sources of `core`: another line of code is another run."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "core").rglob("*.py")):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def hand_over(command: list[str | Path], **environment: str) -> int:
    """Become `command`, started in the project's root; on Windows, run it and return its exit code."""
    os.chdir(ROOT)
    words, variables = [str(word) for word in command], os.environ | environment
    if os.name != "nt":
        os.execve(words[0], words, variables)
    return subprocess.call(words, env=variables)
