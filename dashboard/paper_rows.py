"""One paper as a row: what it claims, what of it runs here, and the way to see it."""

import streamlit as st

from core.papers import Paper, State
from core.registry import Entry
from dashboard.link import change
from dashboard.paper_view import opened

CHIP = {
    "runs": ":green-badge[:material/check: runs]",
    "in part": ":yellow-badge[:material/timelapse: in part]",
    "not yet": ":gray-badge[not yet]",
}
STATES: tuple[State, ...] = ("runs", "in part", "not yet")
SOURCE = {
    "code": "formulas from the authors’ code",
    "paper": "formulas from the paper",
    "recalled": "formulas recalled, not looked up",
    "designed": "formulas designed here after the idea",
}
FILTERS = ("find", "state", "kind")


def clear() -> None:
    """List every paper again."""
    for name, text in zip(FILTERS, ("", "all", "all"), strict=True):
        change(f"papers.{name}", text)


def _what_runs(paper: Paper) -> str:
    by_kind: dict[str, list[Entry]] = {}
    for kind, entry in paper.pieces:
        by_kind.setdefault(kind, []).append(entry)
    said = [f"{kind}: {', '.join(entry.title for entry in found)}" for kind, found in by_kind.items()]
    runs = f"Runs here, {'; '.join(said)}." if said else "Nothing of it runs here yet."
    golden = " Held to published numbers." if paper.golden and paper.pieces else ""
    rest = f" Still to come: {', '.join(paper.missing)}." if paper.missing else ""
    return f"{runs}{golden}{rest}"


def row(paper: Paper) -> None:
    """The paper with its claim, what runs, and a button for each place where it can be seen."""
    note = f" *{paper.note}*" if paper.note else ""
    look = f":material/visibility: {paper.look} " if paper.look else ""
    weak = f"*{paper.weak}*" if paper.weak else ""
    shown = f"\n\n:small[{look}{weak}]" if look or weak else ""
    with st.container(border=True, gap="xsmall"):
        st.markdown(
            f"**{paper.title}** {CHIP[paper.state]}  \n:small[{paper.reference} · `{paper.id}` · "
            f"{', '.join(paper.kinds)} · {SOURCE[paper.confidence]}]\n\n{paper.claim}{shown}\n\n"
            f":small[{_what_runs(paper)}{note}]"
        )
        if paper.pieces and paper.open.page:
            go = st.button(
                "See it" if paper.look else "See its parts at work",
                icon=":material/arrow_forward:",
                key=f"see_{paper.id}",
                type="tertiary",
                on_click=opened,
                args=(paper,),
            )
            if go:
                st.switch_page(f"../pages/{paper.open.page}.py")
