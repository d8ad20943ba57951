"""Evidence: which claims hold, of DMM by the authors' own numbers and ours, and of two other papers by a probe?"""

import streamlit as st

from core.experiments.command import settings
from core.experiments.tasks import tasks
from core.refusal import Refusal
from dashboard import evidence_panels as panels
from dashboard.controls import knob
from dashboard.evidence import Results, challengers, results_of, title_of
from dashboard.evidence_probes import PROBES
from dashboard.evidence_run import run_here
from dashboard.link import change, replace, view

TASKS = {
    "retrieval": "find across", "recommender": "recommend", "missing": "do without",
    "calibration": "RCal: mend labels", "poisoning": "BLTO: resist poison",
}  # fmt: skip
NOISES = {"0.0": "none", "0.2": "20%", "0.4": "40%"}
SETS = {"mfeat": "digits", "emoji": "emoji"}
THEIRS = {
    "retrieval": panels.their_retrieval,
    "missing": panels.their_missing,
    "recommender": panels.their_recommender,
}


def chosen() -> tuple[str, str]:
    """Task and data of the view; ratings have no choice of data."""
    asked = view().evidence
    return asked.task, "ratings" if asked.task == "recommender" else asked.data


def held(results: Results) -> str:
    """The arm that is held against its controls: the view's, or the first that these results have."""
    keys = challengers(results) if results else []
    if keys and view().evidence.arm not in keys:
        change("evidence.arm", keys[0])
    return view().evidence.arm


def controls() -> None:
    with st.container(horizontal=True, gap="small"):
        knob("evidence.task", names=TASKS, width=240)
        if view().evidence.task in PROBES:
            if view().evidence.task == "calibration":
                knob("evidence.noise", names=NOISES)
            return
        if view().evidence.task != "recommender":
            knob("evidence.data", names=SETS)
        knob("evidence.source")
        results = results_of(*chosen(), view().evidence.source)
        if results and len(keys := challengers(results)) > 1:
            held(results)
            knob("evidence.arm", names={key: title_of(results, key) for key in keys}, options=keys, width=240)


def open_on_play(results: Results, arm: str) -> None:
    """Put the recipe of an arm, as it was tuned, on Play."""
    task = tasks()[results["task"]]
    found = next(row for row in results["arms"] if row["key"] == arm)
    asked = settings(results["task"], {"data": results["data"], "steps": str(results["recipe"]["steps"])})
    recipe = task.recipe(asked, {**found["link"], **found["chosen"]}, 0)
    replace(view().with_recipe(recipe.model_dump()))
    st.switch_page("../pages/play.py")


def page() -> None:
    controls()
    task, data = chosen()
    if task in PROBES:
        PROBES[task]()
        return
    results = results_of(task, data, view().evidence.source)
    arm = held(results)
    panels.claim(task, results, arm)
    if results:
        panels.ours(results, arm)
        if task != "recommender" and st.button("Open this arm on Play", icon=":material/open_in_new:"):
            open_on_play(results, arm)
    try:
        run_here(task, data)
    except Refusal as error:
        st.warning(str(error))
    st.subheader("What is known of the paper's own results?")
    THEIRS[task]()
    panels.not_found()
    panels.discrepancies()


st.subheader("Which claims hold?")
page()
