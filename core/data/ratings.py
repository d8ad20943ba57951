"""Ratings of items by users: read from a stranger's file, with the line and the column of what is wrong, and split."""

import hashlib
import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from core.refusal import Refusal
from core.streams import stream

LARGEST = 500_000_000
LIKED = 4.0
TEST, VALIDATION = 0.25, 0.1
FEWEST = 20
COLUMNS = ("user", "item", "rating", "time")
INSIDE: tuple[tuple[str, str], ...] = (("u.data", "\t"), ("ratings.dat", "::"), (".inter", "\t"), ("ratings.csv", ","))


class BadRatings(Refusal):
    """A file that holds no ratings; one sentence with its line and column."""


@dataclass(frozen=True)
class Ratings:
    """R ratings, the last one of a user for an item alone.

    `user`, `item` (R,) int64 from 0 to `users`, `items`; `value` (R,) float32; `time` (R,) float64, or None where the
    file has none; `digest`: sha256 of the file.
    """

    user: Tensor
    item: Tensor
    value: Tensor
    time: Tensor | None
    users: int
    items: int
    digest: str


@dataclass(frozen=True)
class Parts:
    """Which ratings belong to which part, (R,) bool each; no rating is in two."""

    train: Tensor
    validation: Tensor
    test: Tensor


@lru_cache(maxsize=2)
def read(path: str) -> Ratings:
    """The ratings in `ml-100k.zip`, `ml-1m.zip`, an `.inter` file, or a CSV of user, item, rating and perhaps time.

    Raises:
        BadRatings: naming the line and the column of the first thing that is wrong.
    """
    content = _content(Path(path))
    text, mark = _text(Path(path), content)
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    last: dict[tuple[int, int], tuple[float, float | None]] = {}
    for user, item, value, time in _lines(text, mark):
        key = users.setdefault(user, len(users)), items.setdefault(item, len(items))
        last[key] = value, time
    _check(last)
    times = [time for _, time in last.values()]
    return Ratings(
        torch.tensor([user for user, _ in last]),
        torch.tensor([item for _, item in last]),
        torch.tensor([value for value, _ in last.values()]),
        None if None in times else torch.tensor(times, dtype=torch.float64),
        len(users),
        len(items),
        hashlib.sha256(content).hexdigest(),
    )


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise BadRatings(f"{path} is larger than {LARGEST // 10**6} MB; give a smaller file of ratings")
        return path.read_bytes()
    except OSError as error:
        raise BadRatings(f"{path} cannot be read ({error.strerror}); name a file of ratings with --ratings") from error


def _text(path: Path, content: bytes) -> tuple[str, str]:
    """The table as text, and what stands between its columns."""
    mark = ","
    if content[:2] == b"PK":
        content, mark = _unzipped(path, content)
    elif path.suffix in (".inter", ".tsv", ".data"):
        mark = "\t"
    elif path.suffix == ".dat":
        mark = "::"
    try:
        return content.decode("utf-8-sig"), mark
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadRatings(f"{path}, line {line} is not UTF-8 text; save the ratings as UTF-8 CSV") from error


def _unzipped(path: Path, content: bytes) -> tuple[bytes, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                mark = next((mark for end, mark in INSIDE if member.filename.endswith(end)), None)
                if mark is None:
                    continue
                if member.file_size > LARGEST:
                    raise BadRatings(f"{member.filename} in {path} is larger than {LARGEST // 10**6} MB; give less")
                return archive.read(member), mark
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadRatings(f"{path} is a damaged zip file; download ml-100k.zip or ml-1m.zip again") from error
    raise BadRatings(f"{path} holds no ratings; expected u.data, ratings.dat or ratings.csv in it: use ml-100k.zip")


def _lines(text: str, mark: str) -> Iterator[tuple[str, str, float, float | None]]:
    """User, item, rating and time of each line, after a heading if there is one."""
    width = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split(mark)]
        if not width:
            width = _width(cells, mark)
            if not _is_number(cells[2]):
                continue
        if len(cells) != width:
            raise BadRatings(f"line {number} has {len(cells)} columns where the first has {width}; mend that line")
        yield _row(number, cells)


def _width(first: Sequence[str], mark: str) -> int:
    if len(first) < 3:
        shown = {"\t": "tabs"}.get(mark, f"'{mark}'")
        raise BadRatings(
            f"line 1 has {len(first)} column{'s' * (len(first) != 1)}; expected user, item, rating and perhaps time, "
            f"set apart by {shown}: mend the file"
        )
    return len(first)


def _row(number: int, cells: Sequence[str]) -> tuple[str, str, float, float | None]:
    for column in (0, 1):
        if not cells[column]:
            raise BadRatings(
                f"line {number}, column {column + 1} ({COLUMNS[column]}) is empty; fill it or drop the line"
            )
    value = _number(number, 2, cells)
    return cells[0], cells[1], value, _number(number, 3, cells) if len(cells) > 3 else None


def _number(number: int, column: int, cells: Sequence[str]) -> float:
    if not _is_number(cells[column]):
        raise BadRatings(
            f"line {number}, column {column + 1} ({COLUMNS[column]}) is '{cells[column][:40]}'; expected a number: "
            "mend that line"
        )
    return float(cells[column])


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _check(last: dict[tuple[int, int], tuple[float, float | None]]) -> None:
    liked = sum(value >= LIKED for value, _ in last.values())
    if liked < FEWEST:
        raise BadRatings(
            f"column 3 (rating) holds {liked} ratings of {LIKED:g} or more; expected at least {FEWEST} on a scale from "
            "1 to 5: give more ratings"
        )


def parts(ratings: Ratings, how: Literal["random", "time"], seed: int = 0) -> Parts:
    """Train, validation and test ratings: 65, 10 and 25 %.

    Args:
        ratings: all of them.
        how: at random; or by time, where of each user the latest 25 % are for the test and the 10 % before them for
            validation, each rounded down.
        seed: address of the draw.

    Raises:
        BadRatings: for a split by time of ratings without times.
    """
    n = len(ratings.user)
    if how == "random":
        order = torch.randperm(n, generator=stream(seed, "ratings", "split"))
        rank = torch.empty(n, dtype=torch.int64).index_copy(0, order, torch.arange(n))
        test, held = rank < round(TEST * n), rank < round((TEST + VALIDATION) * n)
    else:
        if ratings.time is None:
            raise BadRatings("the file has no column 4 (time); add one, or split at random with --split random")
        from_end = _from_end(ratings.user, ratings.time)
        count = torch.bincount(ratings.user, minlength=ratings.users)[ratings.user]
        last = (TEST * count).long()
        test, held = from_end < last, from_end < last + (VALIDATION * count).long()
    return Parts(~held, held & ~test, test)


def _from_end(user: Tensor, time: Tensor) -> Tensor:
    """(R,) how many ratings of the same user are later; of equal times, the later line is the later one."""
    by_time = time.argsort(stable=True)
    order = by_time[user[by_time].argsort(stable=True)]
    count = torch.bincount(user)
    ends = count.cumsum(0)[user[order]]
    return torch.empty_like(user).index_copy(0, order, ends - 1 - torch.arange(len(user)))
