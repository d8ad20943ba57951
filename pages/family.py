"""Family: which losses do the same thing? All of them placed by how they move the pairs of the same batches."""

import streamlit as st

from core.diagnostics.family_map import TEMPERATURE
from core.losses.registry import LOSSES
from dashboard.controls import knob
from dashboard.family_panels import the_changes, the_map, the_rest, the_twins, to_losses
from dashboard.family_view import changes, everyone, relatives, standing
from dashboard.link import view, write_link

SETTINGS = {"alike": f"{TEMPERATURE} for all", "own": "each its own"}
PROMISE = (
    "Every loss is handed the same batches, and asked how it would move each pair. Those that move them alike **lie "
    "together**, whatever they are called and whoever wrote them down."
)

st.subheader("Which losses do the same thing?")
st.markdown(PROMISE)
now = view().family
with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
    names = {entry.key: entry.title for entry in sorted(LOSSES, key=lambda entry: entry.title.lower())}
    knob("family.loss", names=names, options=list(names), width=340)
    knob("family.setting", names=SETTINGS)
    to_losses(now.loss, "open", "Open it on Losses")
found = everyone(now.setting)
here = standing(found, now.loss) if now.loss in found.keys else None
left, right = st.columns([7, 5], gap="large")
with left:
    the_map(found, here, now.setting)
with right:
    if here is None:
        st.markdown(f"**{LOSSES[now.loss].title}** has no place on the map: {found.apart[now.loss]}.")
    else:
        the_twins(found, here)
if here is not None:
    st.space("small")
    others = relatives(found, here)
    far = found.distances[found.keys.index(here.key)]
    before = {key: float(far[found.keys.index(key)]) for key in others}
    the_changes(here, changes(here.key, tuple(others), now.setting), before)
st.space("small")
the_rest(found)
write_link()
