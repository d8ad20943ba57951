"""From a loss and a batch made for it to what the Losses page shows, cached; and from a loss to Play."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core.diagnostics import loss_marks, loss_paths
from core.diagnostics.hardness import ByRank, hardness, share_of_hardest
from core.diagnostics.loss_lens import Layer, Sample, lens, through_scores
from core.diagnostics.loss_marks import Marks
from core.diagnostics.loss_paths import Along, Path, Surface
from core.diagnostics.push_spread import Spread, flat, spread
from core.losses.registry import LOSSES
from core.methods.registry import METHODS, MethodEntry
from core.paid import Role
from core.params import Params
from core.refusal import Refusal
from core.runs.fit import Unfit, check_fit
from core.vocabulary import VOCABULARY
from dashboard.lab import data_of
from dashboard.link import on_data
from dashboard.settings import DATA
from dashboard.view import Losses, View

NEAR = 0.2
BRINGABLE = {"a", "b", "modalities", "joint", "labels", "bags", "other_bags"}  # what other data could change
# The roles in their order, but for a negative: its place, and those after it, say how hard it is, by `Hardness`; one
# that has no positive beside it is hard for nobody.
NAMES = ("excluded", "positive", "negative", "easy", "semi-hard", "hard", "partner", "synthetic", "pair")


@dataclass(frozen=True)
class Dots:
    """The pairs of all tables: `scores`, `push` (above 0 apart), and `code`, their place in `NAMES`, (n,) each."""

    scores: np.ndarray
    push: np.ndarray
    code: np.ndarray

    @property
    def group(self) -> list[str]:
        """(n,) what each pair is called."""
        return np.array(NAMES, dtype=object)[self.code].tolist()

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs are called so."""
        return dict(zip(NAMES, np.bincount(self.code, minlength=len(NAMES)).tolist(), strict=True))

    def of(self, *groups: str) -> np.ndarray:
        """(n,) whether a pair is of one of the groups."""
        return np.isin(np.arange(len(NAMES)), [NAMES.index(group) for group in groups])[self.code]


@dataclass(frozen=True)
class Look:
    """What a loss does to its batch: what is paid, in all and by `each` anchor, and who is moved.

    `layers` are the force on the loss's own scores where it shows any, else the motion of the cosines, or the slope of
    what it was handed; `motion` is None where there are no embeddings. `rank` and `spread` are None where no pair is
    known to be a negative. `through`: share of the gradient that passes through the scores.
    """

    total: float
    each: Tensor | None
    layers: tuple[Layer, ...]
    motion: Layer | None
    dots: Dots
    moved: Dots | None
    rank: ByRank | None
    spread: Spread | None
    through: float | None
    width: float

    @property
    def kind(self) -> str:
        return self.layers[0].kind


def sample_of(now: Losses, seed: int) -> Sample:
    return Sample(now.n, now.closeness, seed, now.dim, now.spread)


def codes(layer: Layer, width: float, both: bool = False) -> np.ndarray:
    """(A * C,) what each pair is called, as places in `NAMES`."""
    role = layer.role.flatten().numpy()
    if not (role > 0).any():
        return np.full(len(role), NAMES.index("pair"))
    level = hardness(layer.pairs, width, both=both).flatten().numpy()
    return np.where(role == Role.NEGATIVE, 2 + level, np.where(role > Role.NEGATIVE, role + 3, role)).astype(int)


def _dots(layers: tuple[Layer, ...], width: float, both: bool) -> Dots:
    scores, push = (
        torch.cat([getattr(layer, name).flatten() for layer in layers]).numpy() for name in ("scores", "push")
    )
    return Dots(scores, push, np.concatenate([codes(layer, width, both) for layer in layers]))


