"""Where a pasted loss stands among all registered ones: its nearest twins, and its mark on their map."""

import streamlit as st
import torch

from core.diagnostics.family_map import GRID, SAME, Apart, FamilyMap, Placed, Twin, nearest, place
from core.losses.registry import LOSSES
from core.pasted.entry import Pasted
from dashboard.charts.family import family_chart
from dashboard.family_panels import FAMILIES, FORMULA, MEANS, length, to_losses
from dashboard.family_view import everyone, first, title, together
from dashboard.panel import heading, show

HERE = "yours"


@st.cache_resource(max_entries=20, show_spinner="Placing it among all losses ...")
def _placed(p: Pasted, _found: FamilyMap) -> Placed | str:
    """Its place, or why it has none."""
    try:
        return place(LOSSES.of(p), p, _found)
    except Apart as reason:
        return str(reason)


def place_among_all(p: Pasted) -> None:
    """The panel; all losses are measured the first time that it is asked for."""
    question = "Where does it stand among all?"
    why = (
        "Each mark is a loss; near marks move the same pairs the same way. ○ is yours.",
        f"Yours was handed the {len(GRID)} batches that place the registered losses, and stands where its distances to "
        "them fit best; the others do not move. The twins are the nearest in all dimensions, not on the picture.",
        FORMULA,
    )
    if not st.session_state.get("paste_place"):
        heading(question, "All registered losses are measured once for it, which takes a while.", why=why)
        st.button("Place it", icon=":material/my_location:", key="place", on_click=_ask)
        return
    found = everyone("alike")
    mine = _placed(p, found)
    if isinstance(mine, str):
        heading(question, f"Yours has no place there: {mine}.", why=why)
        return
    twins = nearest(found, mine.distances)
    left, right = st.columns([7, 5], gap="large")
    with left:
        chart = family_chart(
            torch.cat([found.places, mine.place[None]]).numpy(),
            [*found.keys, HERE],
            [*map(title, found.keys), "Yours"],
            [*(LOSSES[key].family for key in found.keys), LOSSES.of(p).family],
            words=FAMILIES,
            named=[HERE, *map(first, twins)],
        )
        show("place", question, _told(twins), chart, why=why)
    with right:
        st.markdown("**Its nearest twins**")
        for twin in twins:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f":small[**{together(twin)}** at {length(twin.distance)}]", width="content")
                to_losses(first(twin), f"see_{first(twin)}", "")


def _ask() -> None:
    st.session_state["paste_place"] = True


def _told(twins: list[Twin]) -> str:
    closest = twins[0]
    if closest.distance < SAME:
        return f"**○ Yours** does the same as {together(closest)}: every pair of every batch moves alike. {MEANS}"
    return f"**○ Yours** is nearest to {together(closest)}, at {length(closest.distance)}. {MEANS}"
