"""Evidence: which claims of DMM hold, by the authors' own numbers and by ours?"""

import streamlit as st

from core.data.movielens import TERMS
from core.experiments.command import settings
from core.experiments.folder import ExperimentFolder
from core.experiments.progress import finished, start
from core.experiments.tasks import tasks
from core.refusal import Refusal
from dashboard import evidence_panels as panels
from dashboard.controls import knob
from dashboard.evidence import Results, challengers, command_for, own_folder, results_of, title_of
from dashboard.link import change, replace, view

RATINGS = (
    "Results of MovieLens must not be passed on, so none come along. Run it on ratings of yours (`ml-100k.zip`, "
    "`ml-1m.zip`, or a CSV of user,item,rating):"
)
TASKS = {"retrieval": "find across", "recommender": "recommend", "missing": "do without"}
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
        if view().evidence.task != "recommender":
            knob("evidence.data", names=SETS)
        knob("evidence.source")
        results = results_of(*chosen(), view().evidence.source)
        if results and len(keys := challengers(results)) > 1:
            held(results)
            knob("evidence.arm", names={key: title_of(results, key) for key in keys}, options=keys, width=240)


def run_here(task: str, data: str) -> None:
    """Start our own run of the experiment, watch it, or say what to run."""
    folder = ExperimentFolder(own_folder(task, data))
    if folder.is_alive():
        done, total = finished(folder)
        st.progress(done / total, f"{done} of {total} trainings are done; they go on when this page is closed.")
        if st.button("Stop", icon=":material/stop:", help="What is finished stays, and the same button goes on."):
            folder.ask_to_stop()
        return
    st.markdown(RATINGS if task == "recommender" else "Run it on this machine, here or from the command line:")
    st.code(command_for(task, data), language="bash")
    if task == "recommender":
        movielens(folder)
    elif st.button("Run it here", icon=":material/play_arrow:", key="evidence_run"):
        begin(folder, task, data=data)


def begin(folder: ExperimentFolder, task: str, accept_terms: bool = False, **flat: str) -> None:
    """Start the experiment, and look at what it makes."""
    with st.spinner("Starting ..."):
        start(settings(task, flat, accept_terms), folder)
    change("evidence.source", "yours")
    st.rerun()


def movielens(folder: ExperimentFolder) -> None:
    """The user's own ratings, or MovieLens-100k once its terms are accepted."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = st.text_input("File of ratings on this machine", key="evidence_ratings", width=320)
        if st.button("Run it here", icon=":material/play_arrow:", key="evidence_run", disabled=not path):
            begin(folder, "recommender", ratings=path)
        with st.popover("Use MovieLens-100k", icon=":material/download:"):
            st.markdown(TERMS)
            if st.button("I accept these terms: fetch it and run", key="evidence_accept"):
                begin(folder, "recommender", accept_terms=True)


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


st.subheader("Which claims of DMM hold?")
page()
