"""Two embeddings of the same items, from two runs or two files; and the recorded steps of one run, ranked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import streamlit as st
import torch
import torch.nn.functional as F

from core.data.npz import Npz
from core.data.registry import DataSet
from core.diagnostics.choosing import Choice, choose, measure
from core.diagnostics.comparing import Comparison, compare
from core.diagnostics.maps import pca
from core.diagnostics.neighbours import neighbours
from core.diagnostics.probes import vote
from core.refusal import Refusal
from dashboard.charts.map import kept
from dashboard.opened import file_embeddings, open_run

MOST, VOTERS = 4_000, 5
Of = Literal["run", "file"]


@dataclass(frozen=True)
class Changed:
    """What is left of one modality: the comparison, and both layouts (M, 2), the second turned onto the first."""

    modality: str
    found: Comparison
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class Both:
    """Two embeddings of the rows `items` of `data`."""

    data: DataSet
    items: np.ndarray
    changed: tuple[Changed, ...]


def embeddings(of: Of, name: str) -> tuple[DataSet, dict[str, np.ndarray], np.ndarray]:
    """A data set, modality -> (N, D) unit rows of all items, and the rows to look at: unseen ones where it was trained.

    Raises:
        Refusal: if the run or the file cannot be opened.
    """
    if of == "file":
        data, z = file_embeddings(Npz(digest=name))
        return data, z, kept(len(data), MOST)
    run, _, data = open_run(name)
    test = data.split.test.numpy()
    return data, run.embeddings(), test[kept(len(test), MOST)]


@st.cache_resource(max_entries=8, show_spinner="Comparing ...")
def both(of: Of, first: str, second: str) -> Both:
    """What changed between two embeddings of the same items, modality by modality.

    Raises:
        Refusal: if one cannot be opened, or they are not of the same items.
    """
    data, one, items = embeddings(of, first)
    other, two, _ = embeddings(of, second)
    if len(data) != len(other):
        raise Refusal(
            f"The first has {len(data):,} items and the second {len(other):,}; expected the same items, row by row: "
            "choose another"
        )
    shared = [name for name in one if name in two] or None
    pairs = [(name, name) for name in shared] if shared else list(zip(one, two, strict=False))
    found = (_changed(name, one[name][items], two[partner][items]) for name, partner in pairs)
    return Both(data, items, tuple(found))


def _changed(name: str, a: np.ndarray, b: np.ndarray) -> Changed:
    found = compare(a, b)
    first = torch.from_numpy(a)
    first = F.pad(first, (0, found.turned.shape[1] - first.shape[1]))
    basis = pca(first)
    return Changed(name, found, basis.project(first).numpy(), basis.project(found.turned).numpy())


@dataclass(frozen=True)
class Steps:
    """The recorded steps of a run with what each criterion says of them.

    `values`: one for each step; `accuracy`: of the 5 nearest recorded items, mean over the modalities, or None without
    labels; `items`: how many items were recorded.
    """

    steps: tuple[int, ...]
    values: tuple[Mapping[str, float], ...]
    accuracy: tuple[float, ...] | None
    choices: tuple[Choice, ...]
    items: int


@st.cache_resource(max_entries=8, show_spinner="Ranking the steps ...")
def steps_of(folder: str, stamp: int) -> Steps:
    """Every recorded step after the first; `stamp` changes where the run was trained anew.

    Raises:
        Refusal: if the run is damaged.
    """
    run, _, data = open_run(folder)
    steps = [step for step in run.snapshots() if step]
    z, items = [], np.arange(0)
    for step in steps:
        shot = run.snapshot(step)
        items = shot["items"]
        z.append({name.removeprefix("z."): value for name, value in shot.items() if name.startswith("z.")})
    whole = [place for place, each in enumerate(z) if all(np.isfinite(x).all() for x in each.values())]
    labels = data.labels[torch.from_numpy(items)]
    values = tuple(measure(z[place]) for place in whole)
    accuracy = tuple(_accuracy(z[place], labels) for place in whole) if data.classes else None
    return Steps(tuple(steps[place] for place in whole), values, accuracy, choose(values, accuracy), len(items))


def _accuracy(z: Mapping[str, np.ndarray], labels: torch.Tensor) -> float:
    hits = [vote(labels[neighbours(each, VOTERS).indices]) == labels for each in z.values()]
    return float(torch.stack(hits).double().mean())
