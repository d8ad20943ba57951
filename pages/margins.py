"""Margins: how does a mixed pair keep the pull alive, and which margin was really applied?"""

import streamlit as st

from core.addresses import knobs
from dashboard import drawn_view as drawn
from dashboard import far_view as far
from dashboard import lens_view as lens
from dashboard import margin_view as scene
from dashboard import transport
from dashboard.controls import knob
from dashboard.link import view
from dashboard.sections import sections

FRONT = ("mixing.kind", "mixing.law", "mixing.rule")
PARTS = {
    "applied": "Which margin was really applied?",
    "far": "Is a strong pair made a little far?",
    "users": "Who pays for whom?",
}


def more() -> None:
    rest = [
        k.address for k in knobs(view()) if k.matters and k.address.startswith("mixing.") and k.address not in FRONT
    ]
    with st.popover("More", icon=":material/tune:", type="tertiary"):
        if rest:
            st.markdown("**DMM of your recipe**")
            with st.container(horizontal=True):
                for address in rest:
                    knob(address)
        else:
            st.markdown("Your recipe mixes nothing yet. **Use DMM on Play** below brings its settings here.")
        for address in ("scene.own", "lens.draw", "seed"):
            knob(address)


def applied() -> None:
    """The lens on the released rule, and beside it what the reader's own run drew."""
    with st.container(horizontal=True, gap="small"):
        knob("lens.applied", names=lens.APPLIED)
        knob("lens.form", names=lens.FORMS)
        knob("lens.margin")
    lens.which_margin_applied(view().lens)
    st.subheader("What did your own run draw?")
    run = drawn.own_run(view().recipe())
    status = None if run is None else run.status()
    drawn.recipe_knobs(trained=run is not None)
    st.fragment(drawn.live, run_every=transport.interval([status] if status else []))(run, status)


def little_far() -> None:
    """The plane of two partners beside what a step does to strong and weak pairs."""
    now = view().scene
    knob("lens.sphere")
    left, right = st.columns([6, 5], gap="large")
    with left:
        far.who_is_asked(now)
    with right:
        far.what_moves(now, view().lens.sphere, view().seed)
        far.where_it_rests(now)


def users() -> None:
    """The two tables of the broadcast fault."""
    with st.container(horizontal=True, gap="small"):
        knob("lens.asked")
        knob("lens.separation")
    left, right = st.columns(2, gap="large")
    with left:
        lens.who_pays(view().lens, view().seed, released=True)
    with right:
        lens.who_pays(view().lens, view().seed, released=False)


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("How does a mixed pair keep the pull alive?")
    more()
with st.container(horizontal=True, gap="small"):
    scene.situations()
    for address in ("scene.gap", "scene.lam", "scene.margin"):
        knob(address)
    knob("scene.rule", names=scene.ASKED)
now = view().scene
left, right = st.columns([6, 5], gap="large")
with left:
    scene.who_pulls(now)
    if st.button("See it for 64 pairs at once", icon=":material/grid_on:", key="lab", on_click=scene.to_the_lab):
        st.switch_page("../pages/gradients.py")
with right:
    scene.large_enough(now)
    scene.which_lambda(now, drawn.present()[0])
st.space("small")
part, place = sections("lens.part", PARTS)
with place:
    {"applied": applied, "far": little_far, "users": users}[part]()
