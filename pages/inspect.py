"""Inspect: is it healthy? A finished run, or a file of embeddings made elsewhere."""

import streamlit as st

from core.diagnostics.verdicts import Verdict
from core.refusal import Refusal
from dashboard.doors import a_file, runs
from dashboard.health import Health, of_file, of_run, worst
from dashboard.link import change, view, write_link
from dashboard.opened import readable
from dashboard.panel import chip
from dashboard.picker import candidates, finished, label, train_one
from dashboard.tiles import TILES, spectrum_panel, tile, training_tile


def teach() -> None:
    st.markdown(
        "Nothing is open yet. Train a network on Play and its health is read here, or drop a file of embeddings: one "
        "array for each modality, one row for each item."
    )
    train_one()


def headline(title: str, health: Health) -> None:
    """What is open, and how many readings ask for a look."""
    verdicts = health.verdicts()
    bad, watch = (sum(verdict.state == state for verdict in verdicts) for state in ("bad", "watch"))
    said = [f"{bad} bad" if bad else "", f"{watch} to watch" if watch else ""]
    summary = Verdict(", ".join(filter(None, said)) or "healthy", worst(verdicts).state if bad or watch else "ok", "")
    st.markdown(f"**{title}** {chip(summary)}")
    st.markdown(f":small[{len(verdicts)} readings of {health.items}. {health.note}]")


def card(title: str, health: Health) -> None:
    headline(title, health)
    shown = [key for key in TILES if key in health.readings] + (["training"] if health.training else [])
    for row in range(0, len(shown), 2):
        for place, key in zip(st.columns(2, gap="large"), shown[row : row + 2], strict=False):
            with place:
                training_tile(health) if key == "training" else tile(key, health)
    spectrum_panel(health)


def opened() -> tuple[str, Health] | None:
    """Name and health of what the link opens: the file, or the run; the newest one where it names none."""
    if view().inspect.of == "file":
        return f"File {getattr(view().data, 'digest', '')[:8]}", of_file(view().data)
    found = candidates(lambda run: readable(run) and finished(run))
    named = [run for run in found if run.path.name == view().run]
    if view().run and not named:
        st.warning(f"Run {view().run} is not among your finished runs; choose one from the list.")
    run = next(iter(named or found), None)
    if run is None:
        return None
    if view().run != run.path.name:
        change("run", run.path.name)
    return label(run), of_run(run.path.name, (run.path / "embeddings.npz").stat().st_mtime_ns)


st.subheader("Is it healthy?")
left, right = st.columns([7, 4], gap="large")
with right:
    a_file()
    runs()
with left:
    try:
        found = opened()
        if found is None:
            teach()
        else:
            card(*found)
    except Refusal as error:
        st.error(str(error))
write_link()
