"""What a data set is, and the registry of data sets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from torch import Generator, Tensor

from core.params import Params
from core.registry import Entry, Origin, Registry

Form = Literal["vector", "image", "text", "bag"]


@dataclass(frozen=True)
class Modality:
    """One way of seeing all N items.

    `values`: (N, F) float32 for a vector, (N, C, H, W) float32 between 0 and 1 for an image, N strings for a text,
    (N, n, F) float32 for a bag of at most n members in order, zeros where `mask` (N, n) bool says that there is none;
    every bag has a first member. Modalities with the same `tower` share one encoder.
    """

    name: str
    form: Form
    values: Tensor | tuple[str, ...]
    tower: str
    mask: Tensor | None = None


@dataclass(frozen=True)
class Split:
    """Indices of the items, sorted, each (n,) int64; no item is in two parts."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Augment(Protocol):
    """(n, ...) values of the named modality -> the same shape, freshly drawn, on the values' device."""

    def __call__(self, modality: str, values: Tensor, g: Generator) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class DataSet:
    """Aligned modalities of N items.

    `labels` (N,) int64 index `classes`; `names` has a text for each item; `thumbnails` is (N, 32, 32, 4) uint8 or
    None; `note` is what has to be said beside every number (generated, inflated, ...), or empty; `digest` is a hash
    of everything above, so that a run knows its data.
    """

    title: str
    modalities: tuple[Modality, ...]
    labels: Tensor
    classes: tuple[str, ...]
    split: Split
    names: tuple[str, ...]
    digest: str
    thumbnails: np.ndarray | None = None
    note: str = ""
    augment: Augment | None = None

    def __len__(self) -> int:
        return len(self.names)

    def modality(self, name: str) -> Modality:
        return next(m for m in self.modalities if m.name == name)


@dataclass(frozen=True)
class DataEntry(Entry):
    """An `Entry` whose `call` loads the data set from its params."""

    call: Callable[[Any], DataSet]
    forms: tuple[Form, ...] = field(default=())


DATA: Registry[DataEntry] = Registry("data", "core.data")


def data(
    params: type[Params],
    *,
    title: str,
    source: str,
    forms: tuple[Form, ...],
    origin: Origin = "paper",
) -> Callable[[Callable[..., DataSet]], Callable[..., DataSet]]:
    """Register a loader under the `kind` of its params; `forms` are the forms its modalities can take."""

    def register(call: Callable[..., DataSet]) -> Callable[..., DataSet]:
        DATA.add(DataEntry(title=title, params=params, call=call, source=source, origin=origin, forms=forms))
        return call

    return register
