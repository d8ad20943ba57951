"""The tiles of the health card: a number, its yardsticks, a verdict and a sentence each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from core.diagnostics.health import Reading
from dashboard import words
from dashboard.charts.xy import Curve, lines
from dashboard.health import WORST_FIRST, Health, worst
from dashboard.link import plain
from dashboard.panel import panel, show

ROOM = 3


@dataclass(frozen=True)
class Tile:
    """A tile's question, how its numbers are written, and its `?`: what you see, why, the formula."""

    title: str
    write: Callable[[float], str]
    why: tuple[str, str, str]


def _one(value: float) -> str:
    return words.number(value, 1)


TILES: Mapping[str, Tile] = {
    "effective_rank": Tile(
        "Has it collapsed?",
        _one,
        (
            "In how many directions the embeddings really differ.",
            "A network may have 64 outputs and use three of them. The effective rank counts the directions, each by "
            "its share of the variance: 1 is a line, and 0 means that all points are one.",
            r"\exp\Big(-\sum_k p_k\log p_k\Big),\quad p_k=\sigma_k\Big/\sum_l\sigma_l",
        ),
    ),
    "uniformity": Tile(
        "Do the items spread out?",
        words.number,
        (
            "How evenly the items are spread over all directions; lower is more even.",
            "It is an average over all pairs, so one crowded corner lifts it. Random directions are as even as it gets "
            "for many items; at 0 all items are one point.",
            r"\log\,\mathbb{E}_{i\neq j}\,e^{-2\lVert z_i-z_j\rVert^2}",
        ),
    ),
    "alignment": Tile(
        "Do pairs lie together?",
        words.number,
        (
            "How far apart the two halves of a pair are; lower is closer.",
            "Read it beside the distance of strangers: after a collapse both are 0, and nothing was learned.",
            r"\mathbb{E}_i\lVert a_i-b_i\rVert^2",
        ),
    ),
    "modality_gap": Tile(
        "Do the modalities mix?",
        words.number,
        (
            "How far apart the centres of two modalities lie.",
            "Two networks start in two cones, and a loss at a low temperature need not join them: pairs can find each "
            "other across a gap. It matters where a threshold or a mean over modalities is used.",
            r"\lVert\bar a-\bar b\rVert",
        ),
    ),
    "retrieval": Tile(
        "Does each find its partner?",
        words.share,
        (
            "How many items find their own partner before every other item.",
            "Each item searches all items of the other modality by cosine. Where scores tie, the expectation over a "
            "random order counts, so that a collapsed network lands on chance.",
            r"\text{R@1}",
        ),
    ),
    "knn": Tile(
        "Do neighbours agree?",
        words.share,
        (
            "How often the five nearest training items name the right class.",
            "It asks nothing of the embedding but that like lies near like. No training of a classifier is involved.",
            r"\text{5-NN by cosine}",
        ),
    ),
    "linear_probe": Tile(
        "Can a cut tell classes?",
        words.share,
        (
            "How well a linear classifier reads the classes off the embeddings.",
            "Logistic regression on the training items, asked about items that it never saw. Compare with the "
            "untrained network: random features are often better than one thinks.",
            r"\arg\max_c\, w_c^\top z",
        ),
    ),
    "separation": Tile(
        "Are classes clouds apart?",
        words.number,
        (
            "How much nearer an item is to its own class than to the nearest other one.",
            "The mean silhouette, by cosine: 1 is tight classes far apart, 0 is classes that touch. Chance is the same "
            "items with their labels shuffled.",
            r"\mathbb{E}_i\,\frac{b_i-a_i}{\max(a_i,b_i)}",
        ),
    ),
    "weakest_classes": Tile(
        "Which classes are lost?",
        words.share,
        (
            "The classes whose test items the five nearest training items name rightly least often.",
            "A high accuracy can hide a class that is never found. A class of few items is said to be too small to "
            "judge.",
            r"\text{recall}_c",
        ),
    ),
    "hubness": Tile(
        "Are there hubs?",
        words.number,
        (
            "How unevenly it is shared out who is among the ten nearest of others.",
            "In many dimensions a few items can become everybody's neighbour and others nobody's, which spoils search. "
            "It is the skewness of the counts: near 0 all are alike, and random directions show what the dimensions "
            "alone do.",
            r"\mathbb{E}(N_{10}-10)^3\big/\sigma^3",
        ),
    ),
    "anisotropy": Tile(
        "Do all point one way?",
        words.number,
        (
            "The mean cosine of two different items: 0 all round, 1 one direction.",
            "In a narrow cone even strangers look alike, and a threshold on the cosine means little. The IsoScore asks "
            "beside it how evenly the differences fill the dimensions.",
            r"\mathbb{E}_{i\neq j}\, z_i^\top z_j",
        ),
    ),
    "twins": Tile(
        "Are items there twice?",
        words.share,
        (
            "How many rows have another row in all but the same place.",
            "The same item twice, or two that the network cannot tell apart. In two dimensions it happens by chance.",
            r"\max_{j\neq i} z_i^\top z_j\ge 0.999",
        ),
    ),
    "twins_across": Tile(
        "Does the test leak?",
        words.share,
        (
            "How many test items have a training item in all but the same place.",
            "Numbers on items that were trained on are too good. Where a class has become one point, its test "
            "items lie on it too: look at them before you blame the split.",
            r"\max_{j\in\text{train}} z_i^\top z_j\ge 0.999",
        ),
    ),
}


