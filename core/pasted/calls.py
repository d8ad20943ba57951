"""Asking the process that runs a pasted loss: one process for each text, ended where it asks for too much.

Nothing of a text runs in the process that imports this module; numbers go out, numbers come back.
"""

import atexit
import select
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from core.checkpoints.fence import forks
from core.confined import least_environment, unlimited
from core.environment import ROOT
from core.pasted.source import Source
from core.pasted.wire import receive, send
from core.refusal import Refusal

ALIVE, GLANCE, START, SPARE_ROOM = 3, 0.05, 120.0, 1 << 20
BUSY = 4.0  # how much longer a call may take on a busy machine than it computes
COMMAND = [sys.executable, "-W", "ignore", "-m", "core.pasted.bench"]
XCPU = 24  # the signal that ends a process whose processor time is over
NUMBER = "a number, or one number for each pair"
OF_MEMORY = ("alloc", "memory")


class Bounds(BaseModel):
    """What a pasted loss may ask for."""

    model_config = ConfigDict(frozen=True)

    memory: int = Field(1_000_000_000, ge=1, description="Bytes beyond what its process starts with.")
    seconds: float = Field(5.0, gt=0, description="Processor time for one call.")


class Stopped(Exception):
    """Somebody asked to stop while a call was waited for."""


class Fault(Refusal):
    """What the text itself did wrong; `kind` says which of the faults it was."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """What one call gave.

    `paid` () or (B,), as returned; `slopes` input -> gradient of the paid, weighed; inputs that it did not reach are
    missing. `changed`: inputs that were changed in place; `drew`: whether random numbers were drawn.
    """

    paid: Tensor
    slopes: Mapping[str, Tensor]
    changed: tuple[str, ...]
    drew: bool


_waiting: Callable[[], bool] = bool


@contextmanager
def stopping(asked: Callable[[], bool]) -> Generator[None]:
    """Within it, a call that is waited for is given up as soon as `asked` says so.

    Raises:
        Stopped: out of the call.
    """
    global _waiting
    before, _waiting = _waiting, asked
    try:
        yield
    finally:
        _waiting = before


@dataclass
class Bench:
    """The process of one text: what is written to it, what is read from it, and the way to end it.

    `stop` ends it and gives its exit code, minus the signal where one ended it; `gone` asks whether it has ended.
    """

    sink: IO[bytes]
    source: IO[bytes]
    stop: Callable[[], int]
    gone: Callable[[], bool]
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: str = ""

    def end(self, why: str) -> None:
        """End the process, the first reason being the one that is told."""
        self.ended = self.ended or why
        code = self.stop()
        if code == -XCPU:
            self.ended = "late"
        for stream in (self.sink, self.source):
            with suppress(OSError):
                stream.close()

    def ask(
        self, head: Mapping[str, Any], tensors: Mapping[str, Tensor], seconds: float
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Send a message and wait for its answer.

        Raises:
            EOFError: if the process ended instead; `ended` then says why.
            Stopped: if that is wanted meanwhile.
        """
        room = SPARE_ROOM + 2 * sum(x.numel() * x.element_size() for x in tensors.values())
        with self.lock:
            try:
                with self._watched(seconds):
                    send(self.sink, head, tensors)
                    return receive(self.source, room)
            except (OSError, EOFError, ValueError) as error:
                self.end(type(error).__name__)
                if self.ended == "stopped":
                    raise Stopped from error
                raise EOFError from error

    @contextmanager
    def _watched(self, seconds: float) -> Generator[None]:
        """End the process where it is late or where a stop is asked for, so that nobody waits for it."""
        done, stop, end = threading.Event(), _waiting, time.monotonic() + seconds

        def watch() -> None:
            while not done.wait(GLANCE):
                if stop() or time.monotonic() > end:
                    self.ended = self.ended or ("stopped" if stop() else "late")
                    self.stop()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _fresh() -> Bench:
    """A process that loads torch first."""
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=least_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def stop() -> int:
        process.kill()
        return process.wait()

    return Bench(process.stdin, process.stdout, stop, lambda: process.poll() is not None)


