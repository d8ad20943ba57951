"""The gradient lab: why pairs that lie apart fall silent, and what mixing with a dynamic margin does about it."""

import numpy as np
import streamlit as st
import torch

from core.diagnostics import verdicts
from core.diagnostics.gap_forms import clean_active, thresholds
from core.diagnostics.mixed_gaps import Activity
from dashboard import words
from dashboard.charts.chart import Chart
from dashboard.charts.gaps import Counter, Dots, Edge, closed_form, counters, gaps
from dashboard.charts.gradient import strength
from dashboard.charts.grid import Cells, grid
from dashboard.controls import knob
from dashboard.gap_view import DOTS, GAP, MANY, closed, hardness, moment, setting, still
from dashboard.gradient_view import brief
from dashboard.link import view
from dashboard.margin_view import ASKED, asked_tex
from dashboard.panel import show
from dashboard.view import Lab

BINS, EASY = 40, 0.2
# What the counters count in each family: over all negatives, of the partners' names, and in a sentence.
SOFT = ("all names, mean 1 − p", "partner’s name, p", "of the probability each")
UNITS = {
    "hinge": ("all negatives pushed", "partner’s name pushed", "of them still asked for"),
    "logistic": ("all negatives, mean strength", "partner’s name, strength", "of full strength each"),
    "softmax": SOFT,
    "angular": SOFT,
}
FRONT = ("family", "closeness", "lam", "margin", "temperature", "rule")
MORE = ("partner", "each", "n", "dim", "spread", "renormalise", "target")
NAMES = {
    "rule": ASKED,
    "each": {"batch": "batch", "pair": "two", "sample": "one"},
    "renormalise": {"unit": "length 1", "none": "no", "geodesic": "arc"},
    "target": {"hard": "pushed", "mask_partner": "left out"},
}


def more_knobs() -> None:
    """The settings that are seldom moved."""
    for name in MORE:
        knob(f"lab.{name}", names=NAMES.get(name))
    knob("seed")


def _map(found: Activity, partner: np.ndarray | None, alt: str) -> Chart:
    weight = found.weight.numpy()
    n = len(weight)
    theirs = np.zeros_like(weight, dtype=bool)
    if partner is not None:
        theirs[np.arange(n), partner] = partner != np.arange(n)
    shown = weight / max(float(weight.max()), 1e-12) if float(weight.max()) < 1 and weight.any() else weight
    pulled = np.diag((weight.sum(0) + weight.sum(1) > 0).astype(float))
    cells = [
        Cells.of("negatives", shown, ~theirs),
        Cells.of("mixed", shown, theirs),
        Cells.of("positives", pulled, np.eye(n, dtype=bool)),
    ]
    return grid(cells, n, n, row_title="picture", column_title="name", alt=alt)


def clean_map(x: Lab, seed: int) -> None:
    """Which negatives the clean loss pushes."""
    found = still(setting(x), seed).clean
    silent, n = round(found.silent * x.n), x.n
    if x.family == "hinge":
        expected = clean_active(x.closeness, x.dim, x.margin) if x.spread == 0 else None
        sentence = f"{words.negatives('Pushed', 'bar')}: **{_share(found.share)}** of the negatives"
        sentence += f" (theory: {_share(expected)}); " if expected is not None else "; "
        sentence += "everyone is silent." if silent == n else f"{silent} of {n} pictures get no gradient at all."
    elif x.by_terms:
        sentence = (
            f"{words.negatives('Negatives', 'bar')} are pushed with **{_share(found.share)}** of full strength on "
            "average: a logistic loss fades slowly, and pushes easy ones too."
        )
    else:
        sentence = (
            f"{words.negatives('All names', 'bar')} together hold **{_share(found.share)}** of the probability: that "
            "is how far each picture still learns."
        )
    why = (
        "Rows are pictures, columns names. Orange is pushed away, a blue diagonal is pulled, empty is left alone.",
        "A hinge pays for a negative only while it lies less than m behind. Random names in d dimensions lie near 0, "
        "so as soon as the pairs are closer than m, the gradient is not small but exactly 0. A softmax never stops, "
        "but fades as fast as an exponential.",
        rf"D_{{ij}}=s_{{ii}}-s_{{ij}}<m={words.number(x.margin)};\quad "
        rf"\Phi\big((m-\rho)\sqrt d\big)={_share(clean_active(x.closeness, x.dim, x.margin))}".replace("%", r"\%"),
    )
    chart = _map(found, None, f"{n} by {n} negatives, clean: {_share(found.share)} pushed, {silent} pictures silent.")
    show("clean", "Clean: who still learns?", sentence, chart, why=why, verdict=verdicts.awake(silent, n))


