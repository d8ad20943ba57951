"""The charts of one loss on its batch, as Losses draws them of a registered one and Paste of a pasted one."""

import streamlit as st

from core.diagnostics.loss_lens import Sample
from core.params import Params
from dashboard import loss_panels as panels
from dashboard.link import view
from dashboard.loss_view import Look, along, look, marks, surface
from dashboard.sections import sections

PARTS = {"push": "Who takes the push?", "price": "What is cheap, what is dear?"}


def prepare(p: Params, s: Sample) -> Look:
    """Compute all that is shown before any of it is drawn, so that the browser draws it in one go."""
    now = view().losses
    along(p, s, now.anchor)
    if now.part == "price":
        surface(p, s, now.anchor, now.surface)
        marks(p, s)
    return look(p, s)


def charts(p: Params, s: Sample, seen: Look) -> None:
    """A loss on its batch."""
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
