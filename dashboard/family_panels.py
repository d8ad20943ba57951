"""The panels of Family: the map, the nearest twins, what would make one of two, and who has no place."""

from collections.abc import Mapping

import streamlit as st
import torch

from core.diagnostics import verdicts
from core.diagnostics.family_map import GRID, SAME, TEMPERATURE, Bridge, FamilyMap, Setting
from core.losses.registry import LOSSES
from dashboard import words
from dashboard.charts.family import brought_nearer, clicked, distances, family_chart
from dashboard.family_view import Standing, around, first, in_words, relation, title, together
from dashboard.gradient_view import brief
from dashboard.link import change
from dashboard.loss_finder import open_loss
from dashboard.panel import heading, show

FAMILIES = {
    "softmax": "softmax",
    "hinge": "hinge",
    "logistic": "logistic",
    "angular": "angular",
    "contrastive": "contrastive",
    "none": "no margin",
}
MEANS = "0: every pair moves alike. 1: nothing in common. 2: every pair moves the other way."
FORMULA = r"d(f,g)=1-\cos\bigl(\Delta s(f),\Delta s(g)\bigr)"


def length(distance: float) -> str:
    """A distance as it is written here."""
    return "0" if distance < SAME else brief(distance)


def choose(key: str) -> None:
    change("family.loss", key)


def the_map(found: FamilyMap, now: Standing | None, setting: Setting) -> None:
    """The map; a click on a mark chooses its loss."""
    whose = "at one temperature" if setting == "alike" else "each at its own temperature"
    sentence = f"{len(found.keys)} losses {whose}; near marks move the same pairs the same way."
    named, rest = [], []
    if now is not None:
        named, rest = [now.key, *map(first, now.twins)], around(now.key, setting, found)
        sentence += f" **○ {title(now.key)}** and its nearest are named" + (
            "; ◇ is it at other settings." if rest else "."
        )
    sentence += f" Lengths on the picture are off by {words.share(found.stress)}. Click a mark to choose it."
    pairs = sum(s.n * (2 * s.n - 1) for s in GRID)
    why = (
        "Each mark is a loss. Near marks do nearly the same, whatever they are called; axes have no meaning.",
        f"Each loss is handed the same {len(GRID)} batches: close and loose pairs, few and many strangers, in 8 and "
        f"in 32 dimensions. The change of all {words.count(pairs)} cosines in a small step is its behaviour; only the "
        "direction counts, not the size. Distances are kept as well as two dimensions can (metric multidimensional "
        "scaling); the twins beside the map are the nearest in all dimensions, not on it. "
        + (f"Losses with a temperature all have {TEMPERATURE} here. " if setting == "alike" else "")
        + "A loss of many views or modalities is handed as few as it takes, and a teacher has just copied its student.",
        rf"{FORMULA},\quad\text{{off by}}=\sqrt{{\frac{{\sum(\hat d-d)^2}}{{\sum d^2}}}}={found.stress:.2f}",
    )
    chart = family_chart(
        found.places.numpy(),
        list(found.keys),
        [title(key) for key in found.keys],
        [LOSSES[key].family for key in found.keys],
        words=FAMILIES,
        named=named,
        around=[place for _, place in rest],
        around_titles=[said for said, _ in rest],
    )
    question = "Where does it stand among all?"
    state = show("family", question, sentence, chart, why=why, verdict=verdicts.trust(found.trust), select="points")
    picked = clicked(state, chart)
    if picked and (now is None or picked != now.key):
        choose(picked)
        st.rerun()


