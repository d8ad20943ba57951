"""The gradient lab at N = 64: one move of a slider, from the key to the last change on the screen, and its CPU.

The screen is a real browser's, so the time holds the server, the socket and the drawing, but not the glide of the
charts, which does not touch the page. The CPU is what the page computes for a move that nothing was kept of.
"""

import logging
import statistics
import tempfile
import time

import torch
from playwright.sync_api import Page, sync_playwright

from core.environment import ROOT
from tests.bench.pages import cpu, served
from tests.suite import browser

SLIDERS = ("λ, share of the anchor", "Closeness ρ", "Margin m")
MOVES, REST = 9, 700
WATCH = """() => {
    window.changed = 0;
    const main = document.querySelector('[data-testid=stMain]');
    new MutationObserver(() => { window.changed = performance.now(); })
        .observe(main, {subtree: true, childList: true, attributes: true, characterData: true});
}"""


STILL = "([since, rest]) => performance.now() - Math.max(since, window.changed) > rest"


def moves(page: Page, name: str, pid: int) -> tuple[float, float]:
    """Median seconds from a key on the slider to the last change of the page, and the server's CPU for one move."""
    thumb = page.get_by_role("slider", name=name).first
    thumb.focus()
    spent, before = [], cpu(pid)
    for _ in range(MOVES):
        started = page.evaluate("() => performance.now()")
        thumb.press("ArrowRight")
        page.wait_for_function(STILL, arg=[started, REST])
        spent.append((page.evaluate("() => window.changed") - started) / 1000)
    return statistics.median(spent), (cpu(pid) - before) / MOVES


def settle(page: Page, address: str, slider: str) -> None:
    """Open a page, and wait until its slider is there and nothing changes any more."""
    page.goto(address)
    page.get_by_role("slider", name=slider).first.wait_for(timeout=120_000)
    page.evaluate(WATCH)
    page.wait_for_function(STILL, arg=[page.evaluate("() => performance.now()"), 2 * REST])


def on_screen() -> list[tuple[str, float, str]]:
    found = []
    with (
        tempfile.TemporaryDirectory() as home,
        served(str(ROOT / "dashboard" / "app.py"), home) as (url, pid),
        sync_playwright() as play,
    ):
        window = play.chromium.launch(executable_path=browser() or None, args=["--no-sandbox"])
        page = window.new_page(viewport={"width": 1280, "height": 1700})
        settle(page, f"{url}/gradients?v=1&pairs.part=lab&lab.margin=0.1&lab.closeness=0.3", SLIDERS[0])
        for name in SLIDERS:
            seen, used = moves(page, name, pid)
            found += [
                (f"{name}: seconds on the screen", seen, "<= 0.2"),
                (f"{name}: the server's CPU", used, "<= 0.15"),
            ]
        window.close()
    return found


def computed() -> list[tuple[str, float, str]]:
    """CPU seconds of what the page computes when λ, ρ or m was moved and nothing is kept."""
    logging.disable(logging.CRITICAL)  # Streamlit warns that no page is being served
    torch.set_num_threads(1)
    from dashboard import gap_view as lab
    from dashboard.view import Lab

    def cost(name: str) -> float:
        spent = []
        for k in range(MOVES):
            x = Lab.model_validate({name: 0.51 + 0.01 * k})
            kept = Lab() if name == "lam" else None
            if kept is not None:
                lab.still(lab.setting(kept), 0)
            started = time.process_time()
            s = lab.setting(x)
            lab.still(s, 0)
            lab.moment(s, x.lam, 0)
            lab.hardness(s, 0)
            lab.closed(x.margin, x.temperature, x.rule, x.n, 0)
            spent.append(time.process_time() - started)
        return statistics.median(spent)

    return [(f"{name}: CPU of what a move computes", cost(name), "<= 0.1") for name in ("lam", "closeness", "margin")]


def run() -> list[tuple[str, float, str]]:
    return computed() + on_screen()
