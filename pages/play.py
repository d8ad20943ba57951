"""Play: train and watch. What does this loss do to the points?"""

import streamlit as st

from core.addresses import knobs, read
from core.losses.registry import LOSSES
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.demo import presets
from core.runs.folder import MOVING
from core.runs.trainer import check_fit
from dashboard import stage, transport
from dashboard.controls import WIDTH, knob
from dashboard.lab import data_of, find, first_frame
from dashboard.link import change, replace, view, write_link

FRONT = ("loss.temperature", "loss.margin", "mixing.margin")
LOSS_NAMES = {entry.key: entry.title for entry in LOSSES}
DATA = {preset["title"]: preset["link"] for preset in presets()["data"]}


def data_choice() -> None:
    """Data sets as presets: each brings the dimensions and the batch that suit it."""
    now = view()
    titles = [title for title, link in DATA.items() if read(link, now)[0] == now]
    options = list(DATA) if titles else [*DATA, "Your own choice"]
    st.session_state["preset"] = titles[0] if titles else options[-1]

    def chosen() -> None:
        if link := DATA.get(st.session_state["preset"]):
            replace(read(link | {"at": "-1"}, view())[0])

    st.selectbox("Data", options, key="preset", on_change=chosen, width=WIDTH)


def mix(prefix: str) -> None:
    """DMM on or off; a loss without a margin of its own gets one to be multiplied."""
    knob(f"{prefix}mixing", label="Mixing", names={"none": "off", "dmm": "DMM"}, options=["none", "dmm"])
    holder = view().lane if prefix else view()
    if holder.mixing.kind == "dmm" and holder.mixing.margin is None and not getattr(holder.loss, "margin", 0):
        change(f"{prefix}mixing.margin", "0.3")


def controls(prefix: str = "") -> None:
    """Loss, mixing and the knobs of the loss, of the first lane or, with a prefix, of the second."""
    knob(f"{prefix}loss", names=LOSS_NAMES)
    if not prefix:
        data_choice()
    mix(prefix)
    holder = view().lane if prefix else view()
    fields = type(holder.loss).model_fields
    if "temperature" in fields:
        knob(f"{prefix}loss.temperature")
    if holder.mixing.kind == "dmm" and holder.mixing.margin is not None:
        knob(f"{prefix}mixing.margin")
    elif "margin" in fields:
        knob(f"{prefix}loss.margin")


def more() -> None:
    """Every other setting, by what it belongs to."""
    groups = {
        "Loss": ("loss.",),
        "Mixing": ("mixing.",),
        "Data": ("data.",),
        "Networks": ("encoder.",),
        "Training": ("optimiser.", "method.", "steps", "seed"),
    }
    with st.popover("More", icon=":material/tune:", type="tertiary"):
        with st.container(horizontal=True):
            knob("lane.on")
            knob("speed")
        for title, places in groups.items():
            inside = [k.address for k in knobs(view().recipe()) if k.address.startswith(places)]
            rest = [a for a in inside if a not in FRONT and not a.endswith(".kind")]
            if rest:
                st.markdown(f"**{title}**")
                with st.container(horizontal=True):
                    for address in rest:
                        knob(address)


def panels(scene: stage.Scene) -> None:
    left, right = st.columns([5, 7], gap="large")
    with left:
        stage.points(scene)
        if scene.recipe.mixing.kind != "none":
            stage.margin_now(scene)
    with right:
        stage.ridge(scene)
        one, two = st.columns(2, gap="large")
        with one:
            stage.who_is_pushed(scene)
        with two:
            stage.learning(scene)


def lanes() -> list[tuple[str, Recipe]]:
    """Name and recipe of what is shown: one lane, or two from the same start."""
    recipes = [view().recipe()] + ([view().second()] if view().lane.on else [])
    return [(LOSS_NAMES[recipe.loss.kind] if len(recipes) > 1 else "", recipe) for recipe in recipes]


def show() -> None:
    shown = lanes()
    runs = [find(recipe) for _, recipe in shown]
    statuses = [run.status() if run.path.exists() else None for run in runs]
    moving = [status for status in statuses if status and status.state in MOVING]

    @st.fragment(run_every=transport.interval(moving))
    def live() -> None:
        now = [run.status() if run.path.exists() else None for run in runs]
        if [s and s.state for s in now] != [s and s.state for s in statuses]:
            st.rerun()
        steps = transport.recorded(runs[0]) if now[0] else []
        transport.advance(steps, any(s and s.state in MOVING for s in now))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            transport.buttons([recipe for _, recipe in shown], runs, steps)
            transport.slider(steps, shown[0][1].steps)
        for index, ((name, recipe), run, status) in enumerate(zip(shown, runs, now, strict=True)):
            if status:
                transport.status_line(recipe, run, status, name)
            if name:
                st.subheader(name)
            own = transport.recorded(run) if status else []
            data = data_of(recipe)
            if own:
                panels(
                    stage.scene(recipe, data, run, own, transport.cursor(steps or own), f"_{index}" if index else "")
                )
            else:
                st.markdown(":small[Not trained yet: this is the network as it starts. Press **Play**.]")
                panels(stage.Scene(recipe, data, (first_frame(recipe),), (), f"_{index}" if index else ""))
        write_link()

    live()


with st.container(horizontal=True, horizontal_alignment="distribute", wrap=False):
    st.subheader("What does this loss do to the points?")
    more()
with st.container(horizontal=True, gap="small"):
    controls()
if view().lane.on:
    with st.container(horizontal=True, gap="small"):
        controls("lane.")
try:
    for _, recipe in lanes():
        check_fit(recipe, data_of(recipe))
except Refusal as error:
    st.error(str(error))
else:
    show()
