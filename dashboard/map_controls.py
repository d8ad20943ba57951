"""The controls of Map: run, points, modality, layout, and the one group in ink."""

import numpy as np
import streamlit as st

from core.data.registry import DataSet
from core.runs import layouts
from core.runs.folder import RunFolder
from dashboard import transport
from dashboard.controls import WIDTH, knob, option
from dashboard.link import change, view
from dashboard.map_view import Cloud, Source, choices, of_file, of_run
from dashboard.opened import readable
from dashboard.picker import pick

PILLS = 12
POINTS = {"all": "all, at the end", "probe": "some, step by step", "file": "my file"}


def stepwise(run: RunFolder) -> bool:
    """Whether the map is of the items that were recorded step by step; the only one before the run is done."""
    return view().map.items == "probe" or run.status().state != "done"


def source_of(run: RunFolder | None) -> Source:
    """What is drawn: the file, all items of a run at its end, or the recorded ones at the cursor."""
    if run is None:
        return of_file(view().data)
    return of_run(run.path.name, transport.cursor(transport.recorded(run)) if stepwise(run) else None)


def controls() -> tuple[RunFolder | None, str] | None:
    """The run, or None for the user's file, and the modality; nothing where there is nothing to draw."""
    with st.container(horizontal=True, gap="small"):
        own = view().data.kind == "npz"
        from_file = own and view().map.items == "file"
        run = None if from_file else pick(readable)
        if run is None and not from_file:
            return None
        knob("map.items", names=POINTS, options=[name for name in POINTS if name != "file" or own], width=WIDTH + 20)
        source = source_of(run)
        modality = option("map.modality", "Seen in", choices(source), view().map.modality)
        flat = next(iter(source.now.values())).shape[1] == 2
        knob("map.layout", names={"pca": "PCA", "umap": "UMAP"}, disabled=flat)
    if not flat and "maps" not in st.session_state:
        st.session_state["maps"] = "the worker is warm before anyone asks"
        layouts.start()
    return run, modality


def group_of(data: DataSet, points: Cloud) -> tuple[str, np.ndarray]:
    """The one group in ink: its name, empty for none, and (M,) which points belong to it."""
    several = points.modalities if len(points.modalities) > 1 else ()
    options = [*several, *data.classes]
    if not options:
        return "", np.zeros(len(points.z), dtype=bool)
    asked = view().map.group
    chosen = asked if asked in options else None if asked == "none" else options[0]
    st.session_state["map.group"] = chosen or ("none" if len(options) > PILLS else None)

    def moved() -> None:
        change("map.group", st.session_state["map.group"] or "none")

    if len(options) > PILLS:
        st.selectbox("Show one group", ["none", *options], key="map.group", on_change=moved, width=2 * WIDTH)
    else:
        st.pills("Show one group", options, key="map.group", on_change=moved)
    if chosen is None:
        return "", np.zeros(len(points.z), dtype=bool)
    if chosen in several:
        return chosen, points.part == several.index(chosen)
    return chosen, data.labels.numpy()[points.item] == data.classes.index(chosen)
