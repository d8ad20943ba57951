"""Play: train and watch. What does this loss do to the points?"""

from contextlib import nullcontext

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.fit import check_fit, remarks
from core.runs.folder import MOVING, DamagedRun, RunFolder, Status
from dashboard import stage, transport
from dashboard.lab import data_of, find, first_frame, follow_change
from dashboard.link import replace, view, write_link
from dashboard.panel import forget, numbers
from dashboard.settings import controls, lane_names, more


def lanes() -> list[tuple[str, Recipe]]:
    """Name and recipe of what is shown: one lane, or two from the same start."""
    asked = view().recipe()
    first = follow_change(st.session_state.get("shown"), asked)
    if first != asked:
        replace(view().with_recipe(first.model_dump()))
    st.session_state["shown"] = first
    if not view().lane.on:
        return [("", first)]
    second = view().second()
    return list(zip(lane_names(first, second), (first, second), strict=True))


def lane(index: int, name: str, recipe: Recipe, run: RunFolder, status: Status | None, steps: list[int]) -> None:
    """One lane: what its run is doing, and its charts at the cursor that all lanes share."""
    if name:
        st.subheader(name)
    if status:
        transport.status_line(recipe, run, status, name)
    if status and status.state == "damaged":
        return
    key = f"_{index}" if index else ""
    own = (transport.recorded(run) if index else steps) if status else []
    if own:
        at = transport.cursor(steps or own)
        stage.panels(stage.scene(recipe, data_of(recipe), run, own, at, key), bool(name))
    else:
        todo = "" if status else " Press **Play**."
        st.markdown(f":small[Not trained yet: this is the network as it starts.{todo}]")
        start = first_frame(recipe)
        stage.panels(
            stage.Scene(recipe, data_of(recipe), (start,), (), f"{run.path.name} untrained", start, key), bool(name)
        )


def steps_of(run: RunFolder, status: Status | None) -> list[int]:
    """The steps of a run that can be shown."""
    return transport.recorded(run) if status and status.state != "damaged" else []


def show(shown: list[tuple[str, Recipe]], keys: DeltaGenerator) -> None:
    """The slider and the lanes, drawn again by themselves for as long as anything moves; the buttons go to `keys`."""
    runs = [find(recipe) for _, recipe in shown]
    before = [run.status() if run.path.exists() else None for run in runs]
    if not any(before):
        st.session_state["playing"] = False
    plays, ready = transport.playing(), bool(steps_of(runs[0], before[0]))
    with keys:
        transport.buttons([recipe for _, recipe in shown], runs, ready)

    @st.fragment(run_every=transport.interval([status for status in before if status]))
    def live() -> None:
        now = [run.status() if run.path.exists() else None for run in runs]
        steps = steps_of(runs[0], now[0])
        same = [s and s.state for s in now] == [s and s.state for s in before]
        if not same or transport.playing() != plays or bool(steps) != ready:
            st.rerun()
        transport.advance(steps, any(s and s.state in MOVING for s in now))
        transport.slider(steps, shown[0][1].steps)
        transport.complaint()
        places = st.columns(len(shown), gap="large") if len(shown) > 1 else [nullcontext()]
        for index, ((name, recipe), run, status) in enumerate(zip(shown, runs, now, strict=True)):
            with places[index]:
                try:
                    lane(index, name, recipe, run, status, steps)
                except DamagedRun as error:
                    transport.status_line(recipe, run, Status("damaged", 0, 0, str(error)), name)
        write_link()

    live()


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("What does this loss do to the points?")
    with st.container(horizontal=True, width="content", gap="small"):
        saves = st.container(width="content")
        more()
with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
    controls()
    keys = st.container(horizontal=True, width="content", gap="xsmall")
if view().lane.on:
    with st.container(horizontal=True, gap="small"):
        controls("lane.")
shown = lanes()
try:
    for _, each in shown:
        check_fit(each, data_of(each))
except Refusal as error:
    st.error(str(error))
else:
    said = [each for _, recipe in shown for each in (*remarks(recipe, data_of(recipe)), data_of(recipe).note)]
    for remark in dict.fromkeys(filter(None, said)):
        st.markdown(f":small[{remark}]")
    forget()
    show(shown, keys)
    with saves:
        numbers()