def mixed_map(x: Lab, seed: int) -> None:
    """Which negatives the mixed loss pushes at the slider's lambda."""
    found = moment(setting(x), x.lam, seed)
    silent, n = round(found.mixed.silent * x.n), x.n
    what = UNITS[x.family][2]
    sentence = (
        f"{words.mixed('The partners’ names')}: **{_share(found.towards)}** {what}; of all "
        f"{words.negatives('negatives', 'bar')} {_share(found.mixed.share)}. "
        + ("Everyone is silent." if silent == n else f"{silent} of {n} pictures get no gradient.")
    )
    at = f"λ = {words.number(x.lam)}" if x.each == "batch" else f"one λ for each {x.each}, one draw"
    why = (
        f"The same pairs, every picture mixed with a partner ({at}). Violet is the partner's name.",
        "The mixed picture contains some of the partner, yet the partner's name still counts as a negative. That one "
        "pair leads by only (2λ − 1)D, so it is asked for more long after all others are done. For third names the "
        "margin λm asks for just what the clean loss does: their lead shrinks by λ too.",
        rf"(2\lambda-1)D<\mu(\lambda)={asked_tex(x.rule)}\quad\lambda={words.number(x.lam)}",
    )
    chart = _map(
        found.mixed, found.partner,
        f"{n} by {n} negatives, mixed: {_share(found.towards)} of the partners' names pushed, {silent} silent.",
    )  # fmt: skip
    show("mixed", "Mixed: who learns again?", sentence, chart, why=why, verdict=verdicts.awake(silent, n))


def how_many(x: Lab, seed: int) -> None:
    """The three counters, clean beside mixed on average over lambda."""
    found = still(setting(x), seed)
    clean_partner = found.clean.towards(torch.arange(x.n - 1, -1, -1))
    every, one, _ = UNITS[x.family]
    rows = [
        Counter(every, found.clean.share, found.mixed.share),
        Counter(one, clean_partner, found.mixed.partner),
        Counter("silent pictures", found.clean.silent, found.mixed.silent),
    ]
    length = float(found.clean.norms.mean())
    sentence = (
        f"**○ clean** → {words.mixed('mixed')}, mean over λ from ½ to 1. Mean gradient of a picture: "
        f"{_tiny(length)} → {_tiny(found.mixed.length)}."
    )
    why = (
        "What share of the negatives is pushed, of the partners' names alone, and of pictures without any gradient.",
        "Averaged over λ the share of all negatives stays small, since only one name in N is the partner's. With one λ "
        "for the whole batch, steps in which all partners are asked alternate with steps in which none is; one λ for "
        "each picture (under More) leaves no step empty.",
        rf"\text{{partner }}{words.number(clean_partner, 4)}\to{words.number(found.mixed.partner, 4)}",
    )
    show("counters", "How many still learn?", sentence, counters(rows), why=why)


