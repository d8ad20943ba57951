"""Inspect: is it healthy? A finished run, a file of embeddings, or a checkpoint that was made elsewhere."""

from collections.abc import Callable, Mapping

import streamlit as st

from core.refusal import Refusal
from dashboard import inspected
from dashboard.checkpoint_door import a_checkpoint
from dashboard.doors import a_file, runs
from dashboard.health import of_file, of_run
from dashboard.link import change, view, write_link
from dashboard.opened import readable
from dashboard.picker import candidates, finished, label, train_one
from dashboard.sections import sections

Parts = Mapping[str, tuple[str, Callable[[], None]]]
CHANGED = "What changed?"


def teach() -> None:
    st.markdown(
        "Nothing is open yet. Train a network on Play and its health is read here; drop a file of embeddings, one row "
        "for each item; or drop a checkpoint of any network."
    )
    train_one()


def of_a_file() -> Parts:
    p, name = view().data, getattr(view().data, "digest", "")

    def health() -> None:
        inspected.card(f"File {name[:8]}", of_file(p))
        inspected.guessed(p)

    return {
        "health": ("Is it healthy?", health),
        "compare": (CHANGED, lambda: inspected.changed("file", name)),
    }


def of_a_checkpoint() -> Parts:
    key = view().inspect.key
    return {
        "health": ("What is in it?", lambda: inspected.weights(key)),
        "embed": ("What does it embed?", lambda: inspected.embedded(key)),
        "compare": (CHANGED, lambda: inspected.weights_changed(key)),
    }


def of_a_run() -> Parts:
    """The run that the link names, or the newest one; nothing where there is none."""
    found = candidates(lambda run: readable(run) and finished(run))
    named = [run for run in found if run.path.name == view().run]
    if view().run and not named:
        st.warning(f"Run {view().run} is not among your finished runs; choose one from the list.")
    run = next(iter(named or found), None)
    if run is None:
        return {}
    if view().run != run.path.name:
        change("run", run.path.name)
    name, stamp = run.path.name, (run.path / "embeddings.npz").stat().st_mtime_ns
    return {
        "health": ("Is it healthy?", lambda: inspected.card(label(run), of_run(name, stamp))),
        "steps": ("Which step is best?", lambda: inspected.steps(name)),
        "compare": (CHANGED, lambda: inspected.changed("run", name)),
    }


def page() -> None:
    parts = {"run": of_a_run, "file": of_a_file, "checkpoint": of_a_checkpoint}[view().inspect.of]()
    if not parts:
        teach()
        return
    if view().inspect.part not in parts:
        change("inspect.part", "health")
    part, place = sections("inspect.part", {name: question for name, (question, _) in parts.items()})
    with place:
        try:
            parts[part][1]()
        except Refusal as error:
            st.error(str(error))


st.subheader("Is it healthy?")
left, right = st.columns([7, 4], gap="large")
with right:
    a_file()
    a_checkpoint()
    runs()
with left:
    try:
        page()
    except Refusal as error:
        st.error(str(error))
write_link()
