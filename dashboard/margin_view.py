"""The panels of Margins: the scene with its mixed picture, the leads, and what was really drawn."""

import gzip
import json
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from core.diagnostics import verdicts
from core.diagnostics.scene import (
    Drawn,
    Stand,
    as_asked,
    draw_plans,
    leads,
    mixtures,
    pull_region,
    pulled_share,
    recorded,
    stand,
)
from core.environment import ROOT
from core.methods.registry import METHODS
from core.mixing.dmm import DMM, MarginRule, mixed_weight
from core.mixing.registry import Step
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.folder import RunFolder
from dashboard import words
from dashboard.charts.leads import Bullet, applied, bullets, histogram, lead_over_lambda, ramp
from dashboard.charts.margins import Spot, Zone, scene
from dashboard.lab import data_of, find
from dashboard.panel import show
from dashboard.thumbnails import EMOJI, emoji_urls, urls
from dashboard.view import Scene

ANCHOR, PARTNER = "turtle", "strawberry"
PERCENT, DRAWN, BARS, DOTS = 100, 240, 10, 240
ASKED: dict[MarginRule, str] = {
    "lam": "λm",
    "constant": "m",
    "one_minus_lam": "(1−λ)m",
    "two_lam_minus_one": "(2λ−1)m",
    "zero": "0",
}
LAWS = {"uniform": "even", "beta": "Beta", "fixed": "fixed"}


@lru_cache(maxsize=1)
def _rows() -> list[int]:
    with gzip.open(ROOT / "assets" / "data" / "emoji_text.json.gz", "rt", encoding="utf-8") as file:
        names = [each["en"] for each in json.load(file)]
    return [names.index(ANCHOR), names.index(PARTNER)]


def blends() -> np.ndarray:
    """(101, 32, 32, 4) uint8: both pictures mixed as inputs are, at every per cent of lambda.

    The colours are mixed in proportion to how opaque they are, which on white is the very picture that an encoder sees.
    """
    with np.load(EMOJI, allow_pickle=False) as arrays:
        two = torch.from_numpy(arrays["noto"][_rows()]).double() / 255
    opaque = torch.cat([two[..., :3] * two[..., 3:], two[..., 3:]], dim=-1)
    mixed = mixtures(opaque, torch.linspace(0, 1, PERCENT + 1, dtype=torch.float64), "input")
    colours = mixed[..., :3] / mixed[..., 3:].clamp(min=1e-9)
    return torch.cat([colours, mixed[..., 3:]], dim=-1).mul(255).round().clamp(0, 255).byte().numpy()


def pictures(lam: float) -> tuple[str, str, str]:
    """Addresses of the anchor, its partner and their mixture."""
    anchor, partner = emoji_urls(_rows())
    return anchor, partner, urls(f"{ANCHOR}_{PARTNER}", [round(PERCENT * lam)], blends)[0]


@st.cache_resource(max_entries=200, show_spinner=False)
def standing(s: Scene) -> Stand:
    """The scene that the knobs describe."""
    return stand(s.situation, s.lam, s.margin, s.rule)


def who_pulls(s: Scene) -> None:
    """The scene on the circle."""
    now = standing(s)
    anchor, partner, blend = pictures(s.lam)
    if now.mixed.paid > 0:
        sentence = (
            f"{words.mixed('The mixed picture x̃')} has {words.negatives('the partner’s name', 'dot')} inside its "
            f"margin: that is pushed away, and {words.positives('the own name', 'bar')} is pulled to x̃."
        )
    else:
        sentence = f"{words.mixed('The mixed picture x̃')} leads by enough: nobody is pulled and nobody is pushed."
    sentence += " The clean pair asks too." if now.clean.paid > 0 else " The clean pair has fallen silent."
    why = (
        "Names in the violet band are too close to the mixed picture, names in the grey one too close to the anchor.",
        "Each arrow is the step that the ranking loss of this one mixed pair makes each point take along the circle, "
        "by automatic differentiation through the mixing; the longer, the stronger the gradient. Where the partner "
        "moves towards x̃ it leaves its own name behind: that is the *little far* of the paper's abstract.",
        rf"[\,{words.number(now.mixed.asked)}+s(\tilde x,y')-s(\tilde x,y)\,]_+={words.number(now.mixed.paid)}",
    )
    at = now.angles
    chart = scene(
        anchor=Spot(at["anchor"], "anchor", anchor),
        partner=Spot(at["partner"], "partner", partner),
        mixed=Spot(at["mixed"], "mixed", blend),
        own=Spot(at["own"], f"“{ANCHOR}”"),
        other=Spot(at["other"], f"“{PARTNER}”"),
        asked_mixed=Zone(at["mixed"], now.mixed.near),
        asked_clean=Zone(at["anchor"], now.clean.near),
        moves=now.turns,  # ty: ignore[invalid-argument-type]
    )
    verdict = verdicts.dead_margin((), 0, float(now.mixed.paid > 0), now.mixed.asked)
    show("scene", "Who pulls whom?", sentence, chart, why=why, verdict=verdict)