def how_far(x: Lab, seed: int) -> None:
    """The gaps of all negatives with the thresholds below which they are pushed."""
    scores = still(setting(x), seed).clean.scores.numpy()
    gap = (np.diagonal(scores)[:, None] - scores)[~np.eye(x.n, dtype=bool)]
    third, partner = thresholds(x.rule, x.lam, x.margin, x.renormalise)
    low, high = np.floor(min(float(gap.min()), 0) * 10) / 10, np.ceil(max(float(gap.max()), x.margin + 0.1) * 10) / 10
    counts, edges = np.histogram(gap, bins=BINS, range=(low, high))
    infinite = r"\infty"
    reach = "any gap" if np.isinf(partner) else f"gaps below {words.number(partner)}"
    sentence = (
        f"{words.negatives('Negatives', 'bar')} lie {words.number(float(gap.mean()))} behind on average; "
        f"{_share(float((gap < x.margin).mean()))} within m. "
    )
    if x.family == "angular":
        sentence += "Here the margin is an angle in radians, so no one gap is the edge."
    else:
        sentence += (
            f"Mixed at λ = {words.number(x.lam)}, {words.mixed('the partner’s name')} is pushed at {reach}: "
            f"{_share(float((gap < partner).mean()))} of these."
        )
    why = (
        "How far every name lies behind the own one, and up to which gap it is still pushed.",
        "The partner's line runs off to the right as λ falls to ½: mixed half and half, no lead is enough. Where the "
        "mixtures go back to length 1, all lines of the mixed loss move in by that length, here for partners at a "
        "right angle. Only a hinge has such edges; for the others the two names are level there.",
        rf"m={words.number(x.margin)},\quad D<\frac{{\mu}}{{2\lambda-1}}\cdot\lVert\tilde z\rVert"
        rf"={infinite if np.isinf(partner) else words.number(partner)}",
    )
    lines = [
        Edge(x.margin, "m: clean", "anchor"),
        Edge(third, "third names, mixed", "negatives", dashed=True),
        Edge(partner, "partner’s name, mixed", "mixed"),
    ]
    chart = gaps(edges, counts, lines[:1] if x.family == "angular" else lines)
    show("gaps", "How far must a name lie behind?", sentence, chart, why=why)


def hard_and_easy(x: Lab, seed: int) -> None:
    """The gradient against the gap, clean and mixed."""
    found = hardness(setting(x), seed)
    clean, mixed = found.clean.numpy(), found.mixed.numpy()
    easy = found.gap.numpy() > EASY
    count = found.count.numpy()[easy]
    before, after = (float((values[easy] * count).sum() / max(count.sum(), 1)) for values in (clean, mixed))
    factor = "from nothing" if before == 0 else f"{words.number(after / before, 1)} times as strong"
    sentence = (
        f"Pairs that lead by more than {words.number(EASY)} have a gradient of **{brief(before)}** clean and "
        f"{words.mixed(brief(after))} mixed: {factor}. The hardest get {words.number(float(mixed[0] / clean[0]))} "
        "times as much."
    )
    why = (
        f"The mean gradient of a picture, times {MANY}, against the lead over its hardest name; {MANY} pairs.",
        "Mixing flattens the curve: easy pairs get more, hard ones a little less, since margin and lead shrink "
        "together. The floor of the clean hinge comes from the other direction: an easy picture is still somebody's "
        "negative.",
        r"N\,\lVert\partial L/\partial z_i\rVert\ \text{against}\ s_{ii}-\max_{j\neq i}s_{ij}",
    )
    show("hardness", "Does an easy pair learn?", sentence, strength(found.gap.numpy(), clean, mixed), why=why)


