"""Losses: how does a loss pull and push? Any registered one, on a batch made for it; no training needed."""

import streamlit as st

from core.refusal import Refusal
from dashboard import loss_card as card
from dashboard import loss_panels as panels
from dashboard.controls import knob
from dashboard.link import view
from dashboard.loss_finder import finder
from dashboard.loss_view import look, sample_of
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


def knobs() -> None:
    """The two knobs of the loss, the batch, and what the dots show."""
    with st.container(horizontal=True, gap="small"):
        card.front_knobs()
        knob("losses.closeness")
        knob("losses.n")


def charts() -> None:
    """The open loss on its batch."""
    now = view().losses
    p, s = now.open, sample_of(now, view().seed)
    seen = look(p, s)
    left, right = st.columns([6, 5], gap="large")
    with left:
        panels.microscope(p, seen, now.weight)
        if seen.moved is not None and seen.kind == "force":
            knob("losses.weight")
    with right:
        panels.curves(p, s, now.anchor)
    part, place = sections("losses.part", PARTS)
    with place:
        if part == "push":
            for column, draw in zip(
                st.columns(3, gap="large"), (panels.by_rank, panels.effective, panels.balance), strict=True
            ):
                with column:
                    draw(seen)
        else:
            left, right = st.columns([6, 5], gap="large")
            with left:
                panels.price(p, s, now.anchor, now.surface)
            with right:
                panels.scale_marks(p, s)


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("How does a loss pull and push?")
    more()
st.markdown(PROMISE)
try:
    left, right = st.columns([5, 6], gap="large")
    with left:
        finder()
    with right:
        card.card(view().losses.open, look(view().losses.open, sample_of(view().losses, view().seed)))
    st.space("small")
    knobs()
    charts()
    st.space("small")
    card.about(view().losses.open)
except Refusal as error:
    st.error(str(error))
