"""One modality is gone, and something stands in its place: what each way of filling the gap keeps, and who loses."""

import numpy as np
import streamlit as st

from core.diagnostics.filled import RULES, Filled, Measure, Rule
from dashboard import words
from dashboard.charts.axes import scale
from dashboard.charts.evidence import differences
from dashboard.charts.missing import CURVE_HEIGHT
from dashboard.charts.xy import Curve, extent, lines
from dashboard.controls import knob, option
from dashboard.link import plain, view
from dashboard.missing_view import Parts, Source, parts, refilled
from dashboard.panel import show

IN_WORDS = {
    "zeros": "nothing",
    "mean": "the mean",
    "random": "a random one",
    "neighbour": "the nearest one",
    "linear": "a linear guess",
    "partner": "the other half",
}
MEASURES: dict[Measure, str] = {"accuracy": "5-NN accuracy", "neighbours": "neighbours kept"}
SHOWN = 12
ENDS = np.array([0.0, 1.0])


def curves(found: Filled, measure: Measure, chosen: Rule, rate: float) -> None:
    """What each rule keeps along the share of items that lack the modality."""
    what, chance = MEASURES[measure], found.chance[measure]
    best = max(found.rules, key=lambda rule: found.area(rule, measure))
    whole, empty, most = (found.at(rule, measure, at) for rule, at in (("zeros", 0), ("zeros", rate), (best, rate)))
    filled = "" if best == "zeros" else f", and {words.share(most)} with {IN_WORDS[best]}"
    sentence = (
        f"Side by side, complete items reach {words.share(whole)}. With **{plain(found.gone)}** gone from "
        f"{words.share(rate)} of them, {words.share(empty)} is left if nothing stands in its place{filled}, the best "
        f"of {len(found.rules)} rules by area ({words.number(found.area(best, measure))})."
    )
    sentence += f" Guessing: {words.share(chance)}." if chance is not None else ""
    why = (
        "Every line is one way to fill the gap that the missing modality leaves; the solid one is chosen above.",
        "Items are their modalities side by side, so the cosine of two items is the mean over modalities. An item's "
        "result depends only on whether its modality is there, so the expected curve is straight and its area is the "
        "mean of its ends. Nothing: the place stays empty, which is the rest alone. The mean, a random one and the "
        "nearest one are taken from the training items; a linear guess is a ridge regression fitted to them; the other "
        "half is the item's own embedding in another modality of equal width.",
        r"(1-r)\,\text{complete}+r\,\text{filled}",
    )
    drawn = [
        Curve(
            IN_WORDS[rule],
            100 * ENDS,
            [100 * found.at(rule, measure, end) for end in ENDS],
            dashed=rule != chosen,
            label=IN_WORDS[rule],
        )
        for rule in found.rules
    ]
    low, high = extent(drawn, zero=False)
    chart = lines(
        drawn,
        x_title=f"share of items without {found.gone}, %",
        y_title=f"{what}, %",
        at=100 * rate,
        y=scale(low, high),
        height=CURVE_HEIGHT,
        right=110,
    )
    show("fills", "What could stand in its place?", sentence, chart, why=why)


def damage(found: Filled, of: Parts, rule: Rule) -> None:
    """Which classes lose most when the modality is gone from all of their items."""
    lost = found.damage(rule, "accuracy", of.test_labels)
    names = [of.classes[place] for place in of.test_labels.unique().tolist()]
    order = (-lost.mean).argsort(stable=True).tolist()
    mean, half = 100 * lost.mean.numpy(), 100 * lost.half.numpy()
    worst, least, shown = order[0], order[-1], order[:SHOWN]
    some = f" The {SHOWN} of {len(names)} that lose most are drawn." if len(names) > SHOWN else ""
    sentence = (
        f"With {IN_WORDS[rule]} in the place of **{plain(found.gone)}**, {plain(names[worst])} "
        f"{_change(mean[worst])} points of accuracy and {plain(names[least])} {_change(mean[least])}; "
        f"{int((np.abs(mean) > half).sum())} of {len(names)} classes change by more than their interval.{some}"
    )
    why = (
        "How much accuracy each class loses when the modality is gone from all of its items.",
        "Left of 0 a class is recognised better without it. Bars: 95% interval over the items of the class; hollow "
        "where 0 lies inside.",
        r"\text{acc}_c(\text{complete})-\text{acc}_c(\text{filled})",
    )
    low, high = (mean + sign * half for sign in (-1, 1))
    rows = (values[shown].tolist() for values in (mean, low, high))
    chart = differences([names[k] for k in shown], *rows, x_title="points lost")
    show("damage", "Which classes suffer?", sentence, chart, why=why)


def _change(points: float) -> str:
    return f"{'loses' if points >= 0 else 'gains'} {words.number(abs(points), 0)}"


def fills(source: Source) -> None:
    """The controls and the two charts."""
    of = parts(source)
    names = list(of.test)
    st.markdown("**One modality is gone: what may stand in its place?**")
    with st.container(horizontal=True, gap="small"):
        gone = option("missing.gone", "Gone", names, view().missing.gone or names[-1])
        found = refilled(source, gone)
        knob("missing.fill", names=IN_WORDS, options=[rule for rule in RULES if rule in found.rules])
        knob("missing.rate")
    rule = view().missing.fill if view().missing.fill in found.rules else "zeros"
    if not of.classes:
        curves(found, "neighbours", rule, view().missing.rate)
        return
    left, right = st.columns(2, gap="large")
    with left:
        curves(found, "accuracy", rule, view().missing.rate)
    with right:
        damage(found, of, rule)
