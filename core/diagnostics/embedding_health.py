"""The health of the embeddings of a data set: what is shown of them, and what the probes learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from core.data.registry import DataSet
from core.diagnostics.geometry import chance_spectrum, spectrum
from core.diagnostics.health import Labelled, Reading, card, learned
from core.diagnostics.verdicts import Verdict

MOST = 5_000


@dataclass(frozen=True)
class EmbeddingHealth:
    """`readings` by the key of a diagnostic; `spectra`: modality -> shares, descending, beside `random`; `items`:
    whose embeddings they are, in words; `note`: what has to be said beside the numbers. `before`: the readings of the
    same network at random weights, and `learned` the verdict on the difference, where there are any.
    """

    readings: Mapping[str, tuple[Reading, ...]]
    spectra: Mapping[str, tuple[float, ...]]
    random: tuple[float, ...]
    items: str
    note: str
    before: Mapping[str, tuple[Reading, ...]] = field(default_factory=dict)
    learned: Verdict | None = None


def of_items(z: Mapping[str, Tensor], random: Sequence[Mapping[str, Tensor]], data: DataSet) -> EmbeddingHealth:
    """The health of the test items of a data set under a network, beside the same network at random weights.

    Args:
        z: modality -> (N, D) unit rows of all items.
        random: the same by random weights, at least one draw; the first is shown, and all have to be beaten.
        data: with N items.
    """

    def on_test(z: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: value[data.split.test] for name, value in z.items()}

    shown = on_test(z)
    draws = [card(on_test(each), labelled(each, data), split=split(each, data)) for each in random]
    readings = card(shown, labelled(z, data), draws[0], split(z, data))
    return EmbeddingHealth(
        readings=readings,
        spectra=spectra(shown),
        random=random_spectrum(shown),
        items=f"{len(data.split.test):,} test items",
        note=data.note,
        before=draws[0],
        learned=learned(readings, draws, len(data.split.test)),
    )


def of_file(data: DataSet, arrays: Mapping[str, np.ndarray]) -> EmbeddingHealth:
    """The health of a file whose vectors are embeddings already.

    Args:
        data: the file as a data set.
        arrays: modality -> (N, D) unit rows; of many rows, 5,000 are evenly chosen.
    """
    z = {name: torch.from_numpy(value) for name, value in arrays.items()}
    items = torch.linspace(0, len(data) - 1, min(len(data), MOST), dtype=torch.float64).round().long()
    shown = {name: value[items] for name, value in z.items()}
    some = f"{len(items):,} of {len(data):,}" if len(items) < len(data) else f"all {len(data):,}"
    return EmbeddingHealth(
        readings=card(shown, labelled(z, data), split=split(z, data)),
        spectra=spectra(shown),
        random=random_spectrum(shown),
        items=f"{some} rows of the file",
        note="Read as embeddings: every row is divided by its length, and nothing was trained.",
    )


def labelled(z: Mapping[str, Tensor], data: DataSet) -> Labelled | None:
    """The probes learn from the training items and are asked about the test items; None where there are no classes."""
    if not data.classes:
        return None
    train, test = split(z, data)
    return Labelled(train, data.labels[data.split.train], test, data.labels[data.split.test], data.classes)


def split(z: Mapping[str, Tensor], data: DataSet) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The training and the test items."""
    train, test = ({name: value[part] for name, value in z.items()} for part in (data.split.train, data.split.test))
    return train, test


def spectra(z: Mapping[str, Tensor]) -> dict[str, tuple[float, ...]]:
    """Modality -> singular values as shares, descending."""
    return {name: tuple(spectrum(value).tolist()) for name, value in z.items()}


def random_spectrum(z: Mapping[str, Tensor]) -> tuple[float, ...]:
    """The same of random unit vectors, as many as the widest modality has."""
    return chance_spectrum(*max((value.shape for value in z.values()), key=lambda shape: shape[1]))