class Warm:
    """A process that has loaded torch and forks one for each text."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair()
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [*COMMAND, str(theirs.fileno())],
            cwd=ROOT,
            env=least_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """Stop it, and all that it has forked."""
        self.control.close()
        self.process.wait()

    def bench(self) -> Bench:
        ours, theirs = socket.socketpair()
        with theirs, self.lock:
            socket.send_fds(self.control, [b"fork"], [theirs.fileno()])
            number = int(self.control.recv(64))

        def stop() -> int:
            with self.lock, suppress(OSError, ValueError):
                self.control.sendall(str(number).encode())
                return int(self.control.recv(64))
            return 0

        with ours:
            sink, source = ours.makefile("wb"), ours.makefile("rb")
        return Bench(sink, source, stop, lambda: bool(select.select([source], [], [], 0)[0]))


_pool: "OrderedDict[tuple[str, Bounds], Bench]" = OrderedDict()
_warm: Warm | None = None
_held = threading.Lock()


def warm_up() -> None:
    """Start the process that forks, so that the first text need not wait for torch to be loaded."""
    if forks():
        with _held:
            _forking()


def _forking() -> Warm:
    """The process that forks, started anew where it has ended; for who holds the lock."""
    global _warm
    if _warm is not None and not _warm.alive:
        _warm.end()
        _warm = None
    if _warm is None:
        _warm = Warm()
    return _warm


@atexit.register
def end_all() -> None:
    """End every process that was started here."""
    global _warm
    with _held:
        while _pool:
            _pool.popitem()[1].end("over")
        if _warm is not None:
            _warm.end()
            _warm = None


def _bench(source: Source, bounds: Bounds) -> Bench:
    """The process of a text, started anew where it has ended; the ones used longest ago are let go."""
    with _held:
        place = source.key, bounds
        bench = _pool.get(place)
        if bench is not None and not bench.ended and not bench.gone():
            _pool.move_to_end(place)
            return bench
        try:
            bench = _forking().bench() if forks() else _fresh()
        except (OSError, ValueError) as error:
            raise Refusal(
                "The process that runs losses of your own could not be started; expected it to: start the app again"
            ) from error
        takes = ["scores"] if source.form == "scores" else ["a", "b"]
        opening = {"text": source.text, "takes": takes} | bounds.model_dump()
        try:
            head, _ = bench.ask(opening, {}, START)
        except EOFError:
            _gone(bench, "Its constants alone", bounds)
        if "raised" in head:
            bench.end("raised")
            _failed(head, "as it was read", bounds)
        _pool[place] = bench
        while len(_pool) > ALIVE:
            _pool.popitem(last=False)[1].end("let go")
        return bench


def call(
    source: Source, given: Mapping[str, Tensor], upstream: Tensor | None = None, bounds: Bounds | None = None
) -> Answer:
    """Have a pasted loss called, in its own process.

    Args:
        source: the text.
        given: `scores` (B, B), or `a` and `b` (B, D), on any device, of any floating type.
        upstream: weights of what is returned, of its shape, whose gradient is asked for; None asks for none.
        bounds: what it may ask for, the usual if None.

    Returns:
        What it gave, on the device and in the type of what it was given.

    Raises:
        Fault: with one sentence, if it raised, returned something else, or had to be stopped.
        Stopped: within `stopping`, if that is wanted.
    """
    bounds = bounds or Bounds()
    first = next(iter(given.values()))
    tensors = {name: value.detach().cpu() for name, value in given.items()}
    if upstream is not None:
        tensors["upstream"] = upstream.detach().cpu()
    of = f"for {len(first)} pairs"
    bench = _bench(source, bounds)
    try:
        head, found = bench.ask({}, tensors, BUSY * bounds.seconds)
    except EOFError:
        _gone(bench, f"It, {of},", bounds)
    if "raised" in head:
        _failed(head, of, bounds)
    paid = _paid(head, found, len(first), of)
    slopes = {name: found[name].to(first) for name in given if name in found and found[name].shape == given[name].shape}
    return Answer(paid.to(first), slopes, tuple(map(str, head.get("changed", ()))), bool(head.get("drew")))


def _paid(head: Mapping[str, Any], found: Mapping[str, Tensor], pairs: int, of: str) -> Tensor:
    """What was returned, if it is what a loss returns."""
    if "paid" not in found:
        raise Fault(
            "returned", f"It returned {head.get('type')!s:.40}, which is no tensor, {of}; expected {NUMBER}: return one"
        )
    paid = found["paid"]
    if not paid.is_floating_point():
        raise Fault("returned", f"It returned {head.get('dtype')!s:.40} {of}; expected {NUMBER}: return real numbers")
    if paid.shape not in ((), (pairs,)):
        raise Fault(
            "shape", f"It returned the shape {tuple(paid.shape)} {of}; expected () or ({pairs},): take a mean or a sum"
        )
    return paid


def _failed(head: Mapping[str, Any], of: str, bounds: Bounds) -> NoReturn:
    kind, said = str(head["raised"])[:40], " ".join(str(head.get("said", "")).split())[:200]
    if kind == "MemoryError" or (kind == "RuntimeError" and any(word in said.lower() for word in OF_MEMORY)):
        _too_large(of, bounds)
    where = f" in line {head['line']}" if head.get("line") else ""
    raise Fault("raised", f"It raised {kind}{where} {of} ({said}); expected {NUMBER}: mend that line")


def _gone(bench: Bench, who: str, bounds: Bounds) -> NoReturn:
    """Say why a process ended."""
    if bench.ended == "late":
        raise Fault(
            "late",
            f"{who} took more than {bounds.seconds:g} s and was stopped; expected a moment: look for a loop that does "
            "not end",
        )
    raise Fault(
        "gone",
        f"{who} ended its process, which may hold {bounds.memory / 1e6:,.0f} MB; expected {NUMBER}: try a simpler one",
    )


def _too_large(of: str, bounds: Bounds) -> NoReturn:
    raise Fault(
        "memory",
        f"It asked for more than {bounds.memory / 1e6:,.0f} MB of memory {of}; expected less: look for a tensor that "
        "grows too fast",
    )


def lacking() -> list[str]:
    """What this system does not limit for such a process, in words; the time limit always holds."""
    return unlimited("files")


def finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())
