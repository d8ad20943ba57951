"""What a finished run still knows when modalities go missing; computed once for each run."""

import numpy as np
import streamlit as st
import torch

from core.data.loading import load
from core.diagnostics.missing import AtRate, Outcomes, along_rates, every_subset, outcomes
from core.runs.folder import RunFolder, runs_home
from core.runs.worker import recipe_of

RATES = tuple(round(0.1 * k, 1) for k in range(11))


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


@st.cache_resource(max_entries=8, show_spinner="Leaving modalities out ...")
def measured(folder: str) -> tuple[Outcomes, tuple[AtRate, ...]]:
    """Every subset, and the results along the drop rates, on the test items of a run."""
    run = RunFolder(runs_home() / folder)
    data = load(recipe_of(run).data)
    z = {name: torch.from_numpy(value) for name, value in run.embeddings().items()}
    train, test, joint = data.split.train, data.split.test, run.joint()
    found = outcomes(
        {name: value[train] for name, value in z.items()},
        data.labels[train],
        {name: value[test] for name, value in z.items()},
        data.labels[test],
        None if joint is None else (joint[train], joint[test]),
    )
    return found, along_rates(found, RATES)


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
