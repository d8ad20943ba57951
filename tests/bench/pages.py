"""G12 and G13: what is imported before the first paint, and the server's CPU for one move of Play's slider.

The slider is moved by its arrow key in a real browser; the CPU is that of the server's process, read from /proc, so
this one runs on Linux alone.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from core.environment import ROOT
from tests.suite import browser

MOVES, ROUNDS = 12, 5
DEFAULTS = ("--runner.postScriptGC", "true")


def imports(code: str) -> float:
    """CPU seconds, with one thread, of a fresh interpreter that runs `code`."""
    before, one = os.times(), os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=one, check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def first_paint() -> list[tuple[str, float, str]]:
    ours = "import streamlit; import core.runs.demo, dashboard.moving, dashboard.panel, dashboard.charts.circle"
    base = "import streamlit, plotly.graph_objects"
    pairs = [(imports(ours), imports(base)) for _ in range(ROUNDS + 1)][1:]
    ratios = sorted(one / other for one, other in pairs)
    seen = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{ours}\nimport sys\nprint(sum(m in sys.modules for m in {HEAVY}))"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [
        ("imports of Start / streamlit and plotly", ratios[len(ratios) // 2], "<= 1.3"),
        ("of torch, sklearn, umap imported by Start", float(seen.stdout), "= 0"),
    ]


HEAVY = ("torch", "sklearn", "umap")


@contextmanager
def served(script: str, home: str, *options: str):
    """Address and process of a served script."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "streamlit", "run", script, "--server.port", str(port), *options]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PUSHPULL_HOME": home}, stdout=quiet, stderr=quiet)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                threading.Event().wait(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()


def cpu(pid: int) -> float:
    """CPU seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def moves(page: Page, pid: int) -> float:
    """CPU seconds of the server for one move of the slider."""
    thumb = page.get_by_role("slider").last
    thumb.focus()
    before = cpu(pid)
    for number in range(MOVES):
        thumb.press("ArrowLeft" if number % 2 == 0 else "ArrowRight")
        threading.Event().wait(0.5)
    return (cpu(pid) - before) / MOVES


def slider() -> list[tuple[str, float, str]]:
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        subprocess.run(
            [sys.executable, "-m", "core", "demo"], cwd=ROOT, env=os.environ | {"PUSHPULL_HOME": home}, check=True
        )
        play = str(ROOT / "dashboard" / "app.py")
        empty, usual = (str(Path(__file__).with_name(name)) for name in ("empty_app.py", "default_app.py"))
        sites = [
            stack.enter_context(served(play, home)),
            stack.enter_context(served(empty, home)),
            stack.enter_context(served(usual, home, *DEFAULTS)),
        ]
        chromium = stack.enter_context(sync_playwright()).chromium
        path = browser()
        window = chromium.launch(executable_path=path or None, args=["--no-sandbox"])
        pages = []
        for (url, pid), place in zip(sites, ("/play", "/", "/play"), strict=True):
            page = window.new_page()
            page.goto(url + place)
            page.get_by_role("slider").last.wait_for(timeout=120_000)
            threading.Event().wait(3)
            moves(page, pid)
            pages.append((page, pid))
        rounds = [[moves(page, pid) for page, pid in pages] for _ in range(ROUNDS)]
        window.close()
    lean = sorted(ours / least for ours, least, _ in rounds)[ROUNDS // 2]
    tidy = sorted(ours / collected for ours, _, collected in rounds)[ROUNDS // 2]
    return [
        ("move of Play's slider / of an empty app's", lean, "<= 2.5"),
        ("move of Play's slider / with Streamlit's collector on", tidy, "<= 0.15"),
    ]


def run() -> list[tuple[str, float, str]]:
    return first_paint() + slider()
