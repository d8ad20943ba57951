"""From a recipe to its run, and from a recorded step to the numbers on the screen, cached."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from core.data.loading import load
from core.data.registry import DataSet
from core.diagnostics.forces import across, forces, motion
from core.diagnostics.geometry import effective_rank, max_rank, spread
from core.diagnostics.hardness import ByRank, active_share, share_of_hardest
from core.diagnostics.scores import Histogram, Summary, by_kind, histogram, overlap, summary, with_partner
from core.diagnostics.verdicts import Verdict, collapsed
from core.paid import Pairs
from core.recipe import Recipe
from core.runs.folder import RunFolder, runs_home
from core.runs.identity import run_id
from core.runs.launch import start
from core.runs.replay import Moment, moment, untrained
from core.runs.worker import prepare

BINS = 61


@dataclass(frozen=True, eq=False)
class ScoresAt:
    """The scores of one recorded step, by kind of pair: histograms, summaries, and the overlap of the two hills."""

    step: int
    hills: dict[str, Histogram]
    scores: dict[str, Summary]
    overlap: float


@dataclass(frozen=True, eq=False)
class Frame(ScoresAt):
    """What one recorded step shows, on the first pair of modalities.

    `a`, `b` (P, D) unit embeddings of `items` (P,); `mixed` (P, D) or None; `push` by rank of negatives; `active` share
    of the negatives that are pushed at all; `found` of P items whose own partner is the nearest. `by_motion`: the loss
    shows no scores, so that push is how fast a pair comes apart.
    """

    items: np.ndarray
    a: np.ndarray
    b: np.ndarray
    mixed: np.ndarray | None
    push: ByRank
    active: float
    found: int
    collapse: Verdict
    by_motion: bool


def data_of(recipe: Recipe) -> DataSet:
    """The data set of a recipe, loaded once."""
    return load(recipe.data)


def find(recipe: Recipe) -> RunFolder:
    """The run of a recipe; its folder may not exist yet."""
    return RunFolder(runs_home() / run_id(recipe, data_of(recipe).digest))


def begin(recipe: Recipe) -> RunFolder:
    """Start or resume the run of a recipe.

    Raises:
        Refusal: if parts of the recipe do not fit.
    """
    folder = prepare(recipe)
    start(folder)
    return folder


@lru_cache(maxsize=600)
def frame(run: RunFolder, step: int, stamp: int) -> Frame:
    """The numbers of one recorded step; `stamp` changes where the run was trained anew."""
    recipe = Recipe.model_validate(run.recipe())
    return measured(recipe, moment(recipe, data_of(recipe), step, run.snapshot(step)))


@st.cache_resource(max_entries=20, show_spinner="Building the untrained network ...")
def first_frame(recipe: Recipe) -> Frame:
    """The numbers before any training, of a recipe that has no run yet."""
    return measured(recipe, untrained(recipe, data_of(recipe)))


def _pairs(recipe: Recipe, now: Moment) -> tuple[tuple[Pairs, ...], tuple[Pairs, ...]]:
    """Clean and mixed pairs of the first pair of modalities, the partners marked; where a loss shows none, all."""
    first, second = list(now.z)[:2]
    both = {first: now.z[first], second: now.z[second]}
    clean = now.clean.pairs[:1] or (across(*both.values()),)
    if now.mixed is None:
        return clean, ()
    mixed = now.mixed.pairs[:1]
    if not mixed and now.mixed_z is not None:
        name = first if now.side == "a" else second
        mixed = (across(*(both | {name: now.mixed_z[name]}).values()),)
    if now.partner is not None:
        mixed = tuple(with_partner(pairs, now.partner, now.side) for pairs in mixed)
    return clean, mixed


def _scored(recipe: Recipe, now: Moment) -> ScoresAt:
    clean, mixed = _pairs(recipe, now)
    kinds = {kind: scores for kind, scores in by_kind(clean, mixed).items() if len(scores)}
    low = -1.0 if float(clean[0].scores.detach().min()) >= -1.001 else -2.0
    high = 1.0 if low == -1 else 0.0
    hills = {kind: histogram(scores, bins=BINS, low=low, high=high) for kind, scores in kinds.items()}
    apart = overlap(hills["positives"], hills["negatives"])
    return ScoresAt(now.step, hills, {kind: summary(scores) for kind, scores in kinds.items()}, apart)


def measured(recipe: Recipe, now: Moment) -> Frame:
    """The numbers that Play draws."""
    (first, second), leaves = zip(*list(now.z.items())[:2], strict=True)
    a, b = (z.detach() for z in leaves)
    clean, _ = _pairs(recipe, now)
    by_motion = not now.clean.pairs
    found = (a @ b.T).argmax(dim=1) == torch.arange(len(a))
    mixed_z = None if now.mixed_z is None else now.mixed_z.get(first if now.side == "a" else second)
    scored = _scored(recipe, now)
    force = -motion(*leaves, now.clean.total()) if by_motion else forces(now.clean)[0]
    return Frame(
        step=now.step,
        hills=scored.hills,
        scores=scored.scores,
        overlap=scored.overlap,
        items=now.items.numpy(),
        a=a.numpy(),
        b=b.numpy(),
        mixed=None if mixed_z is None else mixed_z.detach().numpy(),
        push=share_of_hardest(force, clean[0]),
        active=active_share(force, clean[0]),
        found=int(found.sum()),
        collapse=collapsed(spread(a), effective_rank(a), max_rank(*a.shape)),
        by_motion=by_motion,
    )


@lru_cache(maxsize=2000)
def _scores_at(run: RunFolder, step: int, stamp: int) -> ScoresAt:
    recipe = Recipe.model_validate(run.recipe())
    with torch.no_grad():
        return _scored(recipe, moment(recipe, data_of(recipe), step, run.snapshot(step)))


def scores_along(run: RunFolder, steps: Sequence[int]) -> list[ScoresAt]:
    """The scores of several recorded steps."""
    stamp = (run.path / "recipe.json").stat().st_mtime_ns
    return [_scores_at(run, step, stamp) for step in steps]


def frames(run: RunFolder, steps: Sequence[int]) -> list[Frame]:
    """The numbers of several recorded steps."""
    stamp = (run.path / "recipe.json").stat().st_mtime_ns
    return [frame(run, step, stamp) for step in steps]


def follow_change(shown: Recipe | None, asked: Recipe) -> Recipe:
    """What to show after a knob was moved: a branch where the shown run was still training, else a run of its own.

    The training run is stopped where it stands, and the branch leaves it there.

    Args:
        shown: the recipe on the screen so far, or None where the page has just been opened.
        asked: the recipe as the knobs say it now.
    """
    if shown is None or shown == asked or (asked.parent, asked.from_step) != (shown.parent, shown.from_step):
        return asked
    run = find(shown)
    training = run.path.exists() and run.status().state == "running"
    keeps = (asked.data, asked.encoder, asked.seed) == (shown.data, shown.encoder, shown.seed)
    if not (training and keeps):
        return asked.model_copy(update={"parent": "", "from_step": 0})
    run.ask_to_stop()
    deadline = time.monotonic() + 5
    while run.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    step = min(run.status().step + 1, asked.steps)
    branch = asked.model_copy(update={"parent": run.path.name, "from_step": step})
    begin(branch)
    return branch
