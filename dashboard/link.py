"""The link is the state: it is checked against the schema before any widget is built, and written after each change.

Widgets are not bound to the address by Streamlit itself, because a bound address holds only the widgets that are on
the screen and drops a bad value without a word. Here one validated `View` is the state, whichever page is open.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.addresses import Refused, flatten, read
from core.pasted.kept import missing
from core.runs.demo import first_link, presets
from dashboard.view import View

VERSION = "1"
LONGEST = 120
DEFAULT = read(first_link(), View())[0]
DECIDED_BY_DATA = ("data", "encoder", "method", "optimiser", "steps", "at")


def view() -> View:
    """The state of this session, read from its link the first time."""
    if "view" not in st.session_state:
        open_link()
    return st.session_state["view"]


def open_link() -> None:
    """Take up the address as it was opened; what cannot be read is left out and remembered by name."""
    flat = dict(st.query_params)
    version = flat.pop("v", VERSION)
    if version == VERSION:
        flat, strange = without_strangers(flat)
        st.session_state["view"], refused = read(flat, DEFAULT)
        refused += strange
    else:
        seen = Refused("v", version, f"expected {VERSION}; this link is of another version, and all of it was ignored")
        st.session_state["view"], refused = DEFAULT, [seen]
    st.session_state["refused"] = refused


def without_strangers(flat: Mapping[str, str]) -> tuple[dict[str, str], list[Refused]]:
    """A link without the losses of somebody's own that this machine does not hold, or may not run, and their names."""
    kept, refused = dict(flat), []
    for place in ("loss.code", "lane.loss.code", "paste.code"):
        code = kept.get(place, "")
        if code and (why := missing(code)):
            kept = {name: text for name, text in kept.items() if not name.startswith(place.removesuffix("code"))}
            refused.append(Refused(place, code, why))
    return kept, refused


def change(address: str, text: str) -> list[Refused]:
    """Set one address; returns what was refused."""
    st.session_state["view"], refused = read({address: text}, view())
    return refused


def point_at(step: int) -> None:
    """Show another recorded step, -1 for the last; one that is recorded needs no check against the schema."""
    st.session_state["view"] = view().model_copy(update={"at": step})


def replace(new: View) -> None:
    """Set the whole state, as a link does; what Play has shown so far is then no ground for a branch."""
    st.session_state["view"] = new
    st.session_state.pop("shown", None)


def on_data(now: View, link: Mapping[str, str]) -> View:
    """`now` on a data preset, `link`: what that leaves out of data, networks and training has its default."""
    usual = View()
    return read(link, now.model_copy(update={part: getattr(usual, part) for part in DECIDED_BY_DATA}))[0]


def of_lesson(card: Mapping[str, Any]) -> View:
    """What a lesson opens: its own part of a link, on its data preset if it names one."""
    data = next((preset["link"] for preset in presets()["data"] if preset["key"] == card.get("data")), None)
    return read(card["link"], DEFAULT if data is None else on_data(DEFAULT, data))[0]


def write_link() -> None:
    """Put the state into the address: a copied address restores the page."""
    address = {"v": VERSION, **flatten(view(), DEFAULT)}
    if dict(st.query_params) != address:
        st.query_params.from_dict(address)


def refusals() -> None:
    """Name what of the link was ignored, in a sentence each, until it is put away."""
    refused: list[Refused] = st.session_state.get("refused", [])
    if not refused:
        return
    lines = "  \n".join(f"{code(f'{each.address}={each.value}')}: {plain(each.reason)}" for each in refused)
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        st.warning(f"Part of this link was ignored; the default stands in its place.  \n{lines}")
        st.button(
            "",
            icon=":material/close:",
            key="refused_read",
            type="tertiary",
            help="Put this message away",
            on_click=lambda: st.session_state.pop("refused"),
        )


def code(text: str) -> str:
    """A stranger's words as Markdown code, cut short, with nothing in them that could end it."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line if len(line) <= LONGEST else line[:LONGEST] + ' ...'}`"


def plain(text: str) -> str:
    """Text in which Markdown finds no link and no picture."""
    return text.replace("[", r"\[")
