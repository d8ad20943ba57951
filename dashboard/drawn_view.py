"""The lower panels of Margins: the lambda, the margin and the weight that a run really drew, or would draw."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from core.diagnostics.scene import Drawn, as_asked, draw_plans
from core.methods.registry import METHODS
from core.mixing.dmm import DMM, mixed_weight
from core.mixing.registry import Step
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.folder import RunFolder
from dashboard import words
from dashboard.charts.leads import applied, histogram, ramp
from dashboard.lab import data_of, find
from dashboard.margin_view import ASKED, law_words
from dashboard.panel import show

DRAWN, BARS, DOTS = 240, 10, 240


def own_run(recipe: Recipe) -> RunFolder | None:
    """The run of a recipe that mixes, if it has begun."""
    try:
        run = find(recipe)
    except Refusal:
        return None
    return run if recipe.mixing.kind != "none" and run.metrics() else None


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
    asked = ASKED[p.rule].replace("λ", r"\lambda ").replace("−", "-")
    why = (
        "The lead that the mixed pairs of each step were asked for, under the line of the full margin m.",
        "It is read from the plan that the step used, not worked out from the rule, so a margin that decays or drifts "
        f"would show here. {verdict.sentence}",
        rf"\mu={asked},\quad m={words.number(margin)}",
    )
    steps, margins = _thinned(d.steps), _thinned(d.margin)
    show("margin", "Which margin was applied?", sentence, applied(steps, margins, margin), why=why, verdict=verdict)


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
            "constant": r"w_t=1",
        }[p.weight]
        + ("" if p.scale == 1 else rf"\cdot{words.tick(p.scale)}"),
    )
    chart = ramp(clock, [weight(t) for t in clock], x_title=p.unit, at=now)
    show("ramp", "How fast does the mixed loss come in?", sentence, chart, why=why)
