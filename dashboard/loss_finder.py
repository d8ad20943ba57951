"""Finding a loss: a search, two filters behind one button, and the list of what answers."""

import streamlit as st

from core.loss_search import FAMILIES, WORDS, find
from core.losses.registry import LOSSES, LossEntry
from dashboard.controls import knob
from dashboard.link import change, view

FIRST, LIST_HEIGHT = 4, 380
FAMILY = {
    "all": "all families",
    "softmax": "softmax: all candidates compete",
    "hinge": "hinge: silent beyond a margin",
    "logistic": "logistic: each pair alone",
    "angular": "angular: a margin on the angle",
    "contrastive": "contrastive: a distance is asked",
    "none": "no margin of its own",
}
MARK = {
    "code": ("from the authors’ code", "Its definition follows the code that its authors released."),
    "paper": ("from the paper", "Its definition follows the equation of the paper."),
    "recalled": ("recalled", "Written from the field’s common knowledge; no equation of a paper was at hand."),
    "designed": ("designed here", "It is our own; no paper defines it."),
}


def clear() -> None:
    """List every loss again."""
    for address, text in (("find", ""), ("family", "all"), ("have", ""), ("whole", "off")):
        change(f"losses.{address}", text)


def list_all(text: str) -> None:
    change("losses.whole", text)


def open_loss(key: str) -> None:
    change("losses.open", key)


def narrow() -> None:
    """The filters, behind a button that says how many are set."""
    now = view().losses
    chosen = (now.family != "all") + bool(now.have)
    label = f"Narrow down ({chosen})" if chosen else "Narrow down"
    with st.popover(label, icon=":material/filter_list:", key="narrow"):
        knob("losses.have", names=WORDS, width="stretch")
        knob("losses.family", names={name: FAMILY.get(name, name) for name in ("all", *FAMILIES)}, width="stretch")


def _row(entry: LossEntry, opened: bool) -> None:
    icon = ":material/radio_button_checked:" if opened else ":material/radio_button_unchecked:"
    with st.container(gap=None):
        st.button(
            f"**{entry.title}**" if opened else entry.title,
            key=f"open_{entry.key}",
            icon=icon,
            type="tertiary",
            on_click=open_loss,
            args=(entry.key,),
        )
        family = "" if entry.family == "none" else f"{entry.family} · "
        st.markdown(f":small[{family}{MARK[entry.origin][0]} · {entry.summary}]")


def finder() -> None:
    """Search, filters and list; a loss is opened by its name."""
    now = view().losses
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        knob("losses.find", width=240)
        narrow()
    found = find(now.find, now.family, now.have)
    total = len(LOSSES)
    if not found:
        st.markdown(f"None of the {total} losses answers to that. Other words, or fewer filters, will find some.")
        st.button("Clear search and filters", icon=":material/close:", key="clear", on_click=clear)
        return
    listed = found if now.whole else found[:FIRST]
    counted = f"All {total} losses" if len(found) == total else f"{len(found)} of {total} losses"
    shown = "." if len(listed) == len(found) else f"; the first {len(listed)} are listed."
    narrowed = bool(now.find or now.have or now.family != "all")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":small[{counted}{' answer' if narrowed else ''}{shown}]", width="content")
        if len(found) > FIRST:
            st.button(
                "Show fewer" if now.whole else f"Show all {len(found)}",
                key="whole",
                type="tertiary",
                on_click=list_all,
                args=("off" if now.whole else "on",),
            )
        if narrowed:
            st.button("Clear", key="clear", icon=":material/close:", type="tertiary", on_click=clear)
    with st.container(
        height=LIST_HEIGHT if len(listed) > FIRST else "content", border=False, key="found", gap="xxsmall"
    ):
        for entry in listed:
            _row(entry, entry.key == now.open.kind)
