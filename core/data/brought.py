"""Embeddings that a user brings: read behind the fence, kept as one .npz, and made again where the user says more."""

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from pydantic import ValidationError

from core.checkpoints import fence
from core.checkpoints.columns import GAP, Column, Table
from core.checkpoints.limits import TABLES, Limits
from core.data import npz
from core.data.contents import FEWEST_ROWS, BadFile, equally_long
from core.data.uses import RESERVED, Reading, Seen, Uses, guess
from core.home import home
from core.refusal import Refusal

KEPT, MOST_FILES = 6, 16
LONGEST_NAME, LETTERS = 120, 10_000_000
KNOWN = "table.json"


def bring(files: Sequence[Path], limits: Limits | None = None) -> str:
    """Take in one file of embeddings, or several that hold the same items, as they are understood.

    Args:
        files: .npz, .npy, .csv, .tsv or .parquet; they are not changed.
        limits: caps, the usual ones if None.

    Returns:
        The digest under which `core.data.npz` finds what was made of them, and `reading` what was understood.

    Raises:
        Refusal: with one sentence, if a file is not to be opened or holds no embeddings.
        OSError: if they cannot be kept.
    """
    _check(files)
    key = _hash(files)
    if not (_folder(key) / KNOWN).exists():
        _read(files, key, limits or Limits())
    os.utime(_folder(key))
    _prune()
    columns, arrays, more = _columns(key)
    return _keep(tuple(file.name for file in files), key, columns, more, guess(columns, arrays))


def change(digest: str, uses: Uses) -> str:
    """Make a file again with other uses of its columns; returns its new digest. The old one stays.

    Raises:
        Refusal: if its columns are not kept any more, or cannot be used so.
    """
    found = reading(digest)
    if found is None or not (_folder(found.source) / KNOWN).exists():
        raise BadFile("The columns of this file are not kept any more; expected those of a new one: add the file again")
    return _keep(found.files, found.source, found.columns, found.more, uses)


def reading(digest: str) -> Reading | None:
    """What was understood of a file; None where it was not brought in this way."""
    try:
        return Reading.model_validate_json(_said(digest).read_bytes())
    except (OSError, ValidationError):
        return None


def _said(digest: str) -> Path:
    return home() / "data" / f"{digest}.json"


def _folder(key: str) -> Path:
    return home() / "tables" / key


def _check(files: Sequence[Path]) -> None:
    if not 1 <= len(files) <= MOST_FILES:
        raise BadFile(f"{len(files)} files were given; expected 1 to {MOST_FILES}: put their columns together")
    for file in files:
        if file.suffix not in TABLES:
            raise BadFile(
                f"'{file.name[:80]}' is no file of embeddings by its ending; expected {', '.join(TABLES[:-1])} or "
                f"{TABLES[-1]}: save it as one of these"
            )
        if not file.is_file():
            raise BadFile(f"'{file.name[:80]}' is no file; expected embeddings: name one that exists")


