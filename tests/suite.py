"""Runs inside the environment: a browser is found or installed, then pytest takes over."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str:
    """Path of a Chromium, installed if there is none; empty where Playwright keeps its own.

    Raises:
        SystemExit: if no browser can be had. The browser tests are never skipped.
    """
    for attempt in (lambda: None, _from_debian):
        attempt()
        for name in BROWSERS:
            if found := shutil.which(name):
                return found
    if subprocess.call([sys.executable, "-m", "playwright", "install", "chromium"]) == 0:
        return ""
    raise SystemExit(f"No browser: looked for {', '.join(BROWSERS)} and could not install one. Install Chromium.")


def _from_debian() -> None:
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        subprocess.call(["apt-get", "update", "-qq"])
        subprocess.call(["apt-get", "install", "-y", "-qq", "chromium"])


def main() -> int:
    threads = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
    # A hundred processes that start here, and both workers, would compile the project anew.
    bytecode = {"PYTHONDONTWRITEBYTECODE": ""}
    environment = os.environ | threads | bytecode | {"PUSHPULL_BROWSER": browser()}
    asked = sys.argv[1:]
    chosen = asked if any(not word.startswith("-") for word in asked) else ["tests", *asked]
    return subprocess.call(
        [sys.executable, "-m", "pytest", "-n", "2", "--no-loadscope-reorder", *chosen], cwd=ROOT, env=environment
    )


if __name__ == "__main__":
    sys.exit(main())
