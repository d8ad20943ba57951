"""The two doors of Inspect: the runs of this machine, and a file of the user's."""

import streamlit as st

from core.data import npz
from core.refusal import Refusal
from core.runs.folder import MOVING, RunFolder, Status, list_runs
from dashboard.link import change, replace, view
from dashboard.opened import readable
from dashboard.picker import label

FIRST = 6
LARGEST_MB = 200


def runs() -> None:
    """The user's runs, the newest first, with what can be done to each."""
    st.markdown("**Your runs**")
    listed = list(list_runs())
    if not listed:
        st.markdown(":small[None yet.]")
    every = st.session_state.get("every_run", False)
    for run in listed if every else listed[:FIRST]:
        _row(run, run.status())
    if len(listed) > FIRST and not every:
        st.button(f"Show all {len(listed)}", type="tertiary", on_click=_show_all)


def _show_all() -> None:
    st.session_state["every_run"] = True


def _row(run: RunFolder, status: Status) -> None:
    name, well = run.path.name, status.state != "damaged" and readable(run)
    said = label(run) if well else name[:16]
    state = f"{status.state}, step {status.step} of {status.steps}" if status.state != "damaged" else status.message
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
        st.markdown(f":small[**{said}**  \n{state}]", width="stretch")
        if well and status.state == "done":
            here = view().inspect.of == "run" and view().run == name
            st.button("Open", key=f"open_{name}", type="tertiary", disabled=here, on_click=_open, args=(name,))
        if status.state not in MOVING:
            _delete(run)


def _open(name: str) -> None:
    change("inspect.of", "run")
    change("run", name)


def _open_file() -> None:
    change("inspect.of", "file")


def _delete(run: RunFolder) -> None:
    """A button that asks once more before it deletes."""
    name = run.path.name
    if st.session_state.get("doomed") != name:
        st.button(
            "", icon=":material/delete:", key=f"delete_{name}", type="tertiary", help="Delete this run",
            on_click=lambda: st.session_state.update(doomed=name),
        )  # fmt: skip
        return
    st.button("Delete for good", key=f"sure_{name}", on_click=_gone, args=(run,))
    st.button("Keep", key=f"keep_{name}", type="tertiary", on_click=lambda: st.session_state.update(doomed=""))


def _gone(run: RunFolder) -> None:
    st.session_state["doomed"] = ""
    try:
        run.delete()
    except OSError as error:
        st.session_state["file_said"] = f"{run.path} could not be deleted ({error.strerror}); delete the folder by hand"
    if view().run == run.path.name:
        change("run", "")


def a_file() -> None:
    """Take a file in; it becomes the data of the link, to be read here and trained on by Play."""
    st.markdown("**Your own file**")
    st.file_uploader(
        "One .npz, an array for each modality",
        type="npz",
        key="file",
        max_upload_size=LARGEST_MB,
        on_change=_take,
        help="2-D numbers, pictures or texts with equally many rows; `labels` and `names` if you have them. It stays "
        "on this machine.",
    )
    if said := st.session_state.pop("file_said", ""):
        st.error(said)
    if view().data.kind == "npz" and getattr(view().data, "digest", ""):
        with st.container(horizontal=True, gap="small"):
            st.button("Its health", icon=":material/cardiology:", type="tertiary", on_click=_open_file)
            if st.button("Its map", icon=":material/scatter_plot:", type="tertiary"):
                change("map.items", "file")
                st.switch_page("../pages/map.py")
            if st.button("Train on it", icon=":material/play_arrow:", type="tertiary"):
                st.switch_page("../pages/play.py")


def _take() -> None:
    given = st.session_state["file"]
    if given is None:
        return
    try:
        digest = npz.add(given.getvalue())
    except Refusal as error:
        st.session_state["file_said"] = f"{given.name}: {error}"
    except OSError as error:
        st.session_state["file_said"] = f"{given.name} could not be kept ({error.strerror}); free some space"
    else:
        from core.addresses import read

        link = {"data.kind": "npz", "data.digest": digest, "inspect.of": "file", "at": "-1"}
        replace(read(link, view())[0])
