"""Files that were made elsewhere: 20,000 x 512 embeddings of two modalities, 200 MB of weights, and hostile ones.

Wall seconds need two free cores; the CPU seconds beside them, of one thread, stay the same on a busy machine. The
screen is a real browser's, with the server's CPU beside it. `python -m tests.bench.inspect` prints by how many MB a
reading process grows on each hostile file.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Page, expect, sync_playwright

from core.checkpoints import fence, reader
from core.checkpoints.limits import Limits
from core.checkpoints.opened import open_checkpoint
from core.checkpoints.report import report
from core.data import brought
from core.data.embeddings import file_embeddings
from core.data.npz import Npz
from core.diagnostics import embedding_health
from core.diagnostics.maps import pca_layout, umap_layout
from core.environment import ONE_THREAD, ROOT
from core.runs import layouts
from tests.bench.pages import cpu, served
from tests.core.checkpoints.damage import read_all
from tests.core.checkpoints.hostile import HOSTILE
from tests.suite import browser

ITEMS, WIDTH, CLASSES = 20_000, 512, 50
TENSORS, SIDE = 1_000, 224
PATIENCE = 600_000
Row = tuple[str, float, str]


def embeddings(file: Path, seed: int) -> None:
    """Two modalities of the same items in classes that overlap."""
    g = np.random.default_rng(seed)
    labels = g.integers(0, CLASSES, ITEMS)
    shared = g.standard_normal((CLASSES, WIDTH))[labels] + 1.2 * g.standard_normal((ITEMS, WIDTH))
    image, text = ((shared + 0.5 * g.standard_normal((ITEMS, WIDTH))).astype(np.float32) for _ in range(2))
    np.savez(file, image=image, text=text, labels=labels)


def weights(file: Path, seed: int) -> None:
    """About 200 MB in square matrices."""
    g = torch.Generator().manual_seed(seed)
    state = {f"layers.{k // 4}.{'qkvo'[k % 4]}.weight": torch.randn(SIDE, SIDE, generator=g) for k in range(TENSORS)}
    torch.save(state, file)


@contextlib.contextmanager
def timed(rows: list[Row], what: str, goal: str) -> Iterator[None]:
    """Add the wall and the CPU seconds of a block, those of the processes it waited for among them."""
    before, started = os.times(), time.perf_counter()
    yield
    wall, after = time.perf_counter() - started, os.times()
    rows += [(f"{what}: seconds", wall, goal), (f"{what}: CPU", sum(after[:4]) - sum(before[:4]), goal)]


@contextlib.contextmanager
def own_home() -> Iterator[tuple[Path, int]]:
    """A folder with the home in it that all processes use from now on, and the worker for maps, which is warm."""
    before = os.environ.get("PUSHPULL_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PUSHPULL_HOME"] = str(Path(folder) / "home")
        worker = subprocess.Popen([sys.executable, "-m", "core", "layout"], cwd=ROOT, env=os.environ | ONE_THREAD)
        try:
            while layouts.worker().doing != "ready":
                threading.Event().wait(0.1)
            yield Path(folder), worker.pid
        finally:
            worker.kill()
            worker.wait()
            os.environ.pop("PUSHPULL_HOME")
            os.environ |= {} if before is None else {"PUSHPULL_HOME": before}


def computed(folder: Path, worker: int) -> list[Row]:
    """What the page calls, with one thread but for the worker; the clock alone counts the reading behind the fence."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    fence.warm_up()
    with timed(rows, "health card of a file", "<= 20"):
        data, arrays = file_embeddings(Npz(digest=brought.bring([folder / "embeddings.npz"])))
        embedding_health.of_file(data, arrays)
    image = torch.from_numpy(arrays["image"])
    with timed(rows, "map by PCA", "<= 1"):
        pca_layout(image)
    umap_layout(image[:64])
    with timed(rows, "map by UMAP with one thread", "<= 20"):
        umap_layout(image)
    started, used = time.perf_counter(), cpu(worker)
    key = layouts.ask(layouts.Wanted(arrays["image"]))
    while layouts.find(key) is None:
        threading.Event().wait(0.1)
    rows.append(("map by UMAP from the worker: seconds", time.perf_counter() - started, "<= 10"))
    rows.append(("map by UMAP from the worker: its CPU", cpu(worker) - used, "<= 15"))
    with timed(rows, "report on weights", "<= 10"):
        found = report(open_checkpoint(fence.add([folder / "weights.pt"])))
    assert len(found.tensors) == TENSORS
    return rows


def on_screen(folder: Path, _: int) -> list[Row]:
    """From the hand to what is shown, and the server's CPU, which the reading processes are not part of."""
    rows: list[Row] = []
    with served(str(ROOT / "dashboard" / "app.py"), str(folder / "home")) as (url, pid), sync_playwright() as play:
        window = play.chromium.launch(executable_path=browser() or None, args=["--no-sandbox"])
        page = window.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(f"{url}/inspect?v=1")
        settled(page)

        @contextlib.contextmanager
        def seen(what: str, goal: str) -> Iterator[None]:
            started, used = time.perf_counter(), cpu(pid)
            yield
            settled(page)
            rows.append((f"{what}: seconds on the screen", time.perf_counter() - started, goal))
            rows.append((f"{what}: the server's CPU", cpu(pid) - used, goal))

        with seen("health card", "<= 20"):
            page.locator("[class*=st-key-file_] input[type=file]").set_input_files(folder / "embeddings.npz")
            page.locator(".st-key-c_spectrum").wait_for()
        with seen("map by PCA", "<= 10"):
            page.get_by_role("button", name="Its map").click()
            page.locator(".st-key-c_map .nsewdrag").first.wait_for()
        with seen("200 MB of weights", "<= 10"):
            page.goto(f"{url}/inspect?v=1")
            page.locator("[class*=st-key-checkpoint_] input[type=file]").set_input_files(folder / "weights.pt")
            page.get_by_test_id("stDataFrame").wait_for()
        with seen(f"Inspect again, {TENSORS:,} tensors", "<= 2"):
            page.reload()
            page.get_by_test_id("stDataFrame").wait_for()
        window.close()
    return rows


def settled(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def peak(work: Callable[[], object]) -> float:
    """MB of memory that a forked process had at most."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    return os.wait4(child, 0)[2].ru_maxrss * 1024 / 1e6


def growth(work: Callable[[], object]) -> float:
    """MB by which work makes a process larger."""
    return peak(work) - peak(lambda: None)


def appetites() -> dict[str, float]:
    """Growth on every hostile file, and on 1,200 damaged copies of an honest one in turn."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for place, (name, (called, make, _)) in enumerate(HOSTILE.items()):
            folder = Path(scratch) / str(place)
            folder.mkdir()
            make(folder / called)
            asked = {"file": str(folder / called), "out": str(folder), "limits": Limits().model_dump()}
            found[name] = growth(lambda asked=asked: reader.alone(asked))
        honest, copies = Path(scratch) / "honest.pt", Path(scratch) / "copies"
        copies.mkdir()
        torch.save({"weight": torch.zeros(64, 64)}, honest)
        found["damaged copies"] = growth(lambda: (reader.fence_in(10_000, Limits()), read_all(honest, copies)))
    return found


def run() -> Iterator[Row]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.inspect"]
    grown = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    yield f"MB for {max(grown, key=lambda name: grown[name])}, the most", max(grown.values()), "<= 300"
    with own_home() as (folder, worker):
        for part, seed in ((computed, 0), (on_screen, 1)):
            embeddings(folder / "embeddings.npz", seed)
            weights(folder / "weights.pt", seed)
            yield from part(folder, worker)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(appetites()))