def _hash(files: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            found.update(f"{file.name}\0".encode() + hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def _read(files: Sequence[Path], key: str, limits: Limits) -> None:
    """Have the files read by fenced processes, and keep their columns."""
    _folder(key).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_folder(key).parent, prefix=".reading-") as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        tables = []
        for place, file in enumerate(files):
            try:
                tables.append(Table.model_validate(fence.through(file, whole / str(place), limits)).model_dump())
            except ValidationError as error:
                raise Refusal("The fenced reader gave no list of columns; expected one: try the file again") from error
        (whole / KNOWN).write_text(json.dumps(tables))
        try:
            whole.replace(_folder(key))
        except OSError:
            if not (_folder(key) / KNOWN).exists():
                raise


def _prune() -> None:
    """Keep the columns that were read last."""
    kept = sorted(_folder("").glob("[!.]*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in kept[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _columns(key: str) -> tuple[tuple[Column, ...], frozenset[str], int]:
    """The columns of all files, no two of one name; which of them were arrays of an .npz; how many are not listed."""
    tables = [Table.model_validate(table) for table in json.loads((_folder(key) / KNOWN).read_bytes())]
    found: dict[str, Column] = {}
    arrays = set()
    for place, table in enumerate(tables):
        for column in table.columns:
            name = column.name if column.name not in found else f"{column.name} (file {place + 1})"
            found[name] = column.model_copy(update={"name": name, "file": column.file and f"{place}/{column.file}"})
            if table.kind == "npz":
                arrays.add(name)
    return tuple(found.values()), frozenset(arrays), sum(table.more for table in tables)


def _keep(files: tuple[str, ...], key: str, columns: tuple[Column, ...], more: int, uses: Uses) -> str:
    """Make the .npz that these uses give, and keep it with what is to be said of it."""
    chosen = _chosen(columns, uses)
    values = {name: _values(key, column) for name, column in chosen.items()}
    good, dropped = _good(values, uses)
    whole = all(good)
    values = values if whole else {name: _rows(each, good) for name, each in values.items()}
    arrays = {modality: values[column] for column, modality in uses.modalities.items()}
    extra = _beside(values, uses)
    digest = npz.add(packed({name: _array(each) for name, each in arrays.items()} | extra))
    places = {name: _places(each) for name, each in arrays.items() if _is_vector(each)}
    found = Reading(
        files=files,
        source=key,
        columns=columns,
        more=more,
        uses=uses,
        rows=int(good.sum()),
        modalities=tuple(_seen(name, each, places) for name, each in arrays.items()),
        classes=len(np.unique(extra["labels"])) if "labels" in extra else 0,
        duplicates=_repeats(list(places.values())),
        dropped=dropped,
    )
    _said(digest).write_text(found.model_dump_json())
    return digest


def _chosen(columns: Sequence[Column], uses: Uses) -> dict[str, Column]:
    """The columns that are used, of the forms that their uses ask for, and equally long."""
    known = {column.name: column for column in columns if column.file}
    asked = [*uses.modalities, *filter(None, (uses.labels, uses.names))]
    for name in asked:
        if name not in known:
            raise BadFile(f"There is no usable column '{name[:80]}'; expected one that was found: choose another")
    for name in filter(None, (uses.labels, uses.names)):
        if known[name].form not in ("whole", "text"):
            raise BadFile(f"'{name[:80]}' holds no single values; expected whole numbers or texts: choose another")
    if any(known[name].form == "whole" for name in uses.modalities):
        raise BadFile("A single column of whole numbers is no modality; expected vectors, pictures or texts: leave it")
    if not uses.modalities:
        none = [f"'{column.name}' is {column.why}" for column in columns if column.form == "none"][:3]
        seen = f" ({', '.join(none)})" if none else ""
        raise BadFile(
            f"The file holds no modality{seen}; expected columns of numbers such as image_0, image_1, or an array of "
            "shape (rows, columns): add one"
        )
    if taken := [name for name in uses.modalities.values() if name in RESERVED]:
        raise BadFile(f"A modality is called '{taken[0]}', which labels and names are; expected another: rename it")
    if len(set(uses.modalities.values())) < len(uses.modalities):
        raise BadFile("Two modalities bear one name; expected a name for each: change one of them")
    equally_long({name: known[name].rows for name in asked})
    return {name: known[name] for name in asked}


def _values(key: str, column: Column) -> Any:
    """What the fence kept of a column, as it says itself; an array, or strings."""
    file = _folder(key) / column.file
    try:
        values: Any = json.loads(file.read_bytes()) if file.suffix == ".json" else np.load(file, allow_pickle=False)
        right = len(values) == column.rows and _fits(values, column)
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(
            f"The kept column '{column.name}' cannot be read ({type(error).__name__}); expected it whole: add the "
            "file again"
        ) from error
    if not right:
        raise BadFile(f"The kept column '{column.name}' is not what was listed; expected it whole: add the file again")
    return values


def _fits(values: Any, column: Column) -> bool:
    if column.form == "text":
        return isinstance(values, list) and all(isinstance(value, str) for value in values)
    if column.form == "vector":
        return values.dtype == np.float32 and values.shape == (column.rows, column.width)
    return values.dtype == np.int64 and values.ndim == 1 if column.form == "whole" else values.dtype == np.uint8


def _is_vector(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.float32


def _good(values: Mapping[str, Any], uses: Uses) -> tuple[np.ndarray, dict[str, int]]:
    """(N,) whether a row is whole, and column -> how many rows are not because of it."""
    good, dropped = np.ones(len(next(iter(values.values()))), bool), {}
    for name, each in values.items():
        if _is_vector(each) and name in uses.modalities:
            bad = ~np.isfinite(each).all(axis=1)
        elif name == uses.labels:
            bad = each == GAP if isinstance(each, np.ndarray) else np.array([not text for text in each])
        else:
            continue
        if bad.any():
            dropped[name] = int(bad.sum())
            good &= ~bad
    if dropped and good.sum() < FEWEST_ROWS:
        seen = " and ".join(
            f"'{name}' has {'no label' if name == uses.labels else 'NaN or infinity'} in {n:,} of {len(good):,} rows"
            for name, n in dropped.items()
        )
        raise BadFile(f"{seen}; expected at least {FEWEST_ROWS} rows without: fill them or leave the column out")
    return good, dropped


def _rows(values: Any, good: np.ndarray) -> Any:
    return values[good] if isinstance(values, np.ndarray) else [values[row] for row in np.flatnonzero(good)]


def _beside(values: Mapping[str, Any], uses: Uses) -> dict[str, np.ndarray]:
    """Labels and names, as the .npz has them."""
    extra: dict[str, np.ndarray] = {}
    if uses.labels:
        extra["labels"] = _array(values[uses.labels])
    if uses.names:
        given = values[uses.names]
        texts = given if isinstance(given, list) else ["" if each == GAP else str(each) for each in given.tolist()]
        extra["names"] = np.array([text[:LONGEST_NAME] or f"row {row}" for row, text in enumerate(texts)])
    return extra


def _array(values: Any) -> np.ndarray:
    """As an array; texts are cut so that all of them together stay small."""
    if isinstance(values, np.ndarray):
        return values
    most = max(LONGEST_NAME, LETTERS // max(len(values), 1))
    return np.array([text[:most] for text in values])


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an .npz, the same for the same arrays; unlike `numpy.savez` for any name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                npy.write_array(stream, array, allow_pickle=False)
    return content.getvalue()


def _seen(name: str, values: Any, places: Mapping[str, np.ndarray]) -> Seen:
    if not isinstance(values, np.ndarray):
        return Seen(name=name, form="text", shape="text")
    shape = " × ".join(map(str, values.shape[1:]))
    if values.dtype == np.uint8:
        return Seen(name=name, form="image", shape=shape)
    lengths = np.linalg.norm(values, axis=1)
    return Seen(
        name=name,
        form="vector",
        shape=shape,
        normalised=bool((np.abs(lengths - 1) < 0.01).all()),
        constant=int((values == values[0]).all(axis=0).sum()),
        repeats=_repeats([places[name]]),
        zeros=int((lengths == 0).sum()),
    )


def _places(values: np.ndarray) -> np.ndarray:
    """(N,) int64, alike where rows are; a zero has no sign here."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(row.tobytes(), len(known)) for row in values + np.float32(0)])


def _repeats(places: Sequence[np.ndarray]) -> int:
    """How many rows equal an earlier one in every one of some `_places`."""
    return len(places[0]) - len(np.unique(np.stack(places, axis=1), axis=0)) if places else 0
