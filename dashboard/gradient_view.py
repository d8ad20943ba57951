"""From a batch of pairs and a loss to what Gradients shows: what is paid, and every pair's pull or push."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core.diagnostics.forces import forces, gradient_norms, motion
from core.diagnostics.hardness import ByHardness, ByRank, active_share, share_by_hardness, share_of_hardest
from core.diagnostics.levels import chance_level
from core.diagnostics.synthetic import Batch, Strength, along_similarity, pay, strength, synthetic
from core.losses.registry import LOSSES
from core.paid import Paid
from core.params import Params
from core.recipe import Recipe
from core.runs.folder import RunFolder, runs_home
from core.streams import stream
from dashboard import words
from dashboard.lab import data_of
from dashboard.view import Pairs

MOST, SHOWN, CURVE, NEAR = 64, 24, 121, 0.2
GREEK = {"τ": r"\tau", "λ": r"\lambda", "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "ρ": r"\rho", "δ": r"\delta"}


class Where(NamedTuple):
    """Which batch: a synthetic one, or the probe of a run at a recorded step; a run made anew has another `stamp`."""

    pairs: Pairs
    seed: int
    folder: str = ""
    step: int = 0
    stamp: int = 0


@dataclass(frozen=True)
class Source:
    """A batch with names for its pairs, and the loss parameters that its run had learned."""

    batch: Batch
    names: tuple[str, ...]
    learned: dict[str, float]

    def called(self, index: int) -> str:
        """A pair in a sentence: its letter, after its name where it has one."""
        name, short = self.names[index], letter(index)
        return short if name == short else f"{name} ({short})"


@dataclass(frozen=True)
class Look:
    """What a loss does to a batch of n pairs.

    `pull` (A, C): above 0 the pair is pulled together, below 0 pushed apart: -dL/ds, or the motion of the pair where
    the loss shows no scores (`is_force` False). `paid` (A,): what each anchor pays, whose mean is the total; None
    where terms have no anchors. `rank`, `hard` and `active` are None without scores. `width`: what counts as
    semi-hard, in units of the score.
    """

    n: int
    total: float
    chance: float
    paid: Tensor | None
    pull: np.ndarray
    is_force: bool
    anchors: int
    silent: int
    active: float | None
    rank: ByRank | None
    hard: ByHardness | None
    width: float


def letter(index: int) -> str:
    """A, B, ..., Z, A1, B1, ..."""
    return chr(65 + index % 26) + (str(index // 26) if index >= 26 else "")


@st.cache_resource(max_entries=40, show_spinner=False)
def source(where: Where) -> Source:
    """The batch itself; of a run at most the first `MOST` probe items, its first two modalities."""
    if not where.folder:
        p = where.pairs
        batch = synthetic(p.n, p.dim, p.closeness, p.spread, stream(where.seed, "pairs"))
        return Source(batch, tuple(map(letter, range(p.n))), {})
    run = RunFolder(runs_home() / where.folder)
    recipe = Recipe.model_validate(run.recipe())
    arrays = run.snapshot(where.step)
    a, b = [torch.from_numpy(z[:MOST]).double() for name, z in arrays.items() if name.startswith("z.")][:2]
    items = torch.from_numpy(arrays["items"][:MOST])
    data = data_of(recipe)
    learned = {k.removeprefix("learned."): float(v) for k, v in arrays.items() if k.startswith("learned.")}
    return Source(Batch(a, b, data.labels[items]), tuple(data.names[int(k)] for k in items), learned)


def standing(p: Any, learned: dict[str, float]) -> Any:
    """The loss with the values that it had learned, where it learns any."""
    known = {name: value for name, value in learned.items() if name in LOSSES.of(p).learned(p)}
    return p.model_copy(update=known)


def _payments(paid: Paid) -> Tensor | None:
    """(A,) what each anchor pays, so that the mean is the total; None where not every term has anchors."""
    terms = paid.terms.values()
    if any(term.axis != "anchor" for term in terms):
        return None
    return torch.stack([t.per.detach() * (1 if t.weight is None else t.weight * len(t.per)) for t in terms]).sum(0)


@st.cache_resource(max_entries=200, show_spinner=False)
def look(p: Params, where: Where) -> Look:
    """Everything that the loss does to the batch."""
    batch = source(where).batch
    n, own = len(batch), float(getattr(p, "margin", 0.0))
    a, b = batch.a.clone().requires_grad_(), batch.b.clone().requires_grad_()
    paid = pay(p, a, b, batch.labels)
    total = paid.total()
    pairs = paid.pairs[0] if paid.pairs else None
    force = forces(paid)[0] if pairs else -motion(a, b, total)
    norms = gradient_norms(total, a, b) if len(force) == 2 * n else gradient_norms(total, a)
    width = own or NEAR
    both = "b_to_a" in paid.terms
    return Look(
        n=n,
        total=float(total.detach()),
        chance=chance_level(p, n, batch.labels),
        paid=_payments(paid),
        pull=-force.numpy(),
        is_force=pairs is not None,
        anchors=len(norms),
        silent=int((norms == 0).sum()),
        active=active_share(force, pairs) if pairs else None,
        rank=share_of_hardest(force, pairs) if pairs else None,
        hard=share_by_hardness(force, pairs, width, both=both) if pairs else None,
        width=width,
    )


def block(seen: Look) -> tuple[list[int], list[int], list[str], list[str]]:
    """Rows and columns of the matrix that the microscope shows, and their names.

    Where both views of every item are anchors, the first items are shown with both, the second view as A′.
    """
    rows, columns = seen.pull.shape
    if rows == columns == 2 * seen.n:
        k = min(seen.n, SHOWN // 2)
        index = [*range(k), *range(seen.n, seen.n + k)]
        names = [letter(i) for i in range(k)] + [f"{letter(i)}′" for i in range(k)]
        return index, index, names, names
    across = min(columns, SHOWN)
    down = list(range(min(rows, SHOWN)))
    named = [letter(j) if columns == seen.n else str(j) for j in range(across)]
    return down, list(range(across)), [letter(i) for i in down], named


class Curve(NamedTuple):
    """Pull and push while one negative moves: `similarity` (T,), where it and the positive stand now, and who it is."""

    similarity: np.ndarray
    pull: np.ndarray
    push: np.ndarray
    at: float
    positive_at: float
    other: int


@st.cache_resource(max_entries=200, show_spinner=False)
def along(p: Params, where: Where, anchor: int) -> Curve:
    """The curve of an anchor and its hardest negative; of another class, where the loss takes classes."""
    batch = source(where).batch
    scores = batch.a[anchor] @ batch.b.T
    own = torch.arange(len(batch)) == anchor
    if "labels" in LOSSES.of(p).inputs and bool((batch.labels != batch.labels[anchor]).any()):
        own = batch.labels == batch.labels[anchor]
    other = int(scores.masked_fill(own, -torch.inf).argmax())
    similarity = torch.linspace(-1, 1, CURVE, dtype=torch.float64)
    pull, push = along_similarity(p, batch, anchor, other, similarity)
    at = float(scores[other].clamp(-1, 1))
    return Curve(similarity.numpy(), pull.numpy(), push.numpy(), at, float(scores[anchor]), other)


@st.cache_resource(max_entries=100, show_spinner=False)
def strengths(p: Params, where: Where, mixing: Params) -> Strength:
    """The gradient against the lead of a pair, clean beside mixed."""
    return strength(p, source(where).batch, mixing, where.seed)


def numbered(formula: str, p: Params) -> str:
    """The formula with every parameter whose symbol ends its title replaced by its value; s_{ij} is another s."""
    for name, field in type(p).model_fields.items():
        symbol = (field.title or "").rpartition(" ")[2]
        if len(symbol) != 1 or not isinstance(getattr(p, name), int | float):
            continue
        letters = re.escape(GREEK[symbol]) if symbol in GREEK else rf"(?<![A-Za-z\\]){symbol}"
        value = f"{{{words.tick(float(f'{getattr(p, name):.3g}'))}}}"
        formula = re.sub(rf"{letters}(?![A-Za-z_])", lambda _, value=value: value, formula)
    return formula


def brief(value: float) -> str:
    """A force or a loss: two decimals, or two significant digits where it is small."""
    return words.number(value) if abs(value) >= 0.1 else words.tick(float(f"{value:.2g}"))
