"""A little far: which of two partners is asked, where that drives them, and what it does to strong and weak pairs."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch

from core.diagnostics.mixed_gaps import Setting
from core.diagnostics.two_pairs import (
    STRONG,
    WEAK,
    Far,
    asks,
    coefficients,
    little_far,
    phase,
    resting_similarity,
    strong_and_weak,
)
from core.diagnostics.verdicts import Verdict
from core.mixing.dmm import mixed_margin
from dashboard import words
from dashboard.charts.phases import phases, strong_weak
from dashboard.charts.xy import Curve, lines
from dashboard.margin_view import asked_tex, gaps_now
from dashboard.panel import show
from dashboard.view import Scene

NEAR, WIDEST, CELLS, LATTICE = 1.2, 2.0, 120, 6
LAMBDAS, BATCHES = tuple(np.linspace(0.5, 1, 11)), 4
NAMES = {"b": "both asked", "i": "one asked", "p": "one asked", "n": "nobody asked"}
TOLD = {
    "b": "both are asked, and both are pulled to their own names",
    "i": "only the pair is asked; its partner is driven **off its own name**",
    "p": "only the partner is asked; the pair itself is driven **off its own name**",
    "n": "both lead by enough: nobody moves",
}


@dataclass(frozen=True)
class Plane:
    """Letters (k, k) over the two gaps, and arrows."""

    edges: np.ndarray
    letters: np.ndarray
    arrows: list[tuple[float, float, float, float]]


@st.cache_resource(max_entries=200, show_spinner=False)
def plane(s: Scene, widest: float) -> Plane:
    """The plane of two gaps for the scene's lambda, margin, rule, and angle between the pictures."""
    edges = np.linspace(0, widest, CELLS + 1)
    middle = torch.from_numpy((edges[:-1] + edges[1:]) / 2)
    own, other = (grid.flatten() for grid in torch.meshgrid(middle, middle, indexing="ij"))
    rest = (s.lam, s.margin, s.rule, "unit", float(np.cos(np.radians(s.gap))))
    letters = np.array(phase(own, other, *rest)).reshape(CELLS, CELLS)
    spots = torch.arange(LATTICE, dtype=torch.float64).add(0.5).mul(widest / LATTICE)
    x, y = (grid.flatten() for grid in torch.meshgrid(spots, spots, indexing="ij"))
    first, second = coefficients(asks(x, y, *rest), asks(y, x, *rest), s.lam)
    length = 0.7 * widest / LATTICE
    steps = torch.stack([x, y, -length * first, -length * second], dim=1).tolist()
    return Plane(edges, letters, [(a, b, c, d) for a, b, c, d in steps])


def who_is_asked(s: Scene) -> None:
    """The phase diagram of two partners, with the two pairs of the scene in it."""
    own, other = gaps_now(s)
    now = phase(
        torch.tensor([own], dtype=torch.float64), torch.tensor([other], dtype=torch.float64),
        s.lam, s.margin, s.rule, "unit", float(np.cos(np.radians(s.gap))),
    )[0]  # fmt: skip
    widest = NEAR if max(own, other) < NEAR else WIDEST
    found = plane(s, widest)
    sentence = (
        f"{words.mixed('The two pairs above')} lead by {words.number(own)} and {words.number(other)}: {TOLD[now]}. "
        f"In the {words.negatives('orange', 'bar')} regions one of the two is driven away, with weight 1 − λ = "
        f"{words.number(1 - s.lam)}."
    )
    why = (
        "Across: how far a pair leads. Up: how far its partner leads. The colour says who is still asked for more.",
        "What the loss takes from its own pair it gives to the other: where only one of the two mixed pairs is asked, "
        "the other one's picture is pushed off its own name. So a strong pair is made *a little far*, and gaps are "
        "made equal. The arrows are the gradient through the mixing, before renormalising.",
        r"\frac{\partial L}{\partial z_\pi}=\big[(1-\lambda)\,a_i-\lambda\,a_\pi\big](t_\pi-t_i),\quad "
        rf"1-\lambda={words.number(1 - s.lam)},\ \lambda={words.number(s.lam)},\ "
        rf"\mu={asked_tex(s.rule)}={words.number(float(mixed_margin(s.rule, torch.tensor(s.lam), s.margin)))}",
    )
    inside = max(own, other) < widest and min(own, other) > 0
    chart = phases(found.edges, found.letters, found.arrows, (own, other) if inside else None)
    verdict = Verdict(NAMES[now], "info", sentence)
    show("phases", "Which of two partners is asked?", sentence, chart, why=why, verdict=verdict)


