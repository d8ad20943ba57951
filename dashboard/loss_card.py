"""The identity of a loss: what it is called, where it comes from, what it needs, claims and is related to."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.addresses import knobs
from core.environment import ROOT
from core.loss_search import kin, meanings
from core.losses.registry import LOSSES, LossEntry
from core.params import Params
from dashboard.controls import WIDTH, knob
from dashboard.gradient_view import brief, numbered
from dashboard.link import change, replace, view
from dashboard.loss_finder import MARK, open_loss
from dashboard.loss_view import Look, way_to_play
from dashboard.panel import chip, heading

FRONT, MOST_FRONT, FEW = ("temperature", "margin"), 2, 4
CLAIMS: Mapping[str, str] = {
    "permutation": "the order of the batch does not matter",
    "pulls": "no positive is pushed away",
    "pushes": "no negative is pulled near",
    "margin": "a larger margin never makes it cheaper",
}


class Mark:
    """The origin of a loss as a chip."""

    state = "info"

    def __init__(self, entry: LossEntry) -> None:
        self.word = MARK[entry.origin][0]


def front(p: Params) -> list[str]:
    """The knobs that stand in front: temperature and margin, else the loss's first own ones."""
    own = [k for k in knobs(p) if k.address != "kind"]
    first = [k.address for k in own if k.address in FRONT]
    rest = [
        k.address
        for k in own
        if k.address not in FRONT and isinstance(k.value, float | int) and not isinstance(k.value, bool)
    ]
    return [*first, *rest][:MOST_FRONT]


def front_knobs() -> None:
    for name in front(view().losses.open):
        knob(f"losses.open.{name}")


def more_knobs() -> None:
    """Every other knob of the open loss, those that have an effect now."""
    p = view().losses.open
    rest = [k.address for k in knobs(p) if k.matters and k.address != "kind" and k.address not in front(p)]
    if rest:
        st.markdown(f"**{LOSSES.of(p).title}**")
        with st.container(horizontal=True):
            for name in rest:
                knob(f"losses.open.{name}", width=WIDTH)


def _papers(entry: LossEntry) -> str:
    return f" Papers: {', '.join(entry.papers)}." if entry.papers else ""


@dataclass(frozen=True)
class Price:
    """The places of the card that follow the knobs: what the batch pays, and the formula with the numbers put in."""

    sentence: DeltaGenerator
    live: DeltaGenerator

    def show(self, p: Any, seen: Look) -> None:
        sentence = f"The batch below pays **{brief(seen.total)}**."
        if seen.each is not None:
            low, high = brief(float(seen.each.min())), brief(float(seen.each.max()))
            sentence += f" The cheapest of its {len(seen.each)} anchors pays {low}, the dearest {high}."
        why = (
            "The formula as its source has it, then with the numbers of the knobs put in.",
            f"{MARK[LOSSES.of(p).origin][1]} Symbols: i is an anchor, j a candidate, s a similarity, d a distance.",
            "",
        )
        with self.sentence:
            heading("What does it pay?", sentence, why=why)
        symbols = LOSSES.of(p).formula
        live = numbered(symbols, p)
        if live == symbols:
            self.live.empty()
        else:
            self.live.latex(f"= {live}" if not live.startswith(r"\begin") else live)


def card(p: Any) -> Price:
    """Name, mark and source, the formula, and the way to Play; what it returns shows what the batch pays."""
    entry = LOSSES.of(p)
    st.subheader(entry.title)
    st.markdown(f"{entry.summary}  \n:small[{chip(Mark(entry))} {entry.source}.{_papers(entry)}]")
    sentence = st.empty()
    st.latex(entry.formula)
    price = Price(sentence, st.empty())
    take_it(p)
    return price


