"""Losses: how does a loss pull and push? Any registered one, on a batch made for it; no training needed."""

import streamlit as st

from core.diagnostics.loss_lens import Sample
from core.params import Params
from core.refusal import Refusal
from dashboard import loss_card as card
from dashboard import loss_panels as panels
from dashboard.controls import knob
from dashboard.link import view, write_link
from dashboard.loss_finder import finder
from dashboard.loss_view import Look, along, look, marks, sample_of, surface
from dashboard.panel import forget, numbers
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


def knobs(seen: Look | None) -> None:
    """The two knobs of the loss, the batch, and what the dots show; what has no effect here cannot be moved."""
    moving = seen is None or seen.motion is not None
    with st.container(horizontal=True, gap="small"):
        card.front_knobs()
        knob("losses.closeness", disabled=not moving)
        knob("losses.n")
        knob("losses.weight", disabled=not moving or (seen is not None and seen.kind != "force"))


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


def prepare(p: Params, s: Sample) -> Look:
    """Compute all that is shown before any of it is drawn, so that the browser draws it in one go."""
    now = view().losses
    along(p, s, now.anchor)
    if now.part == "price":
        surface(p, s, now.anchor, now.surface)
        marks(p, s)
    return look(p, s)


@st.fragment
def laboratory(price: card.Price) -> None:
    """The knobs and what follows them: a moved knob draws this part alone, and the link."""
    p, s = view().losses.open, sample_of(view().losses, view().seed)
    forget()
    try:
        seen = prepare(p, s)
    except Refusal as error:
        knobs(None)
        st.error(str(error))
    else:
        price.show(p, seen)
        knobs(seen)
        charts(p, s, seen)
    write_link()


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False):
    st.subheader("How does a loss pull and push?")
    with st.container(horizontal=True, width="content", gap="small"):
        saves = st.container(width="content")
        more()
st.markdown(PROMISE)
left, right = st.columns([5, 6], gap="large")
with left:
    finder()
with right:
    price = card.card(view().losses.open)
st.space("small")
laboratory(price)
st.space("small")
card.about(view().losses.open)
with saves:
    numbers()
