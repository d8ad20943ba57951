"""Which run a page is about: the one named in the link, the present recipe's, or the newest that fits."""

import itertools
from collections.abc import Callable

import streamlit as st

from core.runs.folder import MOVING, DamagedRun, RunFolder, list_runs
from core.runs.worker import recipe_of
from dashboard.controls import WIDTH
from dashboard.lab import find
from dashboard.link import change, view

LISTED = 50


def finished(run: RunFolder) -> bool:
    return run.status().state == "done"


def started(run: RunFolder) -> bool:
    """Whether anything was recorded."""
    return len(run.snapshots()) > 1


def label(run: RunFolder) -> str:
    """A run in a few words: loss, mixing, data, seed."""
    recipe = recipe_of(run)
    mixing = "" if recipe.mixing.kind == "none" else f" + {recipe.mixing.kind}"
    return f"{recipe.loss.kind}{mixing}, {recipe.data.kind}, seed {recipe.seed} · {run.path.name[:4]}"


def usable(run: RunFolder, fits: Callable[[RunFolder], bool]) -> bool:
    """Whether a run is whole, of a recipe that this version understands, and fits."""
    try:
        recipe_of(run)
        return run.status().state != "damaged" and fits(run)
    except DamagedRun:
        return False


def candidates(fits: Callable[[RunFolder], bool]) -> list[RunFolder]:
    """Runs that fit, the one of the present view first, then the newest."""
    runs = [run for run in itertools.islice(list_runs(), LISTED) if usable(run, fits)]
    own = find(view().recipe()).path.name
    return sorted(runs, key=lambda run: run.path.name != own)


def pick(fits: Callable[[RunFolder], bool] = finished) -> RunFolder | None:
    """A select box of the runs that fit; None where there is none."""
    runs = candidates(fits)
    if not runs:
        return None
    names = {run.path.name: label(run) for run in runs}
    chosen = view().run if view().run in names else runs[0].path.name
    st.session_state["run"] = chosen

    def chosen_anew() -> None:
        change("run", st.session_state["run"])

    st.selectbox(
        "Run",
        list(names),
        format_func=names.__getitem__,
        key="run",
        on_change=chosen_anew,
        width=2 * WIDTH,
    )
    return next(run for run in runs if run.path.name == chosen)


def coming() -> bool:
    """Whether the run of the present recipe has been started and shows nothing yet; says so until it does."""
    own = find(view().recipe())

    def nothing_yet() -> bool:
        return own.path.exists() and own.status().state in MOVING and not started(own)

    if not nothing_yet():
        return False

    @st.fragment(run_every=0.5)
    def waiting() -> None:
        if not nothing_yet():
            st.rerun()
        st.markdown(f"Training has begun: {label(own)}. The first picture comes in a moment.")

    waiting()
    return True


def train_one() -> None:
    """The way out of a page that has no run to show."""
    if st.button("Train one on Play", icon=":material/play_arrow:"):
        st.switch_page("../pages/play.py")
