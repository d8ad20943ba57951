"""The picture that a paper's claim stands or falls with: its preset, its control, and the line that names it."""

import streamlit as st

from core.addresses import read
from core.papers import Paper, papers
from dashboard.link import DEFAULT, change, on_data, replace, view
from dashboard.view import View


def claim(paper: Paper, now: View) -> View:
    """What a paper opens, all else as at first or as usual on its data; the list of papers is kept as it stands."""
    link, shown = paper.open.link, now.papers.model_copy(update={"shown": paper.id if paper.look else ""})
    found = on_data(DEFAULT, link) if "data.kind" in link else read(link, DEFAULT)[0]
    return found.model_copy(update={"papers": shown})


def control(paper: Paper, now: View) -> View:
    """The same picture without what the paper brings."""
    return read(paper.control, claim(paper, now))[0]


def opened(paper: Paper) -> None:
    """Show the claim."""
    replace(claim(paper, view()))


def _turned(paper: Paper) -> None:
    replace(control(paper, view()))


def _put_away() -> None:
    change("papers.shown", "")


def line(page: str) -> None:
    """Whose view the page is, with the way to its control and back; nothing on any page but the paper's own."""
    paper = next((each for each in papers() if each.id == view().papers.shown), None)
    if paper is None or paper.open.page != page:
        return
    weak = f" *{paper.weak}*" if paper.weak else ""
    with st.container(border=True, gap="xsmall", key="paper_line"):
        at_control = bool(paper.control) and view() == control(paper, view())
        part = " · its control" if at_control else ""
        st.markdown(f":small[**{paper.title}**{part}  \n{paper.look}{weak}]")
        with st.container(horizontal=True, gap="small"):
            if at_control:
                st.button("Back to the claim", icon=":material/undo:", key="paper_claim", type="tertiary",
                          on_click=opened, args=(paper,))  # fmt: skip
            elif paper.control:
                st.button("Its control", icon=":material/compare_arrows:", key="paper_control", type="tertiary",
                          on_click=_turned, args=(paper,))  # fmt: skip
            st.button("Put away", icon=":material/close:", key="paper_away", type="tertiary", on_click=_put_away)
