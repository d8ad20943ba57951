"""Scores: how alike are pairs, non-pairs and mixed pairs, over time and beside other runs?"""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.refusal import Refusal
from core.runs.folder import RunFolder
from dashboard import transport, words
from dashboard.charts.bands import bands
from dashboard.charts.distributions import distributions
from dashboard.lab import ScoresAt, scores_along
from dashboard.link import change, view
from dashboard.panel import show
from dashboard.picker import candidates, label, pick, started

SHOWN = {"positives": "positives", "negatives": "negatives", "mixed positives": "mixed"}
BESIDE = 3
BANDS = 41


def teach() -> None:
    st.markdown("Scores are read from a run, and there is none yet. A small one takes a few seconds.")
    if st.button("Open Play", icon=":material/play_arrow:"):
        st.switch_page("../pages/play.py")


def beside(run: RunFolder) -> list[RunFolder]:
    """Up to three other runs to lay beside the chosen one."""
    others = {each.path.name: each for each in candidates(started) if each.path.name != run.path.name}
    if not others:
        return []
    chosen = [name for name in view().scores.beside if name in others][:BESIDE]
    st.session_state["scores.beside"] = chosen

    def laid_beside() -> None:
        change("scores.beside", ",".join(st.session_state["scores.beside"][:BESIDE]))

    with st.popover("Beside it", icon=":material/compare:", type="tertiary"):
        st.pills(
            "Other runs, at most three",
            list(others)[:12],
            selection_mode="multi",
            format_func=lambda name: label(others[name]),
            key="scores.beside",
            on_change=laid_beside,
        )
    return [others[name] for name in chosen]


def over_time(shown: Sequence[ScoresAt], now: ScoresAt, last: int) -> None:
    steps = [each.step for each in shown]
    kinds = [kind for kind in SHOWN if kind in now.scores]
    quantiles = {SHOWN[kind]: np.array([each.scores[kind].quantiles for each in shown]) for kind in kinds}
    low, high = now.scores["positives"].quantiles[0], now.scores["negatives"].quantiles[-1]
    sentence = (
        f"At step {now.step}, 95% of the {words.positives()} score above {words.number(low)}, "
        f"95% of the {words.negatives()} below {words.number(high)}."
    )
    if "mixed positives" in now.scores:
        sentence += f" {words.mixed()} score {words.number(now.scores['mixed positives'].mean)} on average."
    why = (
        "The middle line is the median; the dark band holds half of the pairs, the light one nine in ten.",
        "All pairs of the run's probe items count, not a sample of them. A useful embedding lifts the positives clear "
        "of the negatives; a collapsed one lifts them all together.",
        r"Q_{.05},\ Q_{.25},\ Q_{.5},\ Q_{.75},\ Q_{.95}",
    )
    chart = bands(steps, quantiles, now.step, until=last)
    show("bands", "When do pairs and non-pairs part?", sentence, chart, why=why)


def side_by_side(named: dict[str, ScoresAt]) -> None:
    first = next(iter(named.values()))
    said = "; ".join(f"{name}: {words.share(f.overlap)} in common" for name, f in named.items())
    sentence = f"{words.positives()} against {words.negatives()}: {said}."
    why = (
        "The hills of each run at the step of the cursor, or at its last step where it is shorter.",
        "Each hill is drawn equally high. Distances between hills of different losses can be compared, since all "
        "scores are cosines; for Triplet they are minus the distance.",
        r"\text{in common}=\sum_k\min(p^+_k,\,p^-_k)",
    )
    hills = {
        name: {SHOWN[kind]: f.hills[kind].share for kind in SHOWN if kind in f.hills}
        for name, f in named.items()
        if f.hills["positives"].low == first.hills["positives"].low
    }
    chart = distributions(first.hills["positives"].centres, hills)
    show("hills", "How much do the hills overlap?", sentence, chart, why=why)


def look(run: RunFolder, others: Sequence[RunFolder]) -> None:
    """The slider of a run, and its scores at that step and over time."""
    steps = transport.recorded(run)
    transport.slider(steps, run.status().steps)
    at = transport.cursor(steps)
    shown = sorted({steps[round(k)] for k in np.linspace(0, len(steps) - 1, BANDS)} | {at})
    every = scores_along(run, shown)
    now = every[shown.index(at)]
    left, right = st.columns([6, 5], gap="large")
    with left:
        over_time(every, now, run.status().steps)
    with right:
        named = {label(run): now}
        for other in others:
            theirs = [step for step in transport.recorded(other) if step <= at] or transport.recorded(other)[:1]
            named[label(other)] = scores_along(other, theirs[-1:])[0]
        side_by_side(named)


st.subheader("How alike are pairs and non-pairs?")
with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
    run = pick(started)
    others = beside(run) if run else []
if run is None:
    teach()
else:
    try:
        look(run, others)
    except Refusal as error:
        st.error(str(error))
