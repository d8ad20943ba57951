"""Papers: what has the field claimed, and what of it runs here?"""

import streamlit as st

from core.papers import papers
from dashboard.controls import knob
from dashboard.link import view
from dashboard.paper_rows import STATES, clear, row

now, every = view().papers, papers()
counts = {state: sum(paper.state == state for paper in every) for state in STATES}

st.subheader("What has the field claimed, and what of it runs here?")
st.markdown(
    f"DMM and {len(every) - 1} papers around it. **{counts['runs']}** run, **{counts['in part']}** run in part, "
    f"**{counts['not yet']}** not yet. *Runs* means: it is registered, tests hold it to published numbers or to its "
    "formula, and a page shows it. A claim is the authors’; what our own runs say of it stands beside it. *See it* "
    "opens the one picture that shows a claim, with its control."
)
with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
    knob("papers.find", width=280)
    knob("papers.state", width=200, names={state: f"{state} ({counts[state]})" for state in STATES})
    knob("papers.kind", width=200)
found = [
    paper
    for paper in every
    if now.state in ("all", paper.state) and (now.kind == "all" or now.kind in paper.kinds) and paper.answers(now.find)
]
if found:
    st.markdown(f":small[{len(found)} of {len(every)} papers.]")
else:
    st.markdown("No paper answers to that. Other words, or fewer filters, will find some.")
    st.button("Clear search and filters", icon=":material/close:", key="clear_papers", on_click=clear)
for start in range(0, len(found), 2):
    for column, paper in zip(st.columns(2), found[start : start + 2], strict=False):
        with column:
            row(paper)