@st.cache_resource(max_entries=60, show_spinner=False)
def look(p: Params, s: Sample) -> Look:
    """Everything that the loss does to the batch."""
    seen = lens(p, s)
    own = getattr(p, "margin", 0.0)
    width = float(own) if isinstance(own, int | float) and own > 0 else NEAR
    square = all(layer.scores.shape[0] == layer.scores.shape[1] for layer in seen.layers)
    both = "b_to_a" in seen.paid.terms and square
    known = any(bool((layer.role >= Role.NEGATIVE).any()) for layer in seen.layers)
    return Look(
        total=seen.total,
        each=seen.each,
        layers=seen.layers,
        motion=seen.motion,
        dots=_dots(seen.layers, width, both),
        moved=None if seen.motion is None else _dots((seen.motion,), width, both=False),
        rank=share_of_hardest(*flat(seen.layers)) if known else None,
        spread=spread(seen.layers) if known else None,
        through=through_scores(seen),
        width=width,
    )


@st.cache_resource(max_entries=60, show_spinner=False)
def road(p: Params, s: Sample, anchor: int) -> Path | None:
    return loss_paths.path(p, s, anchor)


@st.cache_resource(max_entries=60, show_spinner=False)
def along(p: Params, s: Sample, anchor: int) -> Along | None:
    """Pull and push while the hardest negative moves; None where there is none that could."""
    found = road(p, s, anchor)
    return None if found is None else loss_paths.along(found)


@st.cache_resource(max_entries=60, show_spinner=False)
def surface(p: Params, s: Sample, anchor: int, what: Any) -> Surface | None:
    """The surface over positive and hardest negative; None as for `along`."""
    found = road(p, s, anchor)
    return None if found is None else loss_paths.surface(found, what)


@st.cache_resource(max_entries=60, show_spinner=False)
def marks(p: Params, s: Sample) -> Marks | None:
    return loss_marks.marks(p, s)


def _with(view: View, p: Params) -> View:
    """A view whose recipe pays by this loss, no branch of another run, with a joint encoder where the loss asks."""
    joint = "joint" in LOSSES.of(p).needed_of_a_run
    encoder = view.encoder.model_copy(update={"joint": joint})
    return view.model_copy(update={"loss": p, "encoder": encoder, "parent": "", "from_step": 0, "at": -1})


def way_to_play(p: Params, now: View) -> tuple[View | None, str]:
    """The view that trains this loss on Play, and what its data are called; or none, and the sentence that says why."""
    found, said = _way(p, now.model_copy(update={"losses": Losses()}))
    return found and found.model_copy(update={"losses": now.losses}), said


def _tries(now: View, by_data: bool) -> Iterator[tuple[str, View]]:
    """The data and the method that Play stands on, then other data; where no data could do, other methods."""
    yield "the data you have there", now
    plain = now.model_copy(update={"mixing": View().mixing, "lane": View().lane})
    others = ((title, on_data(plain, link)) for title, link in DATA.items())
    if by_data:
        yield from others
        return
    for title, view in itertools.chain([("the data you have there", plain)], others):
        try:
            room = len(data_of(view.recipe()).split.train)
        except Refusal:
            continue
        for method in METHODS:
            yield f"{title}, {method.title}", view.model_copy(update={"method": _by(method, view, room)})


def _by(method: MethodEntry, view: View, room: int) -> Params:
    """The method with the batch of a view, and a bank no larger than its `room` training items."""
    fields = method.params.model_fields
    bank = {"size": min(fields["size"].default, room)} if "size" in fields else {}
    return method.params.model_validate({"batch": view.method.batch, **bank})


@lru_cache(maxsize=200)
def _way(p: Params, now: View) -> tuple[View | None, str]:
    reasons = []
    for title, view in _tries(now, set(LOSSES.of(p).needed_of_a_run) <= BRINGABLE):
        try:
            asked_for = _with(view, p)
            check_fit(asked_for.recipe(), data_of(asked_for.recipe()))
        except Unfit as error:
            reasons.append(str(error))
        except Refusal:
            continue
        else:
            return asked_for, title
    taught = {name for method in METHODS for name in method.call().gives}
    lacking = [name for name in LOSSES.of(p).needed_of_a_run if name not in BRINGABLE | taught]
    told = ", ".join(f"{name} ({VOCABULARY[name].meaning})" for name in lacking)
    plainly = [reason for reason in reasons if " needs " not in reason] or reasons or ["no data set there fits"]
    return None, f"Play cannot train it yet: {f'nothing there brings {told}' if lacking else plainly[0]}."
