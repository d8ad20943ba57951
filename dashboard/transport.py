"""Playback: play, pause, step, speed and one slider move a cursor over what is recorded; nothing is recomputed."""

import bisect

import streamlit as st

from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.folder import MOVING, RESUMABLE, RunFolder, Status
from dashboard.lab import begin
from dashboard.link import point_at, view

STRIDE = {"slow": 1, "normal": 3, "fast": 8}
TICK = 0.4
NOTES = {
    "queued": "Waiting: another run is working on this machine.",
    "failed": "The trainer failed.",
    "diverged": "Diverged; what came before is kept.",
    "damaged": "This run cannot be read.",
}


def recorded(run: RunFolder) -> list[int]:
    """Steps that can be shown: those recorded and covered by the metrics."""
    rows = run.metrics()
    return [step for step in run.snapshots() if rows and step <= rows[-1]["step"]] or run.snapshots()[:1]


def cursor(steps: list[int]) -> int:
    """The recorded step that the view's cursor stands on; the last one where it follows."""
    at = view().at
    return steps[-1] if at < 0 else steps[max(0, bisect.bisect_right(steps, at) - 1)]


def move(steps: list[int], index: int) -> None:
    """Put the cursor on the recorded step of this index; on the last one it follows the run."""
    index = max(0, min(index, len(steps) - 1))
    point_at(-1 if index == len(steps) - 1 else steps[index])


def playing() -> bool:
    return bool(st.session_state.get("playing"))


def interval(statuses: list[Status]) -> float | None:
    """Seconds between updates; None where nothing moves."""
    return TICK if playing() or any(status.state in MOVING for status in statuses) else None


def advance(steps: list[int], moving: bool) -> None:
    """One tick of the playback; at the end of a finished run it stops."""
    if st.session_state.pop("rewound", False) or not playing() or not steps:
        return
    now = steps.index(cursor(steps))
    if now < len(steps) - 1:
        move(steps, now + STRIDE[view().speed])
    elif not moving:
        st.session_state["playing"] = False
        st.rerun()


def _toggle(recipes: list[Recipe], runs: list[RunFolder]) -> None:
    """Play or pause; play starts what has not been trained, resumes what was stopped, and replays from the start."""
    if playing():
        st.session_state["playing"] = False
        return
    fresh = [run.path.exists() and run.status().state in ("done", "diverged", *MOVING) for run in runs]
    if not all(ready or _begun(recipe) for recipe, ready in zip(recipes, fresh, strict=True)):
        return
    steps = recorded(runs[0]) if runs[0].path.exists() else []
    if all(fresh) and steps and cursor(steps) == steps[-1]:
        point_at(0)
        st.session_state["rewound"] = True
    st.session_state["playing"] = True


def resume(recipe: Recipe) -> None:
    """Go on with a run from its checkpoint."""
    _begun(recipe)


def _begun(recipe: Recipe) -> bool:
    """Start or resume a run; where that cannot be, `complaint` says why."""
    try:
        begin(recipe)
    except Refusal as error:
        st.session_state["said"] = str(error)
    except OSError as error:
        st.session_state["said"] = f"The run could not be written: {error.strerror}. Free some space, then try again."
    return "said" not in st.session_state


def complaint() -> None:
    """Why the last press of a button could not be followed."""
    if said := st.session_state.pop("said", ""):
        st.error(said)


def _jump(run: RunFolder, by: int | None) -> None:
    st.session_state["playing"] = False
    steps = recorded(run)
    move(steps, 0 if by is None else steps.index(cursor(steps)) + by)


def buttons(recipes: list[Recipe], runs: list[RunFolder], ready: bool) -> None:
    """Play or pause, one step on, back to the start; the last two where a step is `ready` to be shown."""
    st.button(
        "Pause" if playing() else "Play",
        icon=":material/pause:" if playing() else ":material/play_arrow:",
        key="play",
        shortcut="Space",
        help="Trains what has no run yet, then plays what was recorded. Space works unless a slider has the focus.",
        on_click=_toggle,
        args=(recipes, runs),
    )
    st.button(
        "",
        icon=":material/skip_next:",
        key="step",
        help="One recorded step on",
        shortcut="S",
        on_click=_jump,
        args=(runs[0], 1),
        disabled=not ready,
    )
    st.button(
        "",
        icon=":material/replay:",
        key="reset",
        help="Back to step 0. You cannot break it.",
        shortcut="0",
        on_click=_jump,
        args=(runs[0], None),
        disabled=not ready,
    )


def slider(steps: list[int], last: int) -> None:
    """The one slider: which recorded step is shown.

    Whenever something else moves the cursor, the slider becomes a new one. A browser that lags still sends the place
    of the old one, which would be taken for a hand that moves it back.
    """
    if len(steps) < 2:
        return
    here = cursor(steps)
    if st.session_state.get("slid") != here:
        st.session_state["slid"] = here
        st.session_state["sliders"] = st.session_state.get("sliders", 0) + 1
    key = f"cursor_{st.session_state['sliders']}"
    st.session_state[key] = here

    def moved() -> None:
        if key == f"cursor_{st.session_state['sliders']}":
            st.session_state["playing"] = False
            st.session_state["slid"] = st.session_state[key]
            move(steps, steps.index(st.session_state[key]))

    st.select_slider(
        "Step",
        options=steps,
        key=key,
        label_visibility="collapsed",
        format_func=lambda step: f"step {step} of {last}",
        on_change=moved,
    )


def status_line(recipe: Recipe, run: RunFolder, status: Status, name: str = "") -> None:
    """What the run is doing, in a sentence, with the button that goes with it; `name` tells lanes apart."""
    complaint()
    if status.state == "done":
        return
    more = "" if status.state in MOVING else status.message
    text = f"{NOTES.get(status.state, '')} {more}".strip() or f"Training: step {status.step} of {status.steps}."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":small[{text}]", width="content")
        key = f"{name or 'run'}_{status.state}"
        if status.state in MOVING:
            st.button("Stop", icon=":material/stop:", key=f"stop_{key}", type="tertiary", on_click=run.ask_to_stop)
        elif status.state in RESUMABLE:
            st.button(
                "Resume",
                icon=":material/resume:",
                key=f"resume_{key}",
                type="tertiary",
                on_click=resume,
                args=(recipe,),
            )
        elif status.state == "damaged":
            st.button("Delete it", icon=":material/delete:", key=f"delete_{key}", type="tertiary", on_click=run.delete)
