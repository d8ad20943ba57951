"""What the columns of a table are for: a guess that can be read aloud and changed."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.checkpoints.columns import LABELS, NAMES, Column
from core.data.contents import MOST

# Columns of few values that are no classes of the items.
NO_LABELS = ("split", "subset", "set", "fold", "partition")
CLASSES, ROWS_PER_CLASS = 200, 5
RESERVED = ("labels", "label", "y", "names")
SHOWN = 4

Quote = Callable[[str], str]


class Uses(BaseModel):
    """Which column is what. `modalities`: column -> name of the modality; what is named nowhere is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modalities: dict[str, str]
    labels: str = ""
    names: str = ""


class Seen(BaseModel):
    """A modality as it was read.

    `shape` is that of one row, in words. Of a vector, `normalised`: every row has length 1 within 1 %; `constant`: how
    many of its numbers are the same in all rows; `repeats`: how many rows equal an earlier one; `zeros`: all 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    form: Literal["vector", "image", "text"]
    shape: str
    normalised: bool = False
    constant: int = Field(0, ge=0)
    repeats: int = Field(0, ge=0)
    zeros: int = Field(0, ge=0)


class Reading(BaseModel):
    """What was understood of a file, or of several that belong together.

    `source` is the key of the kept columns, `uses` what was made of them. `rows` are those that remain after rows with
    NaN, infinity or no label were left out, which `dropped` counts by column; `duplicates` equal an earlier row in
    every vector; `classes` is 0 without labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[str, ...]
    source: str = Field(pattern=r"^[0-9a-f]{64}$")
    columns: tuple[Column, ...]
    more: int = Field(0, ge=0)
    uses: Uses
    rows: int = Field(ge=0)
    modalities: tuple[Seen, ...]
    classes: int = Field(0, ge=0)
    duplicates: int = Field(0, ge=0)
    dropped: dict[str, int] = {}

    def aloud(self, quote: Quote = "'{}'".format) -> str:
        """All of it in sentences; `quote` marks what are a stranger's words."""
        said = [self._what(quote), self._alike(), self._lengths(), *self._constant(), *self._silent()]
        said += self._dropped(quote)
        return " ".join(filter(None, [*said, self._left(quote)]))

    def _vectors(self) -> list[Seen]:
        return [seen for seen in self.modalities if seen.form == "vector"]

    def _what(self, quote: Quote) -> str:
        shapes = {seen.shape for seen in self.modalities}
        alone = next(iter(shapes)) if len(shapes) == 1 else ""
        names = [seen.name if alone else f"{seen.name} ({seen.shape})" for seen in self.modalities]
        labels = (
            f"labels found in {quote(self.uses.labels)} ({self.classes:,} classes)" if self.classes else "no labels"
        )
        named = f", names in {quote(self.uses.names)}" if self.uses.names else ""
        return f"{self.rows:,} rows{f' × {alone}' if alone else ''}, {listed(names)}, {labels}{named}."

    def _alike(self) -> str:
        if not self._vectors():
            return ""
        said = [f"{self.duplicates or 'No'} duplicate{'' if self.duplicates == 1 else 's'}."]
        more = [seen for seen in self._vectors() if seen.repeats > self.duplicates]
        return " ".join([*said, *(f"{seen.name} alone repeats {seen.repeats:,} of its rows." for seen in more)])

    def _lengths(self) -> str:
        ones, others = ([seen.name for seen in self._vectors() if seen.normalised == which] for which in (True, False))
        if ones and others:
            return f"Of these, {listed(ones)} looks L2-normalised and {listed(others)} does not."
        return "Looks L2-normalised." if ones else "Not L2-normalised." if others else ""

    def _constant(self) -> Iterable[str]:
        for seen in self._vectors():
            if seen.constant:
                plural = "column never changes" if seen.constant == 1 else "columns never change"
                yield f"{seen.constant:,} {plural} in {seen.name}."

    def _silent(self) -> Iterable[str]:
        for seen in self._vectors():
            if seen.zeros:
                plural = "row of {} is" if seen.zeros == 1 else "rows of {} are"
                yield (
                    f"{seen.zeros:,} {plural.format(seen.name)} all 0 and without a direction, so no health can be "
                    "told; drop such rows from the file."
                )

    def _dropped(self, quote: Quote) -> Iterable[str]:
        for column, n in self.dropped.items():
            why = "no label" if column == self.uses.labels else "NaN or infinity"
            yield f"{n:,} {'row was' if n == 1 else 'rows were'} left out: {why} in {quote(column)}."
        for column in self.columns:
            if column.form == "image" and column.gaps and column.name in self.uses.modalities:
                plural = "picture of {} is" if column.gaps == 1 else "pictures of {} are"
                yield f"{column.gaps:,} {plural.format(quote(column.name))} blank or cannot be read."

    def _left(self, quote: Quote) -> str:
        used = {*self.uses.modalities, self.uses.labels, self.uses.names}
        left = [column for column in self.columns if column.name not in used]
        shown = [f"{quote(each.name)}{f' ({each.why})' if each.form == 'none' else ''}" for each in left[:SHOWN]]
        more = len(left) - len(shown) + self.more
        return f"Left out: {listed([*shown, *([f'{more:,} more'] if more else [])])}." if left else ""


def listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def guess(columns: Sequence[Column], arrays: frozenset[str] = frozenset()) -> Uses:
    """What the columns are for, by their names, forms and numbers of different values.

    Args:
        columns: of one table, or of several that belong together.
        arrays: names of those that were saved as arrays of their own, where a text is a modality unless it is named.
    """
    blocks = [column for column in columns if column.form in ("vector", "image")]
    rows = blocks[0].rows if blocks else 0
    single = [column for column in columns if column.form in ("whole", "text") and column.distinct]
    labels = _labels(single, rows, arrays)
    rest = [column for column in single if column.name != labels]
    names = _named(rest, NAMES) or _telling(rest, rows, arrays)
    texts = [column for column in rest if column.form == "text" and column.name in arrays and column.name != names]
    return Uses(modalities=modality_names([*blocks, *texts][:MOST]), labels=labels, names=names)


def modality_names(columns: Sequence[Column]) -> dict[str, str]:
    """Column -> a name that a modality can bear, near its own, no two alike."""
    found: dict[str, str] = {}
    for column in columns:
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", column.name).strip("_")[:28] or "array"
        name, place = base if base not in RESERVED else f"{base}_1", 2
        while name in found.values():
            name, place = f"{base}_{place}", place + 1
        found[column.name] = name
    return found


def _labels(columns: Sequence[Column], rows: int, arrays: frozenset[str]) -> str:
    several = [column for column in columns if column.distinct > 1]
    if named := _named(several, LABELS):
        return named
    most = min(CLASSES, rows // ROWS_PER_CLASS)
    few = (
        column.name
        for column in several
        if column.rows == rows and column.distinct <= most and column.name.lower() not in (*NO_LABELS, *NAMES)
        if column.form == "whole" or column.name not in arrays
    )
    return next(few, "")


def _named(columns: Sequence[Column], names: Sequence[str]) -> str:
    """The column that bears the first of these names; empty where none does."""
    known = {column.name.lower(): column.name for column in reversed(columns)}
    return next((known[name] for name in names if name in known), "")


def _telling(columns: Sequence[Column], rows: int, arrays: frozenset[str]) -> str:
    """The first text of a table that tells most rows apart."""
    found = (
        column.name
        for column in columns
        if column.form == "text" and column.name not in arrays and column.rows == rows and 2 * column.distinct > rows
    )
    return next(found, "")
