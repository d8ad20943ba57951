"""The lower panels of Margins: the lambda, the margin and the weight that a run really drew, or would draw."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace as changed

import numpy as np
import streamlit as st

from core.addresses import read
from core.diagnostics.scene import Drawn, as_asked, draw_plans, recorded
from core.methods.registry import METHODS
from core.mixing.dmm import DMM, mixed_weight
from core.mixing.registry import Step
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.folder import RunFolder, Status
from dashboard import transport, words
from dashboard.charts.chart import Chart
from dashboard.charts.leads import SMALL_HEIGHT, applied, histogram, ramp
from dashboard.charts.lens import course
from dashboard.controls import knob
from dashboard.lab import data_of, find
from dashboard.link import replace, view
from dashboard.margin_view import ASKED, asked_tex, law_words
from dashboard.panel import show

DRAWN, BARS, DOTS, LEVEL = 240, 10, 240, 1e-9
LAWS = {"uniform": "even", "beta": "Beta", "beta_unfolded": "Beta, unfolded", "fixed": "fixed"}


def own_run(recipe: Recipe) -> RunFolder | None:
    """The run of a recipe with DMM, if it has begun."""
    try:
        run = find(recipe)
    except Refusal:
        return None
    return run if isinstance(recipe.mixing, DMM) and run.metrics() else None


def planned(recipe: Recipe, p: DMM, margin: float) -> Drawn:
    """The plans that the trainer of this recipe would draw first."""
    return draw_plans(p, recipe.method.batch, min(recipe.steps, DRAWN), recipe.seed, margin)


def _thinned(values: Sequence[float], count: int = DOTS) -> list[float]:
    return list(values[:: -(-len(values) // count) or 1])


def how_much_stays(d: Drawn, p: DMM) -> None:
    """The lambdas as they fell."""
    lam = np.array(d.lam)
    counts, edges = np.histogram(lam, bins=BARS, range=(min(0.5, float(lam.min())), 1))
    what = "batches, each with its mean λ" if p.per_sample else "draws"
    sentence = f"{words.count(len(lam))} {what} from {law_words(p)}; on average {words.number(float(lam.mean()))}."
    why = (
        "How often λ, the share of the anchor that stays in the mixed picture, fell where.",
        "With λ near 1 hardly anything is mixed in; near ½ the picture is half the partner's, and the pair is hardest.",
        rf"\bar\lambda={words.number(float(lam.mean()), 3)}",
    )
    show("law", "How much of the anchor stays?", sentence, histogram(edges, counts), why=why)


def which_margin(d: Drawn, p: DMM, margin: float) -> None:
    """The margin of each step, checked against its rule."""
    low, high, mean = min(d.low), max(d.high), float(np.mean(d.margin))
    verdict = as_asked(d, p.rule, margin)
    sentence = f"Between {words.number(low)} and {words.number(high)}, on average {words.number(mean)}; "
    sentence += f"m is {words.number(margin)}." + (f" {verdict.sentence}" if verdict.state == "bad" else "")
    why = (
        "The lead that the mixed pairs of each step were asked for, under the line of the full margin m.",
        "It is read from the plan that the step used, not worked out from the rule, so a margin that decays or drifts "
        f"would show here. {verdict.sentence}",
        rf"\mu={asked_tex(p.rule)},\quad m={words.number(margin)}",
    )
    chart = (
        decaying(d, margin) if p.rule == "released_decay" else applied(_thinned(d.steps), _thinned(d.margin), margin)
    )
    show("margin", "Which margin was applied?", sentence, chart, why=why, verdict=verdict)


def decaying(d: Drawn, margin: float) -> Chart:
    """A margin that keeps all lambdas so far, on the axis of the lens."""

    def first(below: float) -> int | None:
        return next((step for step, m in zip(d.steps, d.margin, strict=True) if m < below), None)

    zero = next((step for step, m in zip(d.steps, d.margin, strict=True) if m == 0), None)
    chart = course(
        d.margin, full=margin, epoch=d.steps[-1] + 1, below=first(LEVEL), level=LEVEL, zero=zero,
        x_title="step", calls=d.steps,
    )  # fmt: skip
    return changed(chart, height=SMALL_HEIGHT)


def how_fast(recipe: Recipe, p: DMM, step: int | None) -> None:
    """The weight of the mixed loss over the recipe's time, with the last step of its run if there is one."""
    try:
        items = len(data_of(recipe).split.train)
    except Refusal:
        items = recipe.method.batch
    each = METHODS.of(recipe.method).call().steps(items, recipe.method) if p.unit == "epoch" else 1
    last = max(1, recipe.steps // each)
    clock = sorted({round(t) for t in np.linspace(0, last, 121)})

    def weight(t: int) -> float:
        return mixed_weight(p, Step(t, t))

    now = None if step is None else step // each
    full = bisect_left(range(last + 1), p.scale / 2, key=weight)
    half = f"It has half its full weight from {p.unit} {full} on" if full <= last else "It stays below half its weight"
    sentence = f"{half}; at the end, {p.unit} {last}, the mixed loss weighs {words.number(weight(last))}."
    if now is not None and now < last:
        sentence += f" Now, at {p.unit} {now}: {words.number(weight(now))}."
    why = (
        "How much the mixed loss weighs beside the clean one, from the first to the last step of this recipe.",
        "It comes in slowly, since mixed pairs say little while the clean ones are still unsorted.",
        {
            "ratio": rf"w_t=\frac{{t}}{{t+{words.tick(p.half)}}}",
            "linear": rf"w_t=\min(t/{words.tick(p.half)},\,1)",
            "cosine": rf"w_t=\tfrac12\big(1-\cos(\pi\min(t/{words.tick(p.half)},\,1))\big)",
            "constant": r"w_t=1",
            "zero": r"w_t=0",
        }[p.weight]
        + ("" if p.scale == 1 else rf"\cdot{words.tick(p.scale)}"),
    )
    chart = ramp(clock, [weight(t) for t in clock], x_title=p.unit, at=now)
    show("ramp", "How fast does the mixed loss come in?", sentence, chart, why=why)


def present() -> tuple[DMM, float]:
    """The DMM that the lower part is about, and its margin m: the recipe's, or the defaults with the scene's margin."""
    mixing = view().mixing
    p = mixing if isinstance(mixing, DMM) else DMM(margin=view().scene.margin)
    return p, getattr(view().loss, "margin", 0.0) if p.margin is None else p.margin


def use_dmm() -> None:
    """Put DMM into the recipe of Play, with the scene's margin and rule."""
    now = view().scene
    link = {"mixing.kind": "dmm", "mixing.margin": str(now.margin), "mixing.rule": now.rule}
    replace(read(link, view())[0])


def recipe_knobs(trained: bool) -> None:
    """What of the recipe's mixing can be changed here, and what to do next."""
    mixing = isinstance(view().mixing, DMM)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if mixing:
            knob("mixing.law", names=LAWS)
            knob("mixing.rule", names=ASKED)
        if not trained:
            label = "Train it on Play" if mixing else "Use DMM on Play"
            if st.button(label, icon=":material/play_arrow:", key="use_dmm", on_click=None if mixing else use_dmm):
                st.switch_page("../pages/play.py")


def live(run: RunFolder | None, before: Status | None) -> None:
    """Where the numbers come from, and the three charts of them."""
    p, margin = present()
    recipe = view().recipe()
    if run is not None and before is not None:
        status = run.status()
        if status.state != before.state:
            st.rerun()
        transport.status_line(recipe, run, status)
        st.markdown(f":small[Read from the plans of your run, step by step, up to step {words.count(status.step)}.]")
        found = recorded(run.metrics())
    else:
        whose = (
            "your recipe"
            if isinstance(recipe.mixing, DMM)
            else f"DMM as in the paper, with m = {words.number(margin)},"
        )
        st.markdown(
            f":small[Not trained yet: these are the plans that {whose} would draw first, with seed {recipe.seed}.]"
        )
        found = planned(recipe, p, margin)
    one, two, three = st.columns(3, gap="large")
    with one:
        how_much_stays(found, p)
    with two:
        which_margin(found, p, margin)
    with three:
        how_fast(recipe, p, None if run is None else found.steps[-1])
