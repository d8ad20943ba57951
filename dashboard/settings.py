"""The settings of Play: data as presets, a loss with its knobs for each lane, and all the rest under More."""

from functools import lru_cache

import streamlit as st

from core.addresses import knobs, spell
from core.losses.registry import LOSSES
from core.methods.registry import METHODS
from core.params import Params
from core.pasted import kept
from core.pasted.entry import Pasted
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.demo import presets
from core.runs.fit import offered
from dashboard.controls import WIDTH, knob, option
from dashboard.lab import data_of
from dashboard.link import change, on_data, replace, view
from dashboard.view import View

FRONT = ("loss.temperature", "loss.margin", "loss.code", "mixing.margin")
LOSS_NAMES = {Pasted().kind: "Your own", **{entry.key: entry.title for entry in LOSSES}}
METHOD_NAMES = {entry.key: entry.title for entry in METHODS}
DATA = {preset["title"]: preset["link"] for preset in presets()["data"]}


def name_of(loss: Params) -> str:
    """What a loss is called: its title, or what its owner calls it."""
    return kept.name_of(loss.code) if isinstance(loss, Pasted) else LOSS_NAMES[getattr(loss, "kind")]  # noqa: B009


def lane_names(first: Recipe, second: Recipe) -> tuple[str, str]:
    """What two lanes are called: loss and mixing, and where these are the same, the first setting that differs."""
    names = [name_of(recipe.loss) + (" + DMM" if recipe.mixing.kind == "dmm" else "") for recipe in (first, second)]
    if names[0] != names[1]:
        return names[0], names[1]
    for part in ("loss", "mixing"):
        one, other = getattr(first, part), getattr(second, part)
        for name, field in type(one).model_fields.items():
            if getattr(one, name) != getattr(other, name):
                said = (f"{names[0]}, {field.title} {spell(getattr(each, name))}" for each in (one, other))
                return next(said), next(said)
    return names[0], f"{names[1]} again"


@lru_cache(maxsize=64)
def preset_of(here: View) -> str:
    """The title of the data preset that a view stands on; empty where it is none. The step shown does not count."""
    return next((title for title, link in DATA.items() if on_data(here, link) == here), "")


def data_choice() -> None:
    """Data sets as presets: each brings the dimensions and the batch that suit it."""
    title = preset_of(view().model_copy(update={"at": -1}))
    options = list(DATA) if title else [*DATA, "Your own choice"]
    st.session_state["preset"] = title or options[-1]

    def chosen() -> None:
        if link := DATA.get(st.session_state["preset"]):
            replace(on_data(view(), link))

    st.selectbox("Data", options, key="preset", on_change=chosen, width=WIDTH)


def mix(prefix: str) -> None:
    """DMM on or off; a loss without a margin of its own gets one to be multiplied."""
    knob(f"{prefix}mixing", label="Mixing", names={"none": "off", "dmm": "DMM"}, options=["none", "dmm"])
    holder = view().lane if prefix else view()
    if holder.mixing.kind == "dmm" and holder.mixing.margin is None and not getattr(holder.loss, "margin", 0):
        change(f"{prefix}mixing.margin", "0.3")


def losses(recipe: Recipe) -> list[str]:
    """The losses to choose from; where the data cannot be read, which the page says itself, all of them."""
    try:
        return offered(recipe, data_of(recipe))
    except Refusal:
        return LOSSES.keys()


def own_loss(address: str, code: str) -> None:
    """Which of the losses of your own; the one that was kept last, where none is chosen."""
    names = kept.listed() if kept.switched_on() else {}
    if not code and names:
        code = next(iter(names))
        change(address, code)
    if names:
        option(address, "Your own loss", list(names | {code: kept.name_of(code)}), code, names=names)


def controls(prefix: str = "") -> None:
    """Loss, mixing and the knobs of the loss, of the first lane or, with a prefix, of the second."""
    knob(f"{prefix}loss", names=LOSS_NAMES, options=losses(view().second() if prefix else view().recipe()))
    if not prefix:
        data_choice()
    mix(prefix)
    holder = view().lane if prefix else view()
    fields = type(holder.loss).model_fields
    if isinstance(holder.loss, Pasted):
        own_loss(f"{prefix}loss.code", holder.loss.code)
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
    every = [k.address for k in knobs(view().recipe()) if k.matters]
    with st.popover("More", icon=":material/tune:", type="tertiary"):
        with st.container(horizontal=True):
            knob("lane.on")
            knob("speed")
        for title, places in groups.items():
            rest = [a for a in every if a.startswith(places) and a not in FRONT and not a.endswith(".kind")]
            if rest:
                st.markdown(f"**{title}**")
                with st.container(horizontal=True):
                    if title == "Training":
                        knob("method", label="Batches", names=METHOD_NAMES)
                    for address in rest:
                        knob(address)