def partner_curve(x: Lab, seed: int) -> None:
    """The probability that the partner's hinge is paid, against the gap."""
    found = closed(x.margin, x.temperature, x.rule, x.n, seed)
    at = float(min(max(x.closeness, 0), 1))
    here = float(np.interp(at, GAP, found.hinge))
    clean = "still paid" if at < x.margin else "exactly 0"
    sentence = (
        f"At a gap of {words.number(at)} the clean hinge is {clean}; {words.mixed('the partner’s name')} is pushed in "
        f"**{_share(here)}** of all draws of λ. Dots: counted, with two standard errors."
    )
    why = (
        "The chance over λ ~ U(½, 1) that a pair at this gap is still asked, clean and mixed.",
        "The clean hinge drops to 0 at once. The mixed one falls as 1/D and never reaches 0: however far apart two "
        "pairs are, some λ near ½ brings them together. The dots use the registered loss and mixing on orthogonal "
        "pairs, before renormalising.",
        rf"P=\frac{{m}}{{2D-m}}={words.number(here, 3)}\quad(D={words.number(at)})"
        if x.rule == "lam"
        else rf"P={words.number(here, 3)}\quad(D={words.number(at)})",
    )
    dots = Dots(DOTS, [d.hinge for d in found.counted], [d.hinge_error for d in found.counted])
    chart = closed_form(GAP.numpy(), found.hinge_clean, found.hinge, dots, title="share of draws", log=False, at=at)
    show("partner", "How often is a pair still asked?", sentence, chart, why=why)


def softmax_curve(x: Lab, seed: int) -> None:
    """1 - p of a clean and of a mixed softmax, against the gap, in powers of ten."""
    found = closed(x.margin, x.temperature, x.rule, x.n, seed)
    at = float(min(max(x.closeness, 0), 1))
    clean, here = (float(np.interp(at, GAP, values)) for values in (found.softmax_clean, found.softmax))
    sentence = (
        f"At a gap of {words.number(at)} a clean softmax over {x.n} names has {_tiny(clean)} left to learn, "
        f"{words.mixed('a mixed one')} **{_tiny(here)}**: {words.number(here / clean, 0)} times as much."
    )
    why = (
        "How much of the probability is not yet on the own name, 1 − p: that is the length of the softmax's gradient.",
        "The clean one falls like exp(−D/τ), a straight line here; the mixed one, own name against the partner's with "
        "the margin μ on the own one and averaged over λ, falls as 1/D. Computed by softplus alone, so that nothing "
        "overflows.",
        rf"\frac{{2\tau}}{{2D-m}}\Big(\zeta\big(\tfrac m{{2\tau}}\big)-\zeta\big(\tfrac{{m-D}}\tau\big)\Big)"
        rf"={_tex(here)},\quad\frac S{{1+S}}={_tex(clean)},\ S=(N-1)e^{{-D/\tau}}"
        if x.rule == "lam"
        else rf"E[1-p]={_tex(here)},\quad\frac S{{1+S}}={_tex(clean)},\ S=(N-1)e^{{-D/\tau}}",
    )
    dots = Dots(DOTS, [d.softmax for d in found.counted], [d.softmax_error for d in found.counted])
    chart = closed_form(GAP.numpy(), found.softmax_clean, found.softmax, dots, title="mean 1 - p", log=True, at=at)
    show("softmax", "How fast does a softmax fade?", sentence, chart, why=why)


def _share(value: float) -> str:
    """A share in per cent, with two digits where it is below 10%."""
    return words.share(value) if value >= 0.0995 or value == 0 else f"{words.tick(float(f'{100 * value:.2g}'))}%"


def _tiny(value: float) -> str:
    """Two significant digits, whatever the size."""
    return (
        "0"
        if value == 0
        else words.tick(float(f"{value:.2g}"))
        if value >= 1e-4
        else f"{value:.1e}".replace("e-0", "e−")
    )


def _tex(value: float) -> str:
    power = f"{value:.1e}".split("e")
    return words.number(value, 3) if value >= 1e-2 else rf"{power[0]}\cdot10^{{{int(power[1])}}}"


def laboratory() -> None:
    """Pairs of any gap, clean and mixed."""
    with st.container(horizontal=True, gap="small"):
        for name in FRONT:
            knob(f"lab.{name}", names=NAMES.get(name))
    now, seed = view().lab, view().seed
    for row in (
        (clean_map, mixed_map, how_many),
        (how_far, hard_and_easy),
        (partner_curve, softmax_curve),
    ):
        for column, panel in zip(st.columns(len(row), gap="large"), row, strict=True):
            with column:
                panel(now, seed)
