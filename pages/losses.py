"""Losses: how does a loss pull and push? Any registered one, on a batch made for it; no training needed."""

import streamlit as st

from core.diagnostics.loss_lens import Sample
from core.params import Params
from core.refusal import Refusal
from dashboard import loss_card as card
from dashboard import loss_panels as panels
from dashboard.controls import knob
from dashboard.link import view
from dashboard.loss_finder import finder
from dashboard.loss_view import Look, look, sample_of
from dashboard.sections import sections

PARTS = {"push": "Who takes the push?", "price": "What is cheap, what is dear?"}
PROMISE = (
    "A contrastive loss pulls what belongs together and pushes the rest apart. Choose one, and see **which pairs it "
    "moves, and how hard**."
)


def more() -> None:
    with st.popover("More", icon=":material/tune:", type="tertiary"):
        card.more_knobs()
        st.markdown("**Charts**")
        with st.container(horizontal=True):
            knob("losses.surface", names={"loss": "price", "push": "push"})
            knob("losses.anchor")
        st.markdown("**Batch**")
        with st.container(horizontal=True):
            for name in ("dim", "spread"):
                knob(f"losses.{name}")
            knob("seed")


def knobs(seen: Look) -> None:
    """The two knobs of the loss, the batch, and what the dots show; what has no effect here cannot be moved."""
    with st.container(horizontal=True, gap="small"):
        card.front_knobs()
        knob("losses.closeness", disabled=seen.motion is None)
        knob("losses.n")
        knob("losses.weight", disabled=seen.motion is None or seen.kind != "force")


def charts(p: Params, s: Sample, seen: Look) -> None:
    """The open loss on its batch."""
    now = view().losses
    left, right = st.columns([6, 5], gap="large")
    with left:
        panels.microscope(p, seen, now.weight)
    with right:
        panels.curves(p, s, now.anchor)
    part, place = sections("losses.part", PARTS)
    with place:
        if part == "push":
            parts = (panels.by_rank, panels.effective, panels.balance)
            for column, draw in zip(st.columns(3, gap="large"), parts, strict=True):
                with column:
                    draw(seen)
            return
        left, right = st.columns([6, 5], gap="large")
        with left:
            panels.price(p, s, now.anchor, now.surface)
        with right:
            panels.scale_marks(p, s)


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("How does a loss pull and push?")
    more()
st.markdown(PROMISE)
p, s = view().losses.open, sample_of(view().losses, view().seed)
try:
    seen = look(p, s)
    left, right = st.columns([5, 6], gap="large")
    with left:
        finder()
    with right:
        card.card(p, seen)
    st.space("small")
    knobs(seen)
    charts(p, s, seen)
    st.space("small")
    card.about(p)
except Refusal as error:
    st.error(str(error))