def large_enough(s: Scene) -> None:
    """Lead beside the margin asked, for the clean and for the mixed pair."""
    now = standing(s)
    sentence = (
        f"The clean pair leads by {words.number(now.clean.lead)} and must by {words.number(now.clean.asked)}. "
        f"The {words.mixed('mixed pair')} leads by {words.number(now.mixed.lead)} and must by "
        f"{words.number(now.mixed.asked)} :orange[**┃ asked**]."
    )
    why = (
        "How much more alike a picture is to its own name than to the partner's, beside the lead that is asked.",
        "Mixing makes the lead small, since the picture now belongs to both names; the margin is made small with it. "
        "A pair that leads by more than its margin gets no gradient at all.",
        rf"s(\tilde x,y)-s(\tilde x,y')={words.number(now.mixed.lead)},\quad "
        rf"\mu(\lambda)={words.number(now.mixed.asked)}",
    )
    rows = [
        Bullet("clean pair", now.clean.lead, now.clean.asked),
        Bullet("mixed pair", now.mixed.lead, now.mixed.asked, "mixed"),
    ]
    show("leads", "Is the lead large enough?", sentence, bullets(rows), why=why)


@st.cache_resource(max_entries=200, show_spinner=False)
def _over_lambda(s: Scene, law: DMM) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float] | None, float]:
    low = min(0.5, {"uniform": law.low, "fixed": law.fixed, "beta": 0.5}[law.law])
    lam = torch.linspace(low, 1, 101, dtype=torch.float64)
    lead, asked = leads(s.situation, lam, s.margin, s.rule)
    region = pull_region(s.situation, s.margin, s.rule, low)
    return lam.numpy(), lead.numpy(), asked.numpy(), region, pulled_share(s.situation, s.margin, s.rule, law)


def _law(p: DMM) -> str:
    uniform = f"U({words.tick(p.low)}, {words.tick(p.high)})"
    beta = f"Beta({words.tick(p.concentration)}, {words.tick(p.concentration)}) folded"
    return {"uniform": uniform, "beta": beta, "fixed": f"λ = {words.tick(p.fixed)}"}[p.law]


def which_lambda(s: Scene, law: DMM) -> None:
    """The lead over lambda, with the region of pull and its share of the law."""
    lam, lead, asked, region, share = _over_lambda(s, law)
    if region is None:
        where = "At no λ"
    elif region[0] > lam[0]:
        where = f"Between λ = {words.number(region[0])} and {words.number(region[1])}"
    elif region[1] < 1:
        where = f"Below λ = {words.number(region[1])}"
    else:
        where = "At every λ"
    sentence = f"{where} the partner’s name is pushed (shaded): in {words.share(share)} of draws from {_law(law)}."
    why = (
        "Where the lead of the mixed pair lies below the lead asked, there is a pull.",
        "Near λ = ½ the mixed picture is as much the partner's as its own, and no pair can lead by enough there. So a "
        "share of the steps always pulls, however well the clean pairs are sorted. The share is counted over 65,536 "
        "draws from the law.",
        rf"s(\tilde x_\lambda,y)-s(\tilde x_\lambda,y')<\mu(\lambda)\quad\text{{in {words.number(100 * share, 1)}\%}}",
    )
    verdict = verdicts.Verdict(f"{words.share(share)} of draws", "info", sentence)
    chart = lead_over_lambda(lam, lead, asked, s.lam)
    show("lambda", "For which λ is there a pull?", sentence, chart, why=why, verdict=verdict)


def own_run(recipe: Recipe) -> RunFolder | None:
    """The run of a recipe with mixed pairs, if there is one."""
    try:
        run = find(recipe)
    except Refusal:
        return None
    return run if run.path.exists() and any("margin" in row for row in run.metrics()) else None


def drawn(recipe: Recipe, p: DMM, margin: float, run: RunFolder | None) -> Drawn:
    """What a run recorded, or the plans that the trainer of this recipe would draw first."""
    if run is not None:
        return recorded(run.metrics())
    return draw_plans(p, recipe.method.batch, min(recipe.steps, DRAWN), recipe.seed, margin)


def _thinned(values: Sequence[float], count: int = DOTS) -> list[float]:
    return list(values[:: -(-len(values) // count) or 1])


def how_much_stays(d: Drawn, p: DMM) -> None:
    """The lambdas as they fell."""
    lam = np.array(d.lam)
    counts, edges = np.histogram(lam, bins=BARS, range=(min(0.5, float(lam.min())), 1))
    what = "batches, each with its mean λ" if p.per_sample else "draws"
    sentence = f"{words.count(len(lam))} {what} from {_law(p)}; on average {words.number(float(lam.mean()))}."
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
        rf"\mu={ASKED[p.rule].replace('λ', r'\lambda ').replace('−', '-')},\quad m={words.number(margin)}",
    )
    steps, margins = _thinned(d.steps), _thinned(d.margin)
    show("margin", "Which margin was applied?", sentence, applied(steps, margins, margin), why=why, verdict=verdict)


def how_fast(recipe: Recipe, p: DMM, step: int) -> None:
    """The weight of the mixed loss over the recipe's time, with the last step that was drawn."""
    try:
        items = len(data_of(recipe).split.train)
    except Refusal:
        items = recipe.method.batch
    each = METHODS.of(recipe.method).call().steps(items, recipe.method) if p.unit == "epoch" else 1
    last = max(1, recipe.steps // each)
    clock = sorted({round(t) for t in np.linspace(0, last, 121)})
    weight = [mixed_weight(p, Step(t, t)) for t in clock]
    now = step // each
    sentence = f"The mixed loss counts {words.number(mixed_weight(p, Step(now, now)))} times at {p.unit} {now}"
    sentence += f", {words.number(weight[-1])} times at the end, {p.unit} {last}."
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
    chart = ramp(clock, weight, x_title=p.unit, at=float(now))
    show("ramp", "How fast does the mixed loss come in?", sentence, chart, why=why)