def tile(key: str, health: Health) -> None:
    """The tile of one diagnostic, the worst readings first."""
    form, readings = TILES[key], health.readings[key]
    ordered = sorted(readings, key=lambda each: WORST_FIRST.index(each.verdict.state))
    before = {each.of: each for each in health.before.get(key, ())}
    columns = {
        "of": [each.of for each in readings],
        "value": [each.value for each in readings],
        "chance": [each.chance for each in readings],
        "before training": [before[each.of].value if each.of in before else None for each in readings],
        "verdict": [each.verdict.word for each in readings],
        "sentence": [each.verdict.sentence for each in readings],
    }
    lead = ordered[0]
    of = f"**{plain(lead.of)}**: " if len(readings) > 1 else ""
    verdict = worst([each.verdict for each in readings])
    with panel(key, form.title, of + plain(lead.verdict.sentence), why=form.why, verdict=verdict, columns=columns):
        for row in range(0, min(len(ordered), ROOM), ROOM):
            with st.container(horizontal=True, gap="medium"):
                for each in ordered[row : row + ROOM]:
                    _number(each, form.write, before.get(each.of))
        if len(ordered) > ROOM:
            st.markdown(f":small[The {ROOM} that most need a look; {len(ordered) - ROOM} more behind the ?.]")


def _number(reading: Reading, write: Callable[[float], str], before: Reading | None) -> None:
    """One number with what guessing and the untrained network have."""
    most = f" of {words.count(int(reading.best))}" if reading.best and reading.best > 1 else ""
    with st.container(width="content", gap=None):
        st.metric(plain(reading.of), write(reading.value) + most, width="content")
        past = "" if before is None else f"  \nbefore training {write(before.value)}"
        st.markdown(f":small[chance {write(reading.chance)}{past}]")


def training_tile(health: Health) -> None:
    """How the training went: where the loss headed, whether the margin does anything, and whether it helped."""
    if not health.training:
        return
    why = (
        "Where the loss went in the end, for a loss with a margin whether it still asks for anything, and whether the "
        "network is better than at random weights.",
        "A loss that stays at the level of equal embeddings has collapsed; one that silences every pair has stopped "
        "learning; one that grows without end has diverged. *Untrained*: retrieval and probes are right no more often, "
        "beyond luck, than the same network at random weights, the best of its draws.",
        "",
    )
    sentence = " ".join(verdict.sentence for verdict in health.training)
    columns = {
        "verdict": [verdict.word for verdict in health.training],
        "sentence": [verdict.sentence for verdict in health.training],
    }
    verdict = worst(health.training)
    with panel("training", "Did the training go well?", sentence, why=why, verdict=verdict, columns=columns):
        if len(health.training) > 1:
            st.markdown(":small[" + " · ".join(f"**{each.word}**" for each in health.training) + "]")


def spectrum_panel(health: Health) -> None:
    """The singular values, so that a low rank can be seen as what it is: a cliff or a slope."""
    first, shares = next(iter(health.spectra.items()))
    half = next(k for k in range(1, len(shares) + 1) if sum(shares[:k]) >= 0.5 * sum(shares))
    why = (
        "The directions in order of how much the embeddings differ along them.",
        "A cliff means that the rest of the dimensions is unused. Dashed: random unit vectors, which use all alike.",
        r"\sigma_k\Big/\sum_l\sigma_l",
    )
    curves = [Curve(name, range(1, len(s) + 1), s, label=name) for name, s in health.spectra.items()]
    curves.append(Curve("random", range(1, len(health.random) + 1), health.random, dashed=True, label="random"))
    chart = lines(curves, x_title="direction", y_title="share", right=70)
    sentence = f"In **{first}**, {half} of {len(shares)} directions hold half of all differences. Dashed: random."
    show("spectrum", "Is there a cliff?", sentence, chart, why=why)
