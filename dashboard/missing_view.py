"""What embeddings still know when modalities go missing; computed once for each run or file."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core.data.loading import load
from core.data.registry import DataSet
from core.diagnostics.filled import Filled, filled
from core.diagnostics.missing import AtRate, Outcomes, along_rates, every_subset, outcomes
from core.params import Params
from core.runs.folder import RunFolder, runs_home
from core.runs.worker import recipe_of
from dashboard.charts.map import kept
from dashboard.opened import file_embeddings

RATES = tuple(round(0.1 * k, 1) for k in range(11))
MOST_KNOWN, MOST_ASKED = 6_000, 2_000
Source = str | Params


@dataclass(frozen=True)
class Parts:
    """Training and test items of a run or of a file: unit embeddings by modality, and classes.

    `joint`: those of a joint encoder, or None. `note`: what has to be said beside the numbers.
    """

    train: Mapping[str, Tensor]
    labels: Tensor
    test: Mapping[str, Tensor]
    test_labels: Tensor
    classes: tuple[str, ...]
    joint: tuple[np.ndarray, np.ndarray] | None
    note: str

    @property
    def alike(self) -> bool:
        """Whether all modalities have embeddings of one width, so that they can be averaged."""
        return len({z.shape[1] for z in self.test.values()}) == 1


def several(run: RunFolder) -> bool:
    """Finished, with two modalities or more."""
    return run.status().state == "done" and len(run.embeddings()) > 1


def only_modality(run: str) -> str:
    """The single modality of a finished run, by its id; empty where it has several, or is none."""
    folder = RunFolder(runs_home() / run)
    if not run or folder.status().state != "done":
        return ""
    names = list(folder.embeddings())
    return names[0] if len(names) == 1 else ""


@st.cache_resource(max_entries=4, show_spinner=False)
def parts(source: Source) -> Parts:
    """The embeddings of a run, by its folder, or of a file, by its params; a part of the items of a large file.

    Raises:
        Refusal: if there is no such file, or its vectors have no direction.
    """
    if not isinstance(source, str):
        data, arrays = file_embeddings(source)
        return _parts(data, arrays, None, ("Read as embeddings: every row is divided by its length.",))
    run = RunFolder(runs_home() / source)
    data, joint = load(recipe_of(run).data), run.joint()
    return _parts(data, run.embeddings(), joint, (data.note,) if data.note else ())


def _parts(data: DataSet, arrays: Mapping[str, np.ndarray], joint: np.ndarray | None, notes: tuple[str, ...]) -> Parts:
    rows, split = [], data.split
    for part, most in ((split.train, MOST_KNOWN), (split.test, MOST_ASKED)):
        rows.append(part[torch.from_numpy(kept(len(part), most))])
        if len(rows[-1]) < len(part):
            notes = (*notes, f"{len(rows[-1]):,} of {len(part):,} {'training' if len(rows) == 1 else 'test'} items.")
    train, test = rows
    z = {name: torch.from_numpy(value) for name, value in arrays.items()}
    return Parts(
        train={name: value[train] for name, value in z.items()},
        labels=data.labels[train],
        test={name: value[test] for name, value in z.items()},
        test_labels=data.labels[test],
        classes=data.classes,
        joint=None if joint is None else (joint[train], joint[test]),
        note=" ".join(notes),
    )


@st.cache_resource(max_entries=8, show_spinner="Leaving modalities out ...")
def measured(source: Source) -> tuple[Outcomes, tuple[AtRate, ...]]:
    """Every subset, and the results along the drop rates, on the test items."""
    of = parts(source)
    found = outcomes(of.train, of.labels, of.test, of.test_labels, of.joint)
    return found, along_rates(found, RATES)


@st.cache_resource(max_entries=16, show_spinner="Filling the gap ...")
def refilled(source: Source, gone: str) -> Filled:
    """Every rule for one missing modality, on the test items."""
    of = parts(source)
    known, asked = (of.labels, of.test_labels) if of.classes else (None, None)
    return filled(of.train, of.test, gone, known, asked)


def interval_of(hits: np.ndarray) -> tuple[float, float, float]:
    """Mean of one number per item with the 95 % interval over the items."""
    mean = float(hits.mean())
    half = 1.96 * float(hits.std(ddof=1)) / len(hits) ** 0.5
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def rows_of_subsets(found: Outcomes, measure: str) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Subsets, smaller ones first, and (S, 3) mean and interval of each."""
    results = []
    for index, subset in enumerate(every_subset(found)):
        hits = found.correct[index] if measure == "accuracy" else found.places[index].hit(1)
        results.append((subset.present, interval_of(hits.double().numpy())))
    results.sort(key=lambda row: (len(row[0]), row[1][0]))
    return [present for present, _ in results], np.array([values for _, values in results])
