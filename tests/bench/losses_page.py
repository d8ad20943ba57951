"""The Losses page at N = 64: opening a loss and moving a knob, from the hand to the last change on the screen.

The screen is a real browser's, so the time holds the server, the socket and the drawing. Beside it the CPU of what the
page computes anew, over that of one step of the loss: forward, backward and the motion of its pairs.
"""

import logging
import statistics
import tempfile
import time

import torch
from playwright.sync_api import Page, sync_playwright

from core.environment import ROOT
from tests.bench.lab import REST, STILL, moves, settle
from tests.bench.pages import cpu, served
from tests.bench.paired import ratio
from tests.suite import browser

OPENED = (1, 2, 3, 0)  # places in the list
SLIDERS = ("Closeness ρ", "Temperature τ")


def openings(page: Page, pid: int) -> tuple[float, float]:
    """Median seconds from a click on a loss to the last change of the page, and the server's CPU for one."""
    spent, before = [], cpu(pid)
    for place in OPENED:
        started = page.evaluate("() => performance.now()")
        page.locator("[class*=st-key-open_] button").nth(place).click()
        page.wait_for_function(STILL, arg=[started, REST])
        spent.append((page.evaluate("() => window.changed") - started) / 1000)
    return statistics.median(spent), (cpu(pid) - before) / len(OPENED)


def on_screen() -> list[tuple[str, float, str]]:
    found = []
    with (
        tempfile.TemporaryDirectory() as home,
        served(str(ROOT / "dashboard" / "app.py"), home) as (url, pid),
        sync_playwright() as play,
    ):
        window = play.chromium.launch(executable_path=browser() or None, args=["--no-sandbox"])
        page = window.new_page(viewport={"width": 1280, "height": 1700})
        settle(page, f"{url}/losses?v=1&losses.n=64", SLIDERS[0])
        seen, used = openings(page, pid)
        found += [("opening a loss: seconds on the screen", seen, "<= 0.3"), ("opening a loss: CPU", used, "<= 0.3")]
        settle(page, f"{url}/losses?v=1&losses.n=64&losses.open=nt_xent", SLIDERS[0])
        for name in SLIDERS:
            seen, used = moves(page, name, pid)
            found += [
                (f"{name}: seconds on the screen", seen, "<= 0.15"),
                (f"{name}: the server's CPU", used, "<= 0.15"),
            ]
        window.close()
    return found


def computed() -> list[tuple[str, float, str]]:
    """CPU seconds of what a knob makes the page compute anew, and parts of it beside one look at the batch."""
    logging.disable(logging.CRITICAL)  # Streamlit warns that no page is being served
    torch.set_num_threads(1)
    from core.diagnostics import loss_paths
    from core.diagnostics.loss_lens import Sample, lens
    from core.losses.registry import LOSSES
    from dashboard import loss_view

    p, s = LOSSES["nt_xent"].params(), Sample(64)
    road = loss_paths.path(p, s)
    assert road is not None
    spent = []
    for k in range(9):
        fresh = Sample(64, 0.3 + 0.01 * k)
        started = time.process_time()
        loss_view.look(p, fresh)
        loss_view.along(p, fresh, 0)
        spent.append(time.process_time() - started)
    return [
        ("NT-Xent: dots and curves of a moved knob, CPU", statistics.median(spent), "<= 0.1"),
        ("curves / one look", ratio(lambda: loss_paths.along(road), lambda: lens(p, s), times=(1, 10)), "<= 40"),
        ("surface / one look", ratio(lambda: loss_paths.surface(road), lambda: lens(p, s), times=(1, 10)), "<= 60"),
    ]


def run() -> list[tuple[str, float, str]]:
    return computed() + on_screen()
