"""Missing: what is still known when a modality is gone?"""

import streamlit as st

from core.refusal import Refusal
from dashboard.controls import knob
from dashboard.filled_panels import fills
from dashboard.link import change, plain, view
from dashboard.missing_panels import across, along, each_subset
from dashboard.missing_view import Parts, Source, measured, only_modality, parts, several
from dashboard.picker import pick

ANOTHER = "choose a run with two or more"
BY_JOINT = "; a complete item's is that of the joint encoder, as in GMC"
NAMES = {"accuracy": "5-NN accuracy", "retrieval": "R@1"}


def teach() -> None:
    st.markdown("This page needs a finished run with two modalities or more. There is none yet.")
    if st.button("Train the emoji on Play", icon=":material/play_arrow:"):
        change("data.items", "0")
        st.switch_page("../pages/play.py")


def whole(source: Source, of: Parts, measure: str) -> None:
    """Items as the mean of their modalities: every subset, the way down, and from one modality to the other."""
    found, rates = measured(source)
    what = NAMES[measure]
    chance = found.chance if measure == "accuracy" else 1 / found.places[0].size
    left, right = st.columns(2, gap="large")
    with left:
        each_subset(found, what, measure, chance, "" if of.joint is None else BY_JOINT)
    with right:
        along(rates, what, measure, chance)
    if found.across:
        across(found, rates)


def source_of() -> Source | None:
    """The run or the file whose embeddings are looked at; None where there is none."""
    own = view().data.kind == "npz" and bool(getattr(view().data, "digest", ""))
    if own:
        knob("missing.of", names={"run": "a run", "file": "my file"})
    if own and view().missing.of == "file":
        return view().data
    run = pick(several)
    return None if run is None else run.path.name


def page() -> None:
    if view().missing.of == "run" and (only := only_modality(view().run)):
        st.warning(f"The run {view().run} has one modality, {plain(only)}, so nothing can go missing; {ANOTHER}.")
    with st.container(horizontal=True, gap="small"):
        source = source_of()
        if source is None:
            teach()
            return
        of = parts(source)
        if len(of.test) < 2:
            raise Refusal(f"The file holds one modality, '{next(iter(of.test))}'; expected two or more: add another")
        if of.alike:
            knob("missing.measure", names=NAMES, options=None if of.classes else ["retrieval"])
    if of.alike:
        whole(source, of, view().missing.measure if of.classes else "retrieval")
    fills(source)
    if of.note:
        st.markdown(f":small[{plain(of.note)}]")


st.subheader("What is still known when a modality is gone?")
try:
    page()
except Refusal as error:
    st.error(str(error))
