"""The two doors of Inspect: the runs of this machine, and embeddings of the user's."""

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

import streamlit as st
from streamlit.typing import UploadedFile

from core.addresses import read
from core.checkpoints.limits import TABLES
from core.data import brought
from core.data.uses import Reading, Uses
from core.refusal import Refusal
from core.runs.folder import MOVING, RunFolder, Status, list_runs
from dashboard.link import change, code, plain, replace, view
from dashboard.opened import readable
from dashboard.picker import label
from dashboard.understood import understood

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
    """Take embeddings in; they become the data of the link, to be read here and trained on by Play."""
    st.markdown("**Your own embeddings**")
    given = st.file_uploader(
        f"{', '.join(TABLES[:-1])} or {TABLES[-1]}",
        type=[suffix[1:] for suffix in TABLES],
        accept_multiple_files=True,
        key=f"file_{st.session_state.get('dropped', 0)}",
        max_upload_size=LARGEST_MB,
        help="Arrays, lists, or columns such as image_0, image_1 are modalities, with a row for each item; labels, "
        "names and pictures if you have them. Drop several files at once if they hold the same items, such as one "
        ".npy for each modality. They stay on this machine.",
    )
    if given:
        _take(given)
        st.rerun()
    if said := st.session_state.pop("file_said", ""):
        st.error(said)
    digest = getattr(view().data, "digest", "")
    if view().data.kind == "npz" and digest:
        understood(digest, _read_so)
        with st.container(horizontal=True, gap="small"):
            st.button("Its health", icon=":material/cardiology:", type="tertiary", on_click=_open_file)
            if st.button("Its map", icon=":material/scatter_plot:", type="tertiary"):
                change("map.items", "file")
                st.switch_page("../pages/map.py")
            if st.button("Train on it", icon=":material/play_arrow:", type="tertiary"):
                st.switch_page("../pages/play.py")


def _take(given: Sequence[UploadedFile]) -> None:
    """Take in all that was dropped at once; the uploader is then empty for the next."""
    st.session_state["dropped"] = st.session_state.get("dropped", 0) + 1
    names = code(", ".join(each.name for each in given))
    with st.spinner(f"Reading {names} ..."), tempfile.TemporaryDirectory(prefix="pushpull-") as folder:
        files = [_written(Path(folder), place, each) for place, each in enumerate(given)]
        _open_brought(names, lambda: brought.bring(files))


def _written(folder: Path, place: int, given: UploadedFile) -> Path:
    """The bytes of a file under a harmless name near its own, in a folder of its own."""
    name = PurePath(given.name)
    file = folder / str(place) / (re.sub(r"[^\w ()+-]+", "_", name.stem)[:60] + name.suffix.lower())
    file.parent.mkdir()
    file.write_bytes(given.getvalue())
    return file


def _read_so(digest: str, found: Reading, uses: Uses) -> None:
    if uses != found.uses:
        _open_brought(code(", ".join(found.files)), lambda: brought.change(digest, uses))


def _open_brought(names: str, make: Callable[[], str]) -> None:
    """Open what `make` gives the digest of; where it refuses, say why, and what was open stays."""
    try:
        digest = make()
    except Refusal as error:
        st.session_state["file_said"] = f"{names}: {plain(str(error))}"
    except OSError as error:
        st.session_state["file_said"] = f"{names} could not be kept ({error.strerror}); free some space"
    else:
        link = {"data.kind": "npz", "data.digest": digest, "inspect.of": "file", "at": "-1"}
        replace(read(link, view())[0])
