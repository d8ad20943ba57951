"""Paste: does a loss of your own pull and push as it should? Typed, checked, looked at, and taken to Play."""

import streamlit as st

from core.environment import PASTE_LINE
from core.losses.registry import LOSSES
from core.params import Params
from core.pasted import kept
from core.pasted.examples import SOUND
from core.refusal import Refusal
from dashboard import paste_desk as desk
from dashboard.controls import knob
from dashboard.link import view, write_link
from dashboard.loss_charts import charts, prepare
from dashboard.loss_view import sample_of
from dashboard.panel import forget, numbers
from dashboard.paste_place import place_among_all

PROMISE = (
    "Type a loss of ten lines. It is checked, drawn on the batch that the registered losses are drawn on, placed among "
    "them, and can be trained. **Its code runs on this machine, and never travels in a link.**"
)
REGISTERED = LOSSES["info_nce"].params()


def more() -> None:
    with st.popover("More", icon=":material/tune:", type="tertiary"):
        st.markdown("**Charts**")
        with st.container(horizontal=True):
            knob("losses.surface", names={"loss": "price", "push": "push"})
            knob("losses.anchor")
            knob("losses.weight")
        st.markdown("**Batch**")
        with st.container(horizontal=True):
            for name in ("dim", "spread"):
                knob(f"losses.{name}")
            knob("seed")


@st.fragment
def laboratory(p: Params) -> None:
    """The batch and the charts of a loss; a moved knob draws this part alone, and the link."""
    s = sample_of(view().losses, view().seed)
    forget()
    with st.container(horizontal=True, gap="small"):
        knob("losses.closeness")
        knob("losses.n")
    try:
        seen = prepare(p, s)
    except Refusal as error:
        st.error(str(error))
    else:
        charts(p, s, seen)
    write_link()


def switched_off() -> None:
    """What the page is, the line that switches it on, and what it would show."""
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.markdown("**Switched off.** What is typed here runs on this machine, so the app has to be started for it:")
        st.code(PASTE_LINE, language=None, wrap_lines=True)
        st.markdown(f":small[Then it listens to this machine alone. {desk.limits()}]")
        st.markdown("**What could be pasted**")
        st.code(next(iter(SOUND.values())), language=None, wrap_lines=True)
    with right:
        st.markdown("**What it would be asked**")
        st.markdown("\n".join(f"- {question}" for question in desk.questions()))
    st.markdown("**What it would show**, here of the registered InfoNCE, which that text copies")
    laboratory(REGISTERED)


def switched_on() -> None:
    """The box, what was found in it, and the charts of what was accepted."""
    desk.warm_up()
    desk.take_file()
    left, right = st.columns([6, 5], gap="large")
    with left:
        desk.box()
        st.markdown(f":small[{desk.limits()}]")
    found = desk.verdict()
    with right:
        desk.findings(found)
    with left:
        desk.keeping(found)
        desk.shelf()
        desk.complaint()
    if found.p is None:
        st.markdown("Its charts appear here as soon as nothing is refused.")
        return
    laboratory(found.p)
    st.space("small")
    place_among_all(found.p)


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("Does your own loss pull and push?")
    with st.container(horizontal=True, width="content", gap="small"):
        saves = st.container(width="content")
        more()
st.markdown(PROMISE)
if kept.switched_on():
    switched_on()
else:
    switched_off()
with saves:
    numbers()
write_link()
