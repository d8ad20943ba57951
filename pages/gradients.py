"""Gradients: who is pulled and pushed, and how hard? On pairs made here or of a run; no training needed."""

from typing import Any

import streamlit as st

from core.addresses import knobs, read
from core.diagnostics.synthetic import check_of_pairs, losses_of_pairs
from core.refusal import Refusal
from dashboard import gap_panels as lab
from dashboard import gradient_panels as panels
from dashboard import transport
from dashboard.controls import WIDTH, knob
from dashboard.gradient_view import MOST, Where, along, look, source, standing, strengths
from dashboard.link import replace, view
from dashboard.picker import pick, started, train_one
from dashboard.sections import sections
from dashboard.settings import LOSS_NAMES

FRONT = {"temperature": "Temperature τ", "margin": "Margin m"}
SOURCES = {"synthetic": "made here", "run": "of a run"}
PARTS = {"batch": "Which pairs move in a batch?", "lab": "Why do easy pairs fall silent?"}


def loss_knobs() -> None:
    """The loss and its first two knobs; one that it lacks stays, but cannot be moved."""
    knob("loss", names=LOSS_NAMES, options=losses_of_pairs(view().loss))
    for name, title in FRONT.items():
        if name in type(view().loss).model_fields:
            knob(f"loss.{name}")
        else:
            st.slider(title, 0.0, 1.0, 0.0, key=f"no_{name}", disabled=True, width=WIDTH, help="This loss has none.")


def more() -> None:
    front = [f"loss.{name}" for name in ("kind", *FRONT)]
    with st.popover("More", icon=":material/tune:", type="tertiary"), st.container(horizontal=True):
        if view().pairs.part == "lab":
            lab.more_knobs()
            return
        for each in knobs(view()):
            if each.address.startswith("loss.") and each.address not in front:
                knob(each.address)
        for name in ("dim", "spread", "anchor"):
            knob(f"pairs.{name}")
        knob("mixing", label="Mixing", names={"none": "off", "dmm": "DMM"})
        knob("seed")


def where() -> Where | None:
    """The batch that is asked for; None where there is no run to take it from."""
    chosen = view().pairs
    if chosen.source == "synthetic":
        return Where(chosen, view().seed)
    if (run := pick(started)) is None:
        return None
    steps = transport.recorded(run)
    transport.slider(steps, run.status().steps)
    stamp = int((run.path / "recipe.json").stat().st_mtime_ns)
    return Where(type(chosen)(source="run"), 0, run.path.name, transport.cursor(steps), stamp)


def switch_dmm_on() -> None:
    replace(read({"mixing.kind": "dmm", "mixing.margin": str(view().scene.margin)}, view())[0])


def panes(at: Where) -> None:
    check_of_pairs(view().loss)
    found = source(at)
    p: Any = standing(view().loss, found.learned)
    seen, anchor = look(p, at), min(view().pairs.anchor, len(found.batch) - 1)
    if at.folder:
        part = f"the first {MOST} of the" if len(found.batch) == MOST else f"the {len(found.batch)}"
        st.markdown(f":small[These are {part} pairs that the run recorded at step {at.step}. Try any loss on them.]")
    left, right = st.columns([6, 5], gap="large")
    with left:
        panels.formula(p, seen, found, anchor)
        if seen.rank is not None:
            panels.curves(along(p, at, anchor), found, anchor)
    with right:
        panels.microscope(seen, found)
    if seen.rank is None:
        return
    one, two, three = st.columns(3, gap="large")
    with one:
        panels.by_rank(seen)
    with two:
        panels.by_hardness(seen)
    with three:
        if view().mixing.kind != "none":
            panels.woken(strengths(p, at, view().mixing))
        else:
            panels.not_mixing(switch_dmm_on)


def batch() -> None:
    """One batch under the loss of the recipe."""
    with st.container(horizontal=True, gap="small"):
        loss_knobs()
        knob("pairs.source", names=SOURCES)
        if view().pairs.source == "synthetic":
            knob("pairs.closeness")
            knob("pairs.n")
        at = where()
    if at is not None:
        panes(at)
        return
    st.markdown("There is no run yet to take pairs from. A small one takes a few seconds.")
    train_one()


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("Who is pulled and pushed, and how hard?")
    more()
part, place = sections("pairs.part", PARTS)
try:
    with place:
        {"batch": batch, "lab": lab.laboratory}[part]()
except Refusal as error:
    st.error(str(error))
