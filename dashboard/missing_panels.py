"""The panels of Missing: every subset, the way down with the drop rate, and from one modality to the other."""

from collections.abc import Sequence

import numpy as np

from core.diagnostics.missing import AtRate, Outcomes
from core.diagnostics.retrieval import summarise
from dashboard import words
from dashboard.charts.missing import drop_curve, subsets
from dashboard.missing_view import RATES, rows_of_subsets
from dashboard.panel import show


def each_subset(found: Outcomes, what: str, measure: str, chance: float, complete: str) -> None:
    """What every subset still reaches; `complete` says what stands for an item of which nothing is missing."""
    common = f", the commonest class {words.share(found.majority)}" if measure == "accuracy" else ""
    present, values = rows_of_subsets(found, measure)
    alone = [index for index, subset in enumerate(present) if len(subset) == 1]
    worst, best = min(alone, key=lambda k: values[k][0]), max(alone, key=lambda k: values[k][0])
    sentence = (
        f"With everything {words.share(values[-1][0])}, with {present[worst][0]} alone "
        f"{words.share(values[worst][0])}; guessing reaches {words.share(chance)}{common}."
    )
    if values[best][0] > values[-1][0]:
        sentence += f" {present[best][0]} alone reaches {words.share(values[best][0])}: averaging costs here."
    why = (
        "Every subset of the modalities, and what is still reached with it on unseen items.",
        "An item's embedding is the mean of the unit embeddings of the modalities that are there, renormalised"
        f"{complete}. Accuracy is the vote of the 5 nearest complete training items; for R@1 the query looks for its "
        "own complete embedding among all test items. Bars: 95% interval over the items.",
        r"z_S=\frac{\sum_{m\in S}z_m}{\lVert\sum_{m\in S}z_m\rVert}",
    )
    matrix = [[name in subset for name in found.names] for subset in present]
    chart = subsets(found.names, matrix, {what: tuple(values.T)}, what=what)
    show("subsets", "What does each part still know?", sentence, chart, why=why)


def along(rates: Sequence[AtRate], what: str, measure: str, chance: float) -> None:
    """What is left along the drop rate."""
    at = [rate.accuracy if measure == "accuracy" else rate.r1 for rate in rates]
    table = np.array([(each.mean, each.low, each.high) for each in at])
    sentence = (
        f"Complete, it is {words.share(table[0][0])}; when each modality is gone half of the time, "
        f"{words.share(table[len(at) // 2][0])}. The last one of an item always stays."
    )
    why = (
        "What is left while each modality of each item is dropped more and more often.",
        "Each modality of each query is dropped independently; an item that would lose all keeps one. Mean of 20 "
        "draws, the band is the 95% interval of that mean. At 0% it is exactly the complete case.",
        r"\Pr(\text{dropped})=r",
    )
    chart = drop_curve(RATES, {what: tuple(table.T)}, chance=chance, what=what)
    show("rates", "How fast does it fall?", sentence, chart, why=why)


def across(found: Outcomes, rates: Sequence[AtRate]) -> None:
    """From one modality to the other, among the items whose own modality is there."""
    ways = {pair: summarise(places) for pair, places in found.across.items()}
    chance = next(iter(ways.values())).chance1
    said = [f"{a} → {b}: {words.share(way.r1)} first, {words.share(way.r10)} in ten" for (a, b), way in ways.items()]
    sentence = f"{'; '.join(said)}. Guessing finds {words.number(100 * chance, 1)}% first."
    why = (
        "How often an item seen in one modality finds itself in the other, while modalities go missing.",
        "Only the items whose searching modality is there count, so the curve stays level where which items are left "
        "does not matter.",
        rf"\text{{chance}}=1/{found.places[0].size}",
    )
    curves = {}
    for a, b in ways:
        table = np.array([(r.across[a, b][0].mean, r.across[a, b][0].low, r.across[a, b][0].high) for r in rates])
        curves[f"{a} → {b}"] = tuple(table.T)
    chart = drop_curve(RATES, curves, chance=chance, what="R@1")
    show("across", "Does one find the other?", sentence, chart, why=why)
