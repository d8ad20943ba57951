"""Map: what is near what, and can the picture be trusted?"""

import streamlit as st

from core.data.loading import load
from core.refusal import Refusal
from core.runs.folder import MOVING, RunFolder
from dashboard import transport
from dashboard.controls import knob
from dashboard.lab import begin, find
from dashboard.link import view, write_link
from dashboard.map_controls import controls, group_of, source_of, stepwise
from dashboard.map_panels import the_catch, the_map, the_noise, waiting_line
from dashboard.map_view import FEWEST, Source, Waiting, by_pca, by_umap, cloud
from dashboard.opened import open_run, readable
from dashboard.picker import coming


def teach() -> None:
    """No run can be drawn yet: say what a map is, and offer to train one; while it begins, say so."""
    recipe = view().recipe()
    run = find(recipe)
    begun = run.path.exists() and run.status().state in MOVING

    @st.fragment(run_every=1.0 if begun else None)
    def waiting() -> None:
        if begun and (readable(run) or run.status().state not in MOVING):
            st.rerun()
        st.markdown("A map shows which items a trained network holds to be alike. There is no run to draw yet.")
        if begun:
            st.markdown(":small[Training has begun; the map appears with the first recorded steps.]")
        elif st.button(f"Train {recipe.steps} steps on {load(recipe.data).title}", icon=":material/play_arrow:"):
            begin(recipe)
            st.rerun()

    waiting()


def body(source: Source, modality: str) -> None:
    points = cloud(source, modality)
    if len(points.z) < FEWEST:
        st.markdown(f"A map needs at least {FEWEST} points, and there are {len(points.z)} here.")
        return
    group, ink = group_of(source.data, points)
    plane, waiting = by_pca(points.key, points), Waiting()
    if view().map.layout == "umap" and plane.kind != "exact":
        drawn, waiting = by_umap(points, view().map.neighbours, view().map.min_dist)
        if waiting.keys or waiting.failed:
            waiting_line(waiting, drawn is not None)
        plane = drawn or plane
    left, right = st.columns([7, 4], gap="large")
    with left:
        loop = the_map(plane, points, source.data, ink, group)
    with right:
        the_catch(plane, points, source.data, ink, loop)
        the_noise(plane, ink)
    if source.data.note:
        st.markdown(f":small[{source.data.note}]")


def moving_body(run: RunFolder, modality: str) -> None:
    """The map at the cursor, with the slider, and what the run is doing."""
    transport.status_line(open_run(run.path.name)[1], run, run.status())
    if view().map.items == "all":
        st.markdown(":small[All items are placed when a run is done; these are the ones that it recorded on its way.]")
    transport.slider(transport.recorded(run), run.status().steps)
    body(source_of(run), modality)


def page() -> None:
    if coming():
        return
    found = controls()
    if found is None:
        teach()
        return
    run, modality = found
    state = run.status().state if run else "done"

    @st.fragment(run_every=2.0 if state in MOVING else None)
    def live() -> None:
        try:
            if run and run.status().state != state:
                st.rerun()
            if run and stepwise(run):
                moving_body(run, modality)
            else:
                body(source_of(run), modality)
        except Refusal as error:
            st.error(str(error))
        write_link()

    live()


with st.container(horizontal=True, horizontal_alignment="distribute", wrap=False, vertical_alignment="center"):
    st.subheader("What is near what?")
    with st.popover("More", icon=":material/tune:", type="tertiary"):
        knob("map.neighbours")
        knob("map.min_dist")
try:
    page()
except Refusal as error:
    st.error(str(error))
