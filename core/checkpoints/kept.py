"""The columns of a stranger's table as they are written down, one by one and within the limits."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from core.checkpoints.columns import GAP, Column
from core.checkpoints.limits import Limits
from core.refusal import Refusal


class Kept:
    """The columns of a file, written to `out` one by one, so that memory holds one of them at a time.

    Every method raises a Refusal where the file as a whole is beyond the limits.
    """

    def __init__(self, out: Path, limits: Limits) -> None:
        self.columns: list[Column] = []
        self.more = 0
        self.out, self.limits = out, limits
        self.bytes = self.letters = 0

    def vector(self, name: str, values: np.ndarray) -> None:
        """(N, F) numbers of any type."""
        self._room(4 * values.size)
        with np.errstate(over="ignore"):
            self._numbers(name, "vector", values.astype(np.float32, copy=False), width=values.shape[1])

    def image(self, name: str, values: np.ndarray, gaps: int = 0) -> None:
        """(N, ., ., .) uint8."""
        self._room(values.size)
        self._numbers(name, "image", values, gaps=gaps, why=" × ".join(map(str, values.shape[1:])))

    def single(self, name: str, values: np.ndarray) -> None:
        """(N,) numbers, kept where all are whole."""
        found = whole(values)
        if found is None or not len(found) or (found == GAP).all():
            self.leave(name, len(values), "one column of numbers" if found is None else "nothing in it")
            return
        self._room(found.nbytes)
        given = found[found != GAP]
        gaps = len(found) - len(given)
        self._numbers(name, "whole", found, distinct=len(np.unique(given)), gaps=gaps)

    def texts(self, name: str, values: list[str]) -> None:
        """N strings, each cut to what is kept of one."""
        values = [value[: self.limits.cell] for value in values]
        self.letters += sum(map(len, values))
        distinct = len(set(values) - {""})
        if self.letters > self.limits.letters or not distinct:
            self.leave(name, len(values), "more text than is kept" if distinct else "nothing in it")
        elif file := self._file("json"):
            (self.out / file).write_text(json.dumps(values))
            self._add(name, "text", len(values), file=file, distinct=distinct, gaps=values.count(""))

    def leave(self, name: str, rows: int, why: str) -> None:
        """A column that is of no use."""
        if len(self.columns) < self.limits.pieces:
            self._add(name, "none", rows, why=why)
        else:
            self.more += 1

    def _numbers(self, name: str, form: Any, values: np.ndarray, **said: Any) -> None:
        if file := self._file("npy"):
            np.save(self.out / file, values, allow_pickle=False)
            self._add(name, form, len(values), file=file, **said)

    def _file(self, suffix: str) -> str:
        """A file for the next column; none where there are too many."""
        if len(self.columns) < self.limits.pieces:
            return f"{len(self.columns):03}.{suffix}"
        self.more += 1
        return ""

    def _add(self, name: str, form: Any, rows: int, **said: Any) -> None:
        known = {column.name for column in self.columns}
        name, place = name[:80], 2
        base = name
        while name in known:
            name, place = f"{base} ({place})", place + 1
        self.columns.append(Column(name=name, form=form, rows=rows, **said))

    def _room(self, size: int) -> None:
        self.bytes += size
        if self.bytes > self.limits.unpacked:
            raise too_large(self.bytes, self.limits)


def too_large(size: int, limits: Limits) -> Refusal:
    return Refusal(
        f"The numbers of the file need {size / 1e6:,.0f} MB; expected at most {limits.unpacked / 1e6:,.0f} MB: save "
        "fewer rows or columns"
    )


def whole(values: np.ndarray) -> np.ndarray | None:
    """(N,) numbers as int64 with `GAP` for NaN; None where some are fractions, infinite or too large."""
    if values.dtype.kind in "bi" or (values.dtype.kind == "u" and not (values >= 2**63).any()):
        return values.astype(np.int64)
    given = ~np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if values.dtype.kind != "f" or (np.abs(values[given]) > 2**53).any() or (values[given] % 1 != 0).any():
        return None
    found = np.full(len(values), GAP)
    found[given] = values[given].astype(np.int64)
    return found
