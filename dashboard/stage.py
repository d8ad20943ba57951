"""The five charts of Play for one run at one recorded step; each says in a sentence what it shows."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st

from core.data.registry import DataSet
from core.diagnostics import verdicts
from core.diagnostics.levels import chance_level, floor_level
from core.diagnostics.scene import as_asked, recorded
from core.losses.registry import LOSSES
from core.params import Params
from core.recipe import Recipe
from core.runs.companion import classes_of
from core.runs.folder import RunFolder
from dashboard import words
from dashboard.charts.chart import Chart
from dashboard.charts.curve import curve
from dashboard.charts.hills import hills
from dashboard.charts.push import push
from dashboard.charts.strip import strip
from dashboard.lab import Frame, frames
from dashboard.panel import lean
from dashboard.points import picture

ROWS = 5
GROUPS = ("hardest\n1%", "1–5%", "5–20%", "20–50%", "easiest\n50%")


@dataclass(frozen=True)
class Scene:
    """What a lane shows: a recipe, its data, its frames up to the cursor, the present one
    last, and the newest frame of the run."""

    recipe: Recipe
    data: DataSet
    frames: tuple[Frame, ...]
    rows: tuple[Mapping[str, float], ...]
    run: str
    last: Frame
    lane: str = ""

    @property
    def now(self) -> Frame:
        return self.frames[-1]

    def key(self, name: str) -> str:
        return f"{name}{self.lane}"


def scene(recipe: Recipe, data: DataSet, run: RunFolder, steps: list[int], at: int, lane: str = "") -> Scene:
    """The scene of a run at the recorded step `at`, with up to four evenly spaced steps before it."""
    past = [step for step in steps if step <= at]
    picks = sorted({past[round(i)] for i in np.linspace(0, len(past) - 1, ROWS)})
    last = frames(run, steps[-1:])[0]
    return Scene(recipe, data, tuple(frames(run, picks)), tuple(run.metrics()), run.path.name, last, lane)


def points(s: Scene) -> None:
    """Where everything stands, and how many items have found their partner."""
    f, n = s.now, len(s.now.items)
    verdict = f.collapse if f.collapse.state == "bad" else verdicts.aligned(f.found / n, n, 1 / n)
    first, second = [m.name for m in s.data.modalities][:2]
    pair = f" (first pair: {first} and {second})" if len(s.data.modalities) > 2 else ""
    chart, drawn = picture(s.recipe, s.data, s.run, f, s.last)
    mixed = f" {words.mixed()} lie between two." if f.mixed is not None else ""
    fallen = f" {f.collapse.sentence}" if verdict is f.collapse else ""
    sentence = (
        f"{f.found} of {n} items sit nearest to {words.positives('their own partner', 'dot')}{pair}; "
        f"chance is 1.{fallen}{mixed}{drawn}"
    )
    why = (
        "Each item stands where its network puts it, once for each half of its pair; a line joins the two halves.",
        "Training turns the networks so that the halves meet and everything else keeps away. The count says for how "
        "many items no other item's partner is nearer, in all dimensions.",
        rf"{f.found}/{n}\ \text{{ have }}\ \arg\max_j s_{{ij}} = i",
    )
    lean(s.key("points"), "Does each item find its partner?", sentence, chart, why=why, verdict=verdict)


def ridge(s: Scene) -> None:
    """The two hills of scores over time."""
    f = s.now
    positive, negative = f.scores["positives"].mean, f.scores["negatives"].mean
    sentence = (
        f"{words.positives('Positives')} average {words.number(positive)}, "
        f"{words.negatives()} {words.number(negative)}; the hills share {words.share(f.overlap)}."
    )
    why = (
        "How alike the two halves of a pair are, beside how alike two strangers are; each hill is drawn equally high.",
        "Similarity is the cosine of two embeddings, 1 for the same direction. A useful embedding keeps the hills "
        "apart. Earlier steps stand behind, the present one in front.",
        rf"\bar s^+={words.number(positive)},\quad \bar s^-={words.number(negative)}",
    )
    verdict, chart = verdicts.hills(f.overlap), _hills(s.frames)
    lean(s.key("hills"), "Do pairs and non-pairs come apart?", sentence, chart, why=why, verdict=verdict)


@lru_cache(maxsize=200)
def _hills(frames: tuple[Frame, ...]) -> Chart:
    """The hills of these frames, the present one last."""
    now = frames[-1].hills
    none = {kind: np.zeros_like(hill.share) for kind, hill in now.items()}
    kinds = {
        kind: np.array([each.hills[kind].share if kind in each.hills else none[kind] for each in frames])
        for kind in now
    }
    steps = [each.step for each in frames]
    return hills(now["positives"].centres, steps, kinds["positives"], kinds["negatives"], kinds.get("mixed positives"))


def who_is_pushed(s: Scene) -> None:
    """Share of the push by share of the pairs."""
    ranks = s.now.push
    hardest = sum(ranks.share[:2])
    if s.now.by_motion and ranks.silent:
        sentence = f"No {words.negatives('negative', 'bar')} comes apart in one small step: all come together."
    elif LOSSES.of(s.recipe.loss).claims.pushes is not True and ranks.silent:
        sentence = f"This loss knows no {words.negatives('negatives', 'bar')}: nobody is pushed away."
    elif ranks.silent:
        sentence = f"No {words.negatives('negative', 'bar')} is pushed: every one is far enough away."
    else:
        sentence = (
            f"The hardest 5% of the {words.negatives('negatives', 'bar')} take {words.share(hardest)} of the push. "
            "Tick: an equal share."
        )
    slope, meaning = r"\partial L/\partial s_{ij}", "the derivative of the loss by its score"
    if s.now.by_motion:
        slope, meaning = r"-\dot s_{ij}", "how fast it comes apart in one small step, as this loss pays by no scores"
    why = (
        "Non-pairs in order of their similarity, the most alike first, and what share of the push they take.",
        f"The push on a pair is {meaning}. Some losses spend it on a few hard pairs, others on all of them alike.",
        rf"\frac{{\sum_{{(i,j)\in\text{{group}}}}[{slope}]_+}}{{\sum_{{i\neq j}}[{slope}]_+}}",
    )
    verdict = verdicts.push(sum(ranks.share[:3]), ranks.silent)
    chart = _push(tuple(ranks.equal), tuple(ranks.share))
    lean(s.key("push"), "Who gets pushed?", sentence, chart, why=why, verdict=verdict)


@lru_cache(maxsize=200)
def _push(equal: tuple[float, ...], share: tuple[float, ...]) -> Chart:
    return push(GROUPS, equal, share)


@lru_cache(maxsize=200)
def levels(loss: Params, n: int, dim: int, classes: int) -> tuple[float, float | None]:
    """The loss of n items when all embeddings are equal, and when they are evenly spaced and aligned.

    No floor is given where the loss takes labels, since it would depend on the classes of each batch, nor where it is
    no lower than the level of collapse.
    """
    labelled = LOSSES.of(loss).inputs.get("labels", False)
    chance = chance_level(loss, n, classes=classes)
    floor = None if labelled else floor_level(loss, n, dim)
    return chance, None if floor is None or floor >= chance else floor


def learning(s: Scene) -> None:
    """The loss over the steps, with its chance level and its floor."""
    rows = s.rows
    if not rows:
        st.markdown(":small[The loss appears with the first step of the training.]")
        return
    clean = [sum(v for k, v in row.items() if k.startswith("term.clean")) or row["loss"] for row in rows]
    steps = [row["step"] for row in rows]
    batch = min(s.recipe.method.batch, len(s.data.split.train))
    so_far = max(1, bisect.bisect_right(steps, s.now.step))
    tau = rows[so_far - 1].get("learned.temperature")
    loss = s.recipe.loss if tau is None else s.recipe.loss.model_copy(update={"temperature": tau})
    chance, floor = levels(loss, batch, s.recipe.encoder.dim, classes_of(s.recipe, s.data))
    past = clean[:so_far]
    verdict = verdicts.progress(past, chance)
    if LOSSES.of(loss).family == "hinge" and verdict.state != "bad":
        margin = verdicts.dead_margin(past, chance, s.now.active, loss.margin)
        verdict = verdict if margin.word == "alive" else margin
    low = "" if floor is None else f" Evenly spaced pairs would pay {words.number(floor)}."
    which = "clean loss" if s.recipe.mixing.kind != "none" else "loss"
    sentence = (
        f"The {which} is {words.number(past[-1])}. With all points in one place it is {words.number(chance)}.{low}"
    )
    why = (
        "What the batch of each step pays; less is better, and a flat line has nothing left to learn from.",
        "Chance is what is paid when all embeddings are equal. The floor is the loss of evenly spaced, perfectly "
        "aligned points; it is not proved to be the minimum.",
        LOSSES.of(s.recipe.loss).formula,
    )
    chart = _loss_curve(tuple(steps), tuple(clean), s.now.step, chance, floor, which)
    lean(s.key("learning"), "Is it still learning?", sentence, chart, why=why, verdict=verdict)


@lru_cache(maxsize=200)
def _loss_curve(
    steps: tuple[float, ...], values: tuple[float, ...], at: int, chance: float, floor: float | None, what: str
) -> Chart:
    """The curve of a loss with its two levels."""
    return curve({what: (steps, values)}, at, chance=chance, floor=floor, what=what)


def margin_now(s: Scene) -> None:
    """The margin really applied, read from the plan of each step; nothing where nothing is mixed."""
    rows = [row for row in s.rows if "margin" in row]
    if not rows or s.recipe.mixing.kind == "none":
        return
    now = max((row for row in rows if row["step"] <= s.now.step), key=lambda row: row["step"], default=rows[0])
    own: Any = s.recipe.mixing.margin
    full = getattr(s.recipe.loss, "margin", 0.0) if own is None else own
    sentence = (
        f"λ = {words.number(now['lam'])}: {words.mixed()} are asked for a lead of {words.number(now['margin'])} "
        f"instead of {words.number(full)}."
    )
    why = (
        "How large a lead the mixed pairs of each step were really asked for.",
        "It is read from the plan that the step used, after the loss was paid, so a margin that decays would show.",
        rf"\lambda m={words.number(now['lam'])}\cdot{words.number(full)}",
    )
    chart = strip([row["step"] for row in rows], [row["margin"] for row in rows], full, s.now.step)
    verdict = as_asked(recorded(rows), s.recipe.mixing.rule, full)
    lean(s.key("margin"), "How large is the margin now?", sentence, chart, why=why, verdict=verdict)


def panels(scene: Scene, narrow: bool) -> None:
    """The charts of a lane, over the whole width or in one column."""
    if narrow:
        for chart in (points, ridge, who_is_pushed, learning, margin_now):
            chart(scene)
        return
    left, right = st.columns([5, 7], gap="large")
    with left:
        points(scene)
        margin_now(scene)
    with right:
        ridge(scene)
        one, two = st.columns(2, gap="large")
        with one:
            who_is_pushed(scene)
        with two:
            learning(scene)
