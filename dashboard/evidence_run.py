"""Running an experiment from the page: start it, watch it, stop it, or say what to type."""

import streamlit as st

from core.data.movielens import TERMS
from core.experiments.command import settings
from core.experiments.folder import ExperimentFolder
from core.experiments.progress import finished, last_words, start
from dashboard.evidence import command_for, own_folder
from dashboard.link import change, plain

EVERY = 2.0
RATINGS = (
    "Results of MovieLens must not be passed on, so none come along. Run it on ratings of yours (`ml-100k.zip`, "
    "`ml-1m.zip`, or a CSV of user,item,rating):"
)


def running(folder: ExperimentFolder) -> None:
    """How far an experiment is, looked at again and again until it ends."""
    if not folder.is_alive():
        st.rerun()
    done, total = finished(folder)
    st.progress(done / total, f"{done} of {total} trainings are done; they go on when this page is closed.")
    if st.button("Stop", icon=":material/stop:", help="What is finished stays, and the same button goes on."):
        folder.ask_to_stop()


def run_here(task: str, data: str) -> None:
    """Start our own run of the experiment, watch it, or say what to run."""
    folder = ExperimentFolder(own_folder(task, data))
    if folder.is_alive():
        st.fragment(running, run_every=EVERY)(folder)
        return
    if said := last_words(folder):
        st.info(plain(said))
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
