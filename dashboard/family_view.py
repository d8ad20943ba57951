"""From the chosen loss to its place among all: the map, its twins, and the change that makes one of two; cached."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from core.addresses import spell
from core.diagnostics.family_map import NEAR, SAME, Bridge, Change, FamilyMap, Setting, Twin, bridges, variants
from core.loss_search import kin
from core.losses.registry import LOSSES
from core.params import Params
from core.runs.family import family

MOST = 8


@dataclass(frozen=True)
class Shelf:
    """The maps of this server, by setting; one is measured at a time."""

    maps: dict[Setting, FamilyMap]
    measuring: threading.Lock


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf({}, threading.Lock())


def everyone(setting: Setting) -> FamilyMap:
    """The map of all losses; the first time it is measured while a line says how far that is."""
    shelf = _shelf()
    if setting not in shelf.maps:
        place = st.empty()

        def said(done: int, of: int, title: str) -> None:
            place.progress(done / of, text=f"Every loss is measured once: {done} of {of}, now {title}.")

        with shelf.measuring:
            shelf.maps[setting] = shelf.maps.get(setting) or family(setting, said)
        place.empty()
    return shelf.maps[setting]


def title(key: str) -> str:
    """The name of a loss without what stands in brackets, unless another has the same."""
    short = [entry.title.partition(" (")[0] for entry in LOSSES]
    own = LOSSES[key].title
    return own if short.count(own.partition(" (")[0]) > 1 else own.partition(" (")[0]


def first(twin: Twin) -> str:
    """The one of equal losses that most others are explained by."""
    return min(twin.keys, key=lambda key: (-kin(LOSSES[key]), key))


def together(twin: Twin) -> str:
    """The names of equal losses, that of `first` first."""
    return " = ".join(map(title, (first(twin), *(key for key in twin.keys if key != first(twin)))))


@dataclass(frozen=True)
class Standing:
    """Where the chosen loss stands: `same`, those of its behaviour; `twins`, the nearest others."""

    key: str
    same: tuple[str, ...]
    twins: tuple[Twin, ...]


def standing(found: FamilyMap, key: str) -> Standing:
    nearest = found.twins(key, NEAR + 1)
    same = nearest[0].keys if nearest[0].distance < SAME else ()
    return Standing(key, same, tuple(nearest[bool(same) :][:NEAR]))


def relation(key: str, other: str) -> str:
    """How one differs from the other, in the registry's words and from where it stands there; empty if it says none."""
    if other in LOSSES[key].relations:
        return f"{title(key)} is {title(other)}, {LOSSES[key].relations[other]}"
    if key in LOSSES[other].relations:
        return f"{title(other)} is {title(key)}, {LOSSES[other].relations[key]}"
    return ""


def relatives(found: FamilyMap, now: Standing) -> list[str]:
    """Whom the change is looked for to: the nearest twins, whom the loss is explained by, and who is explained by it.

    At most `MOST`; nearest first within each.
    """
    near = {key for twin in now.twins for key in twin.keys} | {*now.same, now.key}
    away = dict(zip(found.keys, found.distances[found.keys.index(now.key)].tolist(), strict=True))
    by_it = LOSSES[now.key].relations
    named = [(key not in by_it, d, key) for key, d in away.items() if key not in near and relation(now.key, key)]
    return [*map(first, now.twins), *(key for _, _, key in sorted(named))][:MOST]


@st.cache_resource(max_entries=300, show_spinner="Every single change of each is tried ...")
def changes(key: str, others: tuple[str, ...], setting: Setting) -> Mapping[str, Bridge | None]:
    return bridges(key, others, setting)


@st.cache_resource(max_entries=300, show_spinner=False)
def around(key: str, setting: Setting, _found: FamilyMap) -> list[tuple[str, list[float]]]:
    """What the further settings of a loss are, and where they stand."""
    return [(_settings(p), placed.place.tolist()) for p, placed in variants(LOSSES[key], _found)]


def _settings(p: Params) -> str:
    usual = type(p)()
    changed = [name for name in type(p).model_fields if getattr(p, name) != getattr(usual, name)]
    return ", ".join(said(p, name, getattr(p, name)) for name in changed)


def said(p: Params, field: str, value: object) -> str:
    """A setting in words."""
    name = type(p).model_fields[field].title
    return f"{name} = {value:g}" if type(value) in (int, float) else f"{name}: {spell(value).replace('_', ' ')}"


def in_words(change: Change) -> str:
    """What is changed."""
    if not change.field:
        return f"{title(change.key)} with every pair as a class of its own"
    return f"{title(change.key)} with {said(LOSSES[change.key].params(), change.field, change.value)}"
