"""What is inside a stranger's .npz, looked at before it is believed."""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from numpy.lib import format as npy

from core.refusal import Refusal

LARGEST = 200_000_000
FEWEST_ROWS = 10
MOST = 8
LABELS = ("labels", "label", "y")
NAMES = "names"
CHANNELS = (1, 3, 4)


class BadFile(Refusal):
    """A file that is no data set; the message is one sentence: what was seen, what was expected, what to do."""


@dataclass(frozen=True)
class Contents:
    """The arrays of a file by their use, all of one length N.

    `vectors` (N, F) float32, `images` (N, H, W, C) uint8 with C of 1, 3 or 4, `texts` N strings; `labels` (N,) whole
    numbers or strings, or None; `names` N strings, or None.
    """

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    images: dict[str, np.ndarray] = field(default_factory=dict)
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    labels: np.ndarray | None = None
    names: tuple[str, ...] | None = None

    @property
    def order(self) -> list[str]:
        return [*self.vectors, *self.images, *self.texts]


def unpack(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name, after its headers were checked; nothing in it is executed.

    Raises:
        BadFile: if it is no .npz, is damaged, holds objects, or is too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_headers(archive)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except BadFile:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        raise BadFile(
            f"The file cannot be read as an .npz ({type(error).__name__}); expected what numpy.savez "
            "writes: save it again"
        ) from error


def _check_headers(archive: zipfile.ZipFile) -> None:
    """Refuse by the headers alone what would be dangerous or too large to read."""
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > LARGEST:
        raise BadFile(
            f"The file unpacks to {size / 1e6:.0f} MB; expected at most {LARGEST // 10**6} MB: save fewer rows "
            "or columns"
        )
    if len(members) > MOST + len(LABELS) + 1:
        raise BadFile(_too_many(len(members)))
    for member in members:
        name = member.filename.removesuffix(".npy")
        with archive.open(member) as stream:
            if announced(stream, name) > member.file_size:
                raise BadFile(f"Array '{name}' is shorter than its header says; expected a whole file: save it again")


def announced(stream: IO[bytes], name: str) -> int:
    """Bytes that the header of an array promises."""
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise BadFile(
            f"Array '{name}' holds Python objects; expected numbers or strings: convert it with astype(float) or "
            "astype(str) before saving"
        )
    return int(np.prod([int(side) for side in shape], dtype=object)) * dtype.itemsize


def _too_many(seen: int) -> str:
    return f"The file holds {seen} arrays; expected at most {MOST} modalities beside labels and names: leave some out"


def check(content: bytes) -> Contents:
    """The arrays of a file, each put to its use.

    Raises:
        BadFile: with one sentence, if the file is no data set.
    """
    arrays = unpack(content)
    key = next((key for key in LABELS if key in arrays and (key != "y" or arrays[key].ndim == 1)), None)
    labels = None if key is None else _labels(key, arrays.pop(key))
    names = _texts(NAMES, arrays.pop(NAMES)) if NAMES in arrays else None
    found = Contents(labels=labels, names=names)
    for name, array in arrays.items():
        _sort_in(found, name, array)
    if not found.order:
        raise BadFile(
            "The file holds no modality; expected at least one array of shape (rows, columns): add one under a name"
        )
    if len(found.order) > MOST:
        raise BadFile(_too_many(len(found.order)))
    if len(found.order) == 1 and found.texts:
        raise BadFile(
            f"The texts '{found.order[0]}' are the only modality; expected a second one beside texts: add an array"
        )
    _check_rows(arrays, labels, names)
    return found


def _check_rows(arrays: dict[str, np.ndarray], labels: np.ndarray | None, names: tuple[str, ...] | None) -> None:
    rows = {name: len(array) for name, array in arrays.items()}
    rows |= {"labels": len(labels)} if labels is not None else {}
    rows |= {NAMES: len(names)} if names is not None else {}
    equally_long(rows)
    n = next(iter(rows.values()))
    if n < FEWEST_ROWS:
        plural = "row" if n == 1 else "rows"
        raise BadFile(f"The arrays have {n} {plural}; expected at least {FEWEST_ROWS} items: add more")
    if labels is not None and len(classes := np.unique(labels)) == 1:
        raise BadFile(
            f"The labels name one class only, {classes[0]!s}; expected two or more: add others or leave the labels out"
        )


def equally_long(rows: Mapping[str, int]) -> None:
    """Raise a BadFile that names each array and its rows, unless all have equally many."""
    if len(set(rows.values())) > 1:
        seen = ", ".join(f"'{name}' has {n}" for name, n in rows.items())
        raise BadFile(
            f"The arrays have unequal numbers of rows ({seen}); expected one row per item in each: cut to size"
        )


def _sort_in(found: Contents, name: str, array: np.ndarray) -> None:
    """Put a modality to its use, as its shape and type say."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name):
        raise BadFile(
            f"An array is named '{name[:40]}'; expected up to 32 letters, digits, '_' or '-': save it under "
            "another name"
        )
    numbers = array.dtype.kind in "fiub"
    if numbers and array.ndim == 2 and array.shape[1]:
        found.vectors[name] = _finite(name, array)
    elif array.dtype == np.uint8 and array.ndim == 4:
        found.images[name] = _pictures(name, array)
    elif array.dtype.kind == "U" and array.ndim == 1:
        found.texts[name] = _texts(name, array)
    else:
        what = "numbers" if numbers else "strings" if array.dtype.kind in "SU" else str(array.dtype)
        raise BadFile(
            f"Array '{name}' holds {what} in the shape {array.shape}; expected numbers (rows, columns), uint8 pictures "
            "(rows, height, width, channels) or one string per row: convert it or leave it out"
        )


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    """(N, F) float32 without NaN and infinity, also after the conversion."""
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise BadFile(
            f"Array '{name}' has NaN or infinity in {len(bad)} of {len(array)} rows, first in row {bad[0]}; "
            "expected finite numbers: drop or fill those rows"
        )
    return values


def _pictures(name: str, array: np.ndarray) -> np.ndarray:
    """(N, H, W, C), whichever way round the channels stood; where both ways fit, channels come last."""
    if array.shape[-1] not in CHANNELS and array.shape[1] in CHANNELS:
        array = np.moveaxis(array, 1, -1)
    if array.shape[-1] not in CHANNELS or min(array.shape[1:3]) < 8:
        raise BadFile(
            f"Array '{name}' has the shape {array.shape}; expected pictures of at least 8 by 8 with 1, 3 or 4 "
            "channels: reshape it"
        )
    return array


def _texts(name: str, array: np.ndarray) -> tuple[str, ...]:
    if array.dtype.kind != "U" or array.ndim != 1:
        raise BadFile(
            f"Array '{name}' is {array.dtype} of shape {array.shape}; expected one string per row: use astype(str)"
        )
    return tuple(array.tolist())


def _labels(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iubU" or array.ndim != 1:
        raise BadFile(
            f"Array '{name}' is {array.dtype} of shape {array.shape}; expected one whole number or string per row: "
            "convert it or leave it out"
        )
    return array