def take_it(p: Params) -> None:
    """The button that takes the loss to Play, or the sentence that says what is missing there."""
    target, why = way_to_play(p, view())
    if target is None:
        st.markdown(f":small[{why}]")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        go = st.button("Take it to Play", icon=":material/play_arrow:", key="take", width=164)
        st.markdown(f":small[Train it on {why if why[:3] == 'the' else f'“{why}”'}, and watch.]", width="content")
    if go:
        replace(target)
        st.switch_page("../pages/play.py")


def file_of(entry: LossEntry) -> str:
    """Where its code stands, below the root of the repository."""
    path = Path(inspect.getsourcefile(entry.call) or "")
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def needs(entry: LossEntry) -> None:
    planned = [name for name in entry.inputs if name in entry.planned]
    lines = [f"- {text}" for text in meanings(entry.needed)]
    if entry.made:
        lines += [f"- in a run a small network that learns along makes {', '.join(entry.made)}"]
    if planned:
        lines += [f"- made by its own plan: {', '.join(planned)}"]
    optional = [name for name, required in entry.inputs.items() if not required and name not in entry.planned]
    said = f"It needs {len(entry.needed)} input{'s' if len(entry.needed) != 1 else ''}"
    said += f" and can take {', '.join(optional)} too." if optional else " and takes nothing else."
    st.markdown(f"**What does it need?**\n\n:small[{said}]\n\n" + "\n".join(lines))
    st.markdown(f":small[Its code: `{file_of(entry)}`.{f' Its work: {entry.work}' if entry.work else ''}]")


def claims(entry: LossEntry) -> None:
    """What it is held to by the tests, and why not where it is not."""
    held, not_held = [], []
    for field in fields(entry.claims):
        value, what = getattr(entry.claims, field.name), CLAIMS.get(field.name, field.name)
        if value is True:
            held.append(f"- :material/check: {what}")
        else:
            not_held.append(f"- :material/remove: not that {what}: {value}")
    said = f"Its tests hold it to {len(held)} of {len(held) + len(not_held)} claims."
    st.markdown(f"**What does it promise?**\n\n:small[{said}]\n\n" + "\n".join(held + not_held))


def relatives(entry: LossEntry) -> None:
    """Those that it names, and those that name it; each opens."""
    known = LOSSES.keys()
    own = [(key, f"this loss is {LOSSES[key].title}, {text}") for key, text in entry.relations.items() if key in known]
    back = [
        (each.key, f"it is this loss, {each.relations[entry.key]}") for each in LOSSES if entry.key in each.relations
    ]
    back = [(key, text) for key, text in back if key not in entry.relations]
    verb = "is" if kin(entry) == 1 else "are"
    said = f"{kin(entry)} of the {len(LOSSES)} losses {verb} a step away." if own or back else "None is named."
    st.markdown(f"**Who are its relatives?**\n\n:small[{said}]")
    every = [*own, *back]
    _told(every[:FEW])
    if len(every) > FEW:
        with st.expander(f"{len(every) - FEW} more"):
            _told(every[FEW:])
    if every:
        place = f"relatives_{entry.key}"

        def chosen() -> None:
            if key := st.session_state[place]:
                open_loss(key)

        names = {key: LOSSES[key].title for key, _ in every}
        st.pills("Open one", list(names), format_func=names.__getitem__, key=place, on_change=chosen, wrap=True)
    place_among_all(entry)


def place_among_all(entry: LossEntry) -> None:
    """The button to the map of what all losses do, with this one in its middle."""
    help_ = "Which losses move the same pairs the same way?"
    if st.button("Its place among all", icon=":material/hub:", key="place_among_all", type="tertiary", help=help_):
        change("family.loss", entry.key)
        st.switch_page("../pages/family.py")


def _told(each: list[tuple[str, str]]) -> None:
    st.markdown("\n".join(f"- :small[**{LOSSES[key].title}**: {text}]" for key, text in each))


def about(p: Params) -> None:
    entry = LOSSES.of(p)
    for place, part in zip(st.columns(3, gap="large"), (needs, claims, relatives), strict=True):
        with place:
            part(entry)
