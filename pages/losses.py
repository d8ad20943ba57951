"""Losses: how does a loss pull and push? Any registered one, on a batch made for it; no training needed."""

import streamlit as st

from core.refusal import Refusal
from dashboard import loss_card as card
from dashboard.controls import knob
from dashboard.link import view, write_link
from dashboard.loss_charts import charts, prepare
from dashboard.loss_finder import finder
from dashboard.loss_view import Look, sample_of
from dashboard.panel import forget, numbers

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
