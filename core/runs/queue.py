"""Slots for workers: at most `cores - 1` runs work at once, the others wait, and the demo lets people go first."""

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from core.home import home
from core.runs.locks import is_held

PATIENCE = 0.1


def slot_count() -> int:
    return max(1, (os.cpu_count() or 2) - 1)


def _slots() -> list[FileLock]:
    folder = home() / "slots"
    folder.mkdir(exist_ok=True)
    return [FileLock(folder / f"{index}.lock") for index in range(slot_count())]


def _free_slot() -> FileLock | None:
    for slot in _slots():
        try:
            slot.acquire(timeout=0)
        except Timeout:
            continue
        return slot
    return None


class Turn:
    """A place in the queue, and later a slot. A polite turn (the demo's) gives its slot to whoever waits."""

    def __init__(self, polite: bool = False) -> None:
        self.polite = polite
        self._slot: FileLock | None = None
        self._ticket = home() / "waiting" / f"{os.getpid()}.lock"

    def others_wait(self) -> bool:
        """Whether a person's run waits for a slot."""
        return any(is_held(ticket) for ticket in self._ticket.parent.glob("*.lock") if ticket != self._ticket)

    def take(self, asked_to_stop: Callable[[], bool]) -> bool:
        """Wait for a slot; False if the run was asked to stop meanwhile."""
        with self._waiting():
            while True:
                if asked_to_stop():
                    return False
                if not (self.polite and self.others_wait()) and (slot := _free_slot()):
                    self._slot = slot
                    return True
                time.sleep(PATIENCE)

    def give_back(self) -> None:
        """Leave the slot to the next one."""
        if self._slot:
            self._slot.release()
            self._slot = None

    @contextmanager
    def _waiting(self) -> Generator[None]:
        if self.polite:
            yield
            return
        self._ticket.parent.mkdir(exist_ok=True)
        try:
            with FileLock(self._ticket):
                yield
        finally:
            self._ticket.unlink(missing_ok=True)
