"""A real server, a real browser, and nothing that leaves this machine."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, ViewportSize, WebSocket, expect

from core.data.loading import load
from core.environment import ROOT
from core.runs import demo
from core.runs.folder import RunFolder
from core.runs.identity import run_id
from core.runs.worker import prepare, work
from tests.dashboard.apps import SMALL, recipe_of

PATIENCE = 60
TICK = 0.05
DEMO = {"data.items": "8", "encoder.dim": "2", "encoder.image.width": "4", "steps": "60"}
LONG = SMALL | {"loss.kind": "info_nce", "steps": "100000"}
# Streamlit asks for these beside a page's own address first, and then finds them at the root.
KNOWN = ("/_stcore/host-config", "/_stcore/health")
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
expect.set_options(timeout=PATIENCE * 1000)


def until(what: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for something to become true, asking again and again."""
    end, pause = time.monotonic() + patience, threading.Event()
    while not what():
        assert time.monotonic() < end, f"waited {patience} s in vain"
        pause.wait(TICK)


@dataclass
class Server:
    """The app on a port of its own, with a home of its own."""

    home: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, and wait until it answers."""
        with self.home.with_name(f"{self.home.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(self.port)],
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=log,
            )
        until(self._answers)

    def environment(self) -> dict[str, str]:
        return os.environ | {"PUSHPULL_HOME": str(self.home), "HOME": str(self.home)}

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def run(self, link: dict[str, str]) -> RunFolder:
        """Where the run of a link is, or will be."""
        recipe = recipe_of(link)
        return RunFolder(self.home / "runs" / run_id(recipe, load(recipe.data).digest))

    def stop_trainers(self) -> None:
        """Ask every run of this home to stop, and wait until none is alive."""
        for path in (self.home / "runs").glob("[0-9a-f]*"):
            run = RunFolder(path)
            if run.is_alive() or run.status().state == "queued":
                run.ask_to_stop()
                until(lambda run=run: not run.is_alive())


def a_server(home: Path) -> Iterator[Server]:
    home.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(home, free.getsockname()[1])
    server.start()
    try:
        yield server
    finally:
        server.kill()
        server.stop_trainers()


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """One for all tests; its demo is small and done, so that it leaves the processor to the tests."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHPULL_HOME", str(home))
        folder = prepare(recipe_of(DEMO))
        work(folder)
        demo.remember(folder)
    yield from a_server(home)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Iterator[Server]:
    """One on a machine that had never seen the app."""
    yield from a_server(tmp_path_factory.mktemp("fresh") / "home")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args) -> dict:
    """Chromium of this machine, or Playwright's own where there is no other; a test without a browser fails."""
    found = os.environ.get("PUSHPULL_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    more = {"executable_path": found} if found else {}
    return browser_type_launch_args | more | {"args": [*QUIET, "--no-first-run"]}


@dataclass
class Watch:
    """What a visit must not do: ask another machine for anything, or complain in the console."""

    url: str
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def request(self, request: Request | WebSocket) -> None:
        here = (self.url, self.url.replace("http", "ws", 1), "data:", "blob:")
        if not request.url.startswith(here):
            self.outside.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith(KNOWN):
            self.errors.append(f"{message.text} ({message.location['url']})")

    def failed(self, error: Error) -> None:
        self.errors.append(str(error))

    def listen(self, page: Page) -> dict[str, Callable[..., None]]:
        """Watch a page and what it opens; returns what was put there, by event."""
        heard = {
            "request": self.request,
            "websocket": self.request,
            "console": self.console,
            "pageerror": self.failed,
            "popup": self.listen,
        }
        for event, listener in heard.items():
            page.on(event, listener)
        return heard

    @contextmanager
    def over(self, page: Page) -> Iterator[None]:
        """Watch a page for as long as this lasts."""
        heard = self.listen(page)
        yield
        for event, listener in heard.items():
            page.remove_listener(event, listener)


@pytest.fixture(scope="session")
def window(browser: Browser) -> Page:
    """One for all first visits: a new one would compile the whole app again, which takes longer than most tests."""
    return browser.new_context().new_page()


@pytest.fixture
def visit(window: Page, server: Server) -> Iterator[Callable[..., Page]]:
    """Open a page, each further one in a window of its own; nothing may leave this machine, no error be logged."""
    watches: list[Watch] = []
    quiet: list[Watch] = []
    with ExitStack() as visits:

        def visit(
            path: str,
            link: dict[str, str] | None = None,
            *,
            at: Server = server,
            noisy: bool = False,
            color_scheme: str = "light",
            viewport: ViewportSize = WIDE,
        ) -> Page:
            page = window
            if watches:
                page = window.context.new_page()
                visits.callback(page.close)
            watch = Watch(at.url)
            watches.append(watch)
            quiet.extend([] if noisy else [watch])
            visits.enter_context(watch.over(page))
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=color_scheme)
            query = "&".join(f"{name}={value}" for name, value in ({"v": "1"} | (link or {})).items())
            page.goto(f"{at.url}{path}{'?' + query if link is not None else ''}")
            return page

        yield visit
        window.goto("about:blank")
    server.stop_trainers()
    assert [watch.outside for watch in watches] == [[]] * len(watches)
    assert [watch.errors for watch in quiet] == [[]] * len(quiet)


def last_line(run: RunFolder) -> dict[str, float]:
    """The last complete line of a run's metrics, read from the file itself."""
    return json.loads((run.path / "metrics.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()[-1])