def the_twins(found: FamilyMap, now: Standing) -> None:
    """The nearest others, with the words of the registry and the way to each."""
    away = found.distances[found.keys.index(now.key)]
    usual = float(torch.cat([away[: found.keys.index(now.key)], away[found.keys.index(now.key) + 1 :]]).median())
    nearest = now.twins[0]
    sentence = f"**{title(now.key)}** does the same as {', '.join(map(title, now.same))}. " if now.same else ""
    sentence += (
        f"Nearest{' other' if now.same else ''} is **{title(first(nearest))}** at {length(nearest.distance)}; half of "
        f"all losses are further than {length(usual)}. {MEANS}"
    )
    active = int(found.active[found.keys.index(now.key)])
    sentence += "" if active == len(GRID) else f" It is at rest on {len(GRID) - active} of {len(GRID)} batches."
    why = (
        "The losses that move the pairs most alike, measured in all dimensions.",
        "Losses of one behaviour count as one. What the registry says of the difference stands below; where it says "
        "nothing, nobody has named one.",
        FORMULA,
    )
    chart = distances([title(first(twin)) for twin in now.twins], [twin.distance for twin in now.twins])
    show("twins", "Who does nearly the same?", sentence, chart, why=why)
    with st.container(gap="xxsmall"):
        for key in now.same:
            _row(now.key, key, title(key))
        for twin in now.twins:
            _row(now.key, first(twin), together(twin))


def _row(key: str, other: str, name: str) -> None:
    """One twin: a press on its name chooses it; beside it the way to its own page, and below how it differs."""
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            icon = ":material/my_location:"
            st.button(name, key=f"choose_{other}", type="tertiary", icon=icon, on_click=choose, args=(other,))
            to_losses(other, f"see_{other}", "Losses")
        if said := relation(key, other):
            st.markdown(f":small[{said}.]")


def to_losses(key: str, place: str, label: str) -> None:
    """The button that opens a loss on its own page."""
    go = st.button(
        label,
        key=place,
        type="tertiary",
        icon=":material/arrow_forward:",
        help=f"Open {title(key)} on Losses",
        on_click=open_loss,
        args=(key,),
    )
    if go:
        st.switch_page("../pages/losses.py")


def the_changes(now: Standing, found: Mapping[str, Bridge | None], before: Mapping[str, float]) -> None:
    """What single change brings the chosen loss and each of its kin nearest."""
    question = "What would turn one into the other?"
    reached = [key for key, bridge in found.items() if bridge is not None and bridge.after < SAME]
    helped = [key for key, bridge in found.items() if bridge is not None]
    sentence = (
        f"● now, ○ after the best single change of either. Of {len(found)} losses, {len(helped)} come at least half as "
        f"near; **{len(reached) or 'none'}** of them become{'s' if len(reached) < 2 else ''} the same."
    )
    why = (
        "Every field of both losses is tried at a few values over its range, one at a time.",
        "Also tried, where a loss takes labels: every pair as a class of its own. Changes are compared on two of the "
        "batches, and the distance after the best is then measured on all. What takes two changes at once is not "
        "found, nor a value between those that were tried.",
        FORMULA,
    )
    chart = brought_nearer(
        [title(key) for key in found],
        [before[key] for key in found],
        [None if bridge is None else bridge.after for bridge in found.values()],
    )
    left, right = st.columns([6, 5], gap="large")
    with left:
        show("changes", question, sentence, chart, why=why)
    with right:
        st.markdown("\n".join(f"- :small[{_told(now.key, key, bridge, before[key])}]" for key, bridge in found.items()))


def _told(key: str, other: str, bridge: Bridge | None, before: float) -> str:
    if bridge is None:
        return f"**{title(other)}**: no single change halves their distance of {length(before)}."
    rest = title(other if bridge.change.key == key else key)
    if bridge.after < SAME:
        return f"**{title(other)}**: {in_words(bridge.change)} is {rest}."
    return f"**{title(other)}**: {in_words(bridge.change)} is {length(bridge.after)} from {rest}, not {length(before)}."


def _begun(reason: str) -> str:
    return f"**{reason[:1].upper()}{reason[1:]}**"


def the_rest(found: FamilyMap) -> None:
    """The losses that have no place, by the reason why."""
    reasons: dict[str, list[str]] = {}
    for key, reason in found.apart.items():
        reasons.setdefault(reason, []).append(key)
    sentence = f"{len(found.apart)} of {len(LOSSES)} losses have none, since their motions are of other things."
    why = (
        "Only losses that move the same points can be compared.",
        "A loss whose every motion is 0 on all batches is at rest: rounding alone would decide where it stood.",
        "",
    )
    heading("Who has no place here?", sentence, why=why)
    lines = [f"{_begun(each)} ({len(keys)}): {', '.join(map(title, keys))}." for each, keys in reasons.items()]
    st.markdown("\n".join(f"- :small[{line}]" for line in lines))