@dataclass(frozen=True)
class Change:
    """`Far` of the clean loss, and at every one of `LAMBDAS`."""

    clean: Far
    mixed: tuple[Far, ...]


def _mean(found: list[Far]) -> Far:
    return Far(sum(f.strong for f in found) / len(found), sum(f.weak for f in found) / len(found))


@st.cache_resource(max_entries=100, show_spinner=False)
def changes(margin: float, rule: str, sphere: bool, seed: int) -> Change:
    """What one step does to strong and weak pairs, over `BATCHES` batches."""
    s = Setting.model_validate({"margin": margin, "rule": rule})
    batches = [strong_and_weak(s.n, s.dim, seed, k) for k in range(BATCHES)]
    clean, *mixed = (
        _mean([little_far(batch, s, lam, sphere=sphere) for batch in batches]) for lam in (None, *map(float, LAMBDAS))
    )
    return Change(clean, tuple(mixed))


def what_moves(s: Scene, sphere: bool, seed: int) -> None:
    """The change of strong and weak pairs over lambda, beside that of the clean loss."""
    found = changes(s.margin, s.rule, sphere, seed)
    strong, weak = ([getattr(each, name) for each in found.mixed] for name in ("strong", "weak"))
    here = float(np.interp(s.lam, LAMBDAS, strong))
    digits = 4 if sphere else 3
    sentence = (
        f"At λ = {words.number(s.lam)} a step changes {words.mixed(f'strong pairs (ρ = {STRONG})', 'line')} by "
        f"**{words.signed(here, digits)}**, under the clean loss by {words.signed(found.clean.strong, digits)}; "
        f"{words.positives(f'weak ones ({WEAK})')} by {words.signed(float(np.interp(s.lam, LAMBDAS, weak)), 2)}. "
        "Dotted: clean."
    )
    why = (
        "How much more or less alike a picture and its own name become in one small step, strong and weak pairs apart.",
        "Half of 64 pairs are strong, and each is the partner of a weak one. The clean loss already drives strong "
        "pairs a little apart, since they are somebody's negatives; mixing does more of it, mostly below λ = .75. "
        "A free step changes the lengths too. On the sphere, where an encoder that renormalises lives, that part is "
        "taken off, and the effect on strong pairs is far smaller.",
        rf"\Delta s_{{ii}}\text{{ of the strong half}}={words.signed(here, digits)}"
        rf"\quad(\text{{clean }}{words.signed(found.clean.strong, digits)})",
    )
    far = here < found.clean.strong < 0 or here < 0 <= found.clean.strong
    verdict = Verdict("a little far", "info", sentence) if far else Verdict("not here", "info", sentence)
    chart = strong_weak(LAMBDAS, strong, weak, (found.clean.strong, found.clean.weak), s.lam)
    show("far", "Is a strong pair moved apart?", sentence, chart, why=why, verdict=verdict)


def where_it_rests(s: Scene) -> None:
    """How similar the own name stays to its picture if it is pulled all the way to the mixture."""
    lam = torch.linspace(0.5, 1, 51, dtype=torch.float64)
    cosine = float(np.cos(np.radians(s.gap)))
    rest = resting_similarity(lam, cosine)
    here = float(resting_similarity(torch.tensor([s.lam], dtype=torch.float64), cosine))
    sentence = (
        f"Pulled all the way to x̃, {words.positives('the own name')} keeps a similarity of **{words.number(here)}** "
        f"to its picture, for pictures {words.number(s.gap, 0)}° apart."
    )
    why = (
        "The similarity between a picture and its mixture, where the own name would come to rest.",
        "This is the effect that the paper's abstract draws: the own name leaves its picture for the mixture. For "
        "pictures at a right angle it is .71 at λ = ½ and .99 at .9.",
        r"\frac{\lambda+(1-\lambda)c}{\sqrt{\lambda^2+(1-\lambda)^2+2\lambda(1-\lambda)c}}"
        rf"={words.number(here)},\quad c={words.number(cosine)}",
    )
    chart = lines(
        [Curve("the own name", lam.numpy(), rest.numpy(), "positives")],
        x_title="λ, share of the anchor",
        y_title="similarity",
        at=s.lam,
        height=200,
    )
    show("rest", "Where would the own name rest?", sentence, chart, why=why)
