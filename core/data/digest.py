"""A hash of what a data set holds, so that a run knows its data."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from core.data.registry import DataSet


def _words(*texts: str) -> bytes:
    """Texts as bytes, each with its length before it, so that no two lists look alike."""
    return b"".join(b"%d:%s" % (len(data), data) for data in (text.encode() for text in (str(len(texts)), *texts)))


def _numbers(x: Tensor) -> Iterator[bytes]:
    yield _words(str(x.dtype), str(tuple(x.shape)))
    yield x.contiguous().numpy().tobytes()


def _parts(data: DataSet) -> Iterator[bytes]:
    yield _words(data.title)
    for m in data.modalities:
        yield _words(m.name, m.form, m.tower)
        if isinstance(m.values, Tensor):
            yield from _numbers(m.values)
        else:
            yield _words(*m.values)
        if m.mask is not None:
            yield from _numbers(m.mask)
    for x in (data.labels, data.split.train, data.split.validation, data.split.test):
        yield from _numbers(x)
    yield _words(*data.classes)
    yield _words(*data.names)


def digested(data: DataSet) -> DataSet:
    """The same data set with its digest: sha256 over title, modalities, labels, classes, split and names."""
    found = hashlib.sha256()
    for part in _parts(data):
        found.update(part)
    return replace(data, digest=found.hexdigest())
