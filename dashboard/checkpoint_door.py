"""The door for checkpoints: a stranger's file is read behind the fence, and what came out stays on this machine."""

import tempfile
import threading
from pathlib import Path

import streamlit as st

from core.checkpoints import fence
from core.checkpoints.limits import INDEX, SUFFIXES
from core.refusal import Refusal
from dashboard.link import change, plain, view
from dashboard.weights_view import title

LARGEST_MB = 500
SHOWN = 6


@st.cache_resource(show_spinner=False)
def _warm_up() -> threading.Thread:
    """Start the process that reads files while the user still looks for one."""
    thread = threading.Thread(target=fence.warm_up, daemon=True)
    thread.start()
    return thread


def a_checkpoint() -> None:
    """Take a checkpoint in, and list those that are kept."""
    _warm_up()
    st.markdown("**A checkpoint**")
    st.file_uploader(
        "Weights of any network; the parts of a large one together",
        type=[suffix.removeprefix(".") for suffix in (*SUFFIXES, ".json")],
        accept_multiple_files=True,
        key=f"checkpoint_{st.session_state.get('weighed', 0)}",
        max_upload_size=LARGEST_MB,
        on_change=_take,
        help="A process with limits on memory and time reads it and hands over numbers only; nothing in it is run. It "
        "stays on this machine.",
    )
    if lacking := fence.unlimited():
        st.markdown(f":small[This system does not limit {' and '.join(lacking)}; the checks and the timeout hold.]")
    if said := st.session_state.pop("weights_said", ""):
        st.error(plain(said))
    kept, every = fence.listed(), st.session_state.get("every_checkpoint", False)
    for key in kept if every else kept[:SHOWN]:
        _row(key)
    if len(kept) > SHOWN and not every:
        st.button(f"Show all {len(kept)} checkpoints", type="tertiary", on_click=_show_all)


def _show_all() -> None:
    st.session_state["every_checkpoint"] = True


def _row(key: str) -> None:
    here = view().inspect.of == "checkpoint" and view().inspect.key == key
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
        st.markdown(f":small[{plain(title(key))}]", width="stretch")
        st.button("Open", key=f"weights_{key}", type="tertiary", disabled=here, on_click=_open, args=(key,))
        st.button(
            "", icon=":material/delete:", key=f"forget_{key}", type="tertiary", help="Delete the copy that was made",
            on_click=_forget, args=(key,),
        )  # fmt: skip


def _open(key: str) -> None:
    change("inspect.of", "checkpoint")
    change("inspect.key", key)
    change("inspect.part", "health")


def _forget(key: str) -> None:
    try:
        fence.forget(key)
    except OSError as error:
        st.session_state["weights_said"] = f"The copy could not be deleted ({error.strerror}); delete it by hand"
    if view().inspect.key == key:
        change("inspect.key", "")
        change("inspect.of", "run")


def _take() -> None:
    """Hand what was dropped at once to the fence, and open what came out; the uploader is then empty for the next."""
    weighed = st.session_state.get("weighed", 0)
    given = st.session_state[f"checkpoint_{weighed}"]
    if not given:
        return
    st.session_state["weighed"] = weighed + 1
    with tempfile.TemporaryDirectory() as scratch:
        try:
            files = []
            for place, each in enumerate(given):
                own = Path(scratch) / str(place)
                own.mkdir()
                files.append(own / _safe(each.name))
                files[-1].write_bytes(each.getbuffer())
            key = fence.add([file for file in files if not file.name.endswith(INDEX)] or files)
        except Refusal as error:
            st.session_state["weights_said"] = f"{given[0].name[:80]}: {error}"
        except OSError as error:
            st.session_state["weights_said"] = (
                f"{given[0].name[:80]} could not be kept ({error.strerror}); free some space"
            )
        else:
            _open(key)


def _safe(name: str) -> str:
    """The last part of a name, as a file of it may be called here."""
    return Path(name.replace("\\", "/")).name[-120:] or "unnamed"
