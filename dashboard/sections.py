"""Parts of a page behind tabs: only the open one is computed, and which one that is stands in the link."""

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.addresses import knobs
from dashboard.link import change, view


def sections(address: str, titles: Mapping[str, str]) -> tuple[str, DeltaGenerator]:
    """Tabs over the choices of a field.

    Args:
        address: of the field.
        titles: choice -> the question on its tab.

    Returns:
        The choice that is open, and its container.
    """
    now = next(str(knob.value) for knob in knobs(view()) if knob.address == address)
    choice = {title: name for name, title in titles.items()}
    st.session_state[address] = titles[now]

    def turned() -> None:
        change(address, choice[st.session_state[address]])

    tabs = st.tabs(list(choice), key=address, on_change=turned)
    return now, tabs[list(titles).index(now)]
