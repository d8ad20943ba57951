"""Margins: how does a mixed pair keep the pull alive, and which margin was really applied?"""

import streamlit as st

from core.addresses import knobs, read
from core.diagnostics.scene import recorded
from core.mixing.dmm import DMM
from core.runs.folder import RunFolder, Status
from dashboard import drawn_view as drawn
from dashboard import margin_view as scene
from dashboard import transport, words
from dashboard.controls import knob
from dashboard.link import replace, view

SITUATIONS = {"apart": "pairs apart", "together": "not yet together", "twins": "twins nearby"}
LAWS = {"uniform": "even", "beta": "Beta", "fixed": "fixed"}
FRONT = ("mixing.kind", "mixing.law", "mixing.rule")


def present() -> tuple[DMM, float]:
    """The DMM that the lower part is about, and its margin m: the recipe's, or the defaults with the scene's margin."""
    mixing = view().mixing
    p = mixing if isinstance(mixing, DMM) else DMM(margin=view().scene.margin)
    return p, getattr(view().loss, "margin", 0.0) if p.margin is None else p.margin


def use_dmm() -> None:
    """Put DMM into the recipe of Play, with the scene's margin and rule."""
    now = view().scene
    link = {"mixing.kind": "dmm", "mixing.margin": str(now.margin), "mixing.rule": now.rule}
    replace(read(link, view())[0])


def more() -> None:
    rest = [k.address for k in knobs(view()) if k.address.startswith("mixing.") and k.address not in FRONT]
    with st.popover("More", icon=":material/tune:", type="tertiary"):
        if rest:
            st.markdown("**DMM of your recipe**")
            with st.container(horizontal=True):
                for address in rest:
                    knob(address)
        else:
            st.markdown("Your recipe mixes nothing yet. **Use DMM on Play** below brings its settings here.")
        knob("seed")


def recipe_knobs(trained: bool) -> None:
    """What of the recipe's mixing can be changed here, and what to do next."""
    mixing = view().mixing.kind != "none"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if mixing:
            knob("mixing.law", names=LAWS)
            knob("mixing.rule", names=scene.ASKED)
        if not trained:
            label = "Train it on Play" if mixing else "Use DMM on Play"
            if st.button(label, icon=":material/play_arrow:", key="use_dmm", on_click=None if mixing else use_dmm):
                st.switch_page("../pages/play.py")


def live(run: RunFolder | None, before: Status | None) -> None:
    """Where the numbers come from, and the three charts of them."""
    p, margin = present()
    recipe = view().recipe()
    if run is not None and before is not None:
        status = run.status()
        if status.state != before.state:
            st.rerun()
        transport.status_line(recipe, run, status)
        st.markdown(f":small[Read from the plans of your run, step by step, up to step {words.count(status.step)}.]")
        found = recorded(run.metrics())
    else:
        whose = (
            "your recipe" if recipe.mixing.kind != "none" else f"DMM as in the paper, with m = {words.number(margin)},"
        )
        st.markdown(
            f":small[Not trained yet: these are the plans that {whose} would draw first, with seed {recipe.seed}.]"
        )
        found = drawn.planned(recipe, p, margin)
    one, two, three = st.columns(3, gap="large")
    with one:
        drawn.how_much_stays(found, p)
    with two:
        drawn.which_margin(found, p, margin)
    with three:
        drawn.how_fast(recipe, p, None if run is None else found.steps[-1])


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("How does a mixed pair keep the pull alive?")
    more()
with st.container(horizontal=True, gap="small"):
    knob("scene.situation", names=SITUATIONS)
    knob("scene.lam")
    knob("scene.margin")
    knob("scene.rule", names=scene.ASKED)
now = view().scene
left, right = st.columns([6, 5], gap="large")
with left:
    scene.who_pulls(now)
with right:
    scene.large_enough(now)
    scene.which_lambda(now, present()[0])
st.space("small")
st.subheader("What was really drawn?")
run = drawn.own_run(view().recipe())
status = None if run is None else run.status()
recipe_knobs(trained=run is not None)
st.fragment(live, run_every=transport.interval([status] if status else []))(run, status)
