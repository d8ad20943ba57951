"""The health card of a run or of a file of embeddings, computed once for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
import torch

from core.data.registry import DataSet
from core.diagnostics import embedding_health
from core.diagnostics.embedding_health import EmbeddingHealth, of_items
from core.diagnostics.forces import forces
from core.diagnostics.hardness import active_share
from core.diagnostics.health import Reading
from core.diagnostics.levels import chance_level
from core.diagnostics.verdicts import State, Verdict, dead_margin, progress
from core.losses.registry import LOSSES
from core.params import Params
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.companion import classes_of
from core.runs.folder import RunFolder
from core.runs.networks import at_random, prepared
from core.runs.replay import moment
from dashboard.opened import file_embeddings, open_run

WORST_FIRST: tuple[State, ...] = ("bad", "watch", "info", "ok")


@dataclass(frozen=True)
class Health:
    """All that the card shows.

    `readings` and `before` by the key of a diagnostic, the latter for the same network before its first step, empty
    where there is none; `training`: verdicts on how the training went, and whether it helped; `spectra`: modality ->
    shares, descending, beside `random`; `items`: whose embeddings they are, in words; `note`: what has to be said
    beside the numbers.
    """

    readings: Mapping[str, tuple[Reading, ...]]
    before: Mapping[str, tuple[Reading, ...]]
    training: tuple[Verdict, ...]
    spectra: Mapping[str, tuple[float, ...]]
    random: tuple[float, ...]
    items: str
    note: str

    def verdicts(self) -> list[Verdict]:
        """Every verdict of the card."""
        return [*self.training, *(each.verdict for row in self.readings.values() for each in row)]


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict to show where there is room for one."""
    return min(verdicts, key=lambda verdict: WORST_FIRST.index(verdict.state))


def tally(verdicts: Sequence[Verdict], well: str) -> Verdict:
    """How many verdicts ask for a look, in the state of the worst; `well` where none does."""
    bad, watch = (sum(verdict.state == state for verdict in verdicts) for state in ("bad", "watch"))
    said = [f"{bad} bad" if bad else "", f"{watch} to watch" if watch else ""]
    return Verdict(", ".join(filter(None, said)) or well, worst(verdicts).state if bad or watch else "ok", "")


@st.cache_resource(max_entries=20, show_spinner="Reading the health of this run ...")
def of_run(folder: str, stamp: int) -> Health:
    """The health of a finished run, on its test items; `stamp` changes where the run was trained anew.

    Raises:
        Refusal: if the run is damaged, not finished, or its embeddings are not finite.
    """
    run, recipe, data = open_run(folder)
    z = {name: torch.from_numpy(value) for name, value in run.embeddings().items()}
    if not all(len(value) == len(data) and bool(torch.isfinite(value).all()) for value in z.values()):
        raise Refusal(f"{run.path}: its embeddings are not finite numbers, one row for each item; train the run again")
    inputs = {m.name: prepared(recipe, m) for m in data.modalities}
    found = of_items(z, at_random(recipe, data, inputs), data)
    return of_network(found, f"{found.items} that the run never trained on", _training(run, recipe, data))


def of_network(found: EmbeddingHealth, items: str, training: tuple[Verdict, ...] = ()) -> Health:
    """The card of a network beside itself at random weights.

    Args:
        found: its readings.
        items: whose embeddings they are, in words.
        training: verdicts on how it was trained, where that is known.
    """
    return Health(
        readings=found.readings,
        before=found.before,
        training=(*training, *filter(None, [found.learned])),
        spectra=found.spectra,
        random=found.random,
        items=items,
        note=found.note,
    )


@st.cache_resource(max_entries=4, show_spinner="Reading the health of this file ...")
def of_file(p: Params) -> Health:
    """The health of a file whose vectors are embeddings already, brought to length 1.

    Raises:
        Refusal: if there is no such file, or its vectors have no direction.
    """
    found = embedding_health.of_file(*file_embeddings(p))
    return Health(
        readings=found.readings,
        before={},
        training=(),
        spectra=found.spectra,
        random=found.random,
        items=found.items,
        note=found.note,
    )


def _training(run: RunFolder, recipe: Recipe, data: DataSet) -> tuple[Verdict, ...]:
    """Where the loss went and, for a hinge, whether its margin still does anything."""
    rows = run.metrics()
    losses = [sum(v for k, v in row.items() if k.startswith("term.clean")) or row["loss"] for row in rows]
    batch = min(recipe.method.batch, len(data.split.train))
    collapse = chance_level(recipe.loss, batch, classes=classes_of(recipe, data))
    found = [progress(losses, collapse)]
    if LOSSES.of(recipe.loss).family == "hinge":
        step = run.snapshots()[-1]
        clean = moment(recipe, data, step, run.snapshot(step)).clean
        active = active_share(forces(clean)[0], clean.pairs[0])
        found.append(dead_margin(losses, collapse, active, getattr(recipe.loss, "margin", 0.0)))
    return tuple(found)
