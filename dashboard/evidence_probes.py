"""Two probes on built-in digits: calibrated class Gaussians (RCal), and marks that poison a class (BLTO)."""

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.experiments.calibration import WAYS
from core.experiments.intervals import Difference, paired, spread
from core.losses.registry import LOSSES
from dashboard.charts.beside import SYMBOLS, beside
from dashboard.evidence import STATES, Chip, Results, shipped_file
from dashboard.link import view
from dashboard.panel import show
from dashboard.words import number, share, signed

SAID_WAYS = {"raw": "as labelled", "lof": "without outliers", "tail": "and borrowing"}
MARKS = {"optimised": "learned", "fixed": "random"}
COMMANDS = {"calibration": "python -m core calibration --out FILE", "poisoning": "python -m core poisoning --out FILE"}
CALIBRATION_WHY = (
    "Distance from the estimated mean of each class to the mean of all its true items, PCA to 24 dimensions.",
    "Ten digits with 110 to 5 items, classes in a drawn order; a label becomes class j with a probability in "
    "proportion to j's size, so large classes spill into small ones. Outliers are items with a local outlier factor "
    "above 1.2 among 20 neighbours; where a class has no more than these, all are neighbours and hardly anyone stands "
    "out. Small classes then move by γ = 0.3 towards their three nearest large ones. These constants are this probe's: "
    "the paper's were not at hand. The linear head trains on the labelled items and on what is drawn from the "
    "Gaussians until classes are alike in size; labelled alone it has no draws. Bars are 95% intervals over the seeds.",
    r"\mu'_k=(1-\gamma)\hat\mu_k+\gamma\sum_j\omega_j\hat\mu_j,\quad\omega_j\propto n_j/\|\hat\mu_j-\hat\mu_k\|",
)
POISONING_WHY = (
    "Share of marked test items of other classes that a linear classifier takes for the target class.",
    "A mark changes each pixel by at most 0.35 of 1. It is learned on a surrogate, an InfoNCE network, to draw any "
    "item to the target class, and lies on 5% of the training items, all of that class. The hollow dot is the "
    "control: a victim trained on clean data that meets the same mark in the test alone. What lies between the dots "
    "is what poisoning adds; the rest is a mark that fools any network of this kind. All losses meet the same marks. "
    "Bars are 95% intervals over the seeds, cut at what is possible.",
    r"\max_{\|\delta\|_\infty\le\varepsilon}\;\mathbb E\cos\big(f_\theta(t_1(x+\delta)),f_\theta(t_2(x_r))\big)",
)


def results_of(probe: str) -> Results:
    """The numbers of a probe that come along; empty where there are none."""
    try:
        return json.loads(shipped_file(probe, "digits").read_text(encoding="utf-8"))
    except OSError:
        return {}


def calibration() -> None:
    """Do cleaning and borrowing bring the class means nearer to the truth?"""
    results = results_of("calibration")
    if not results:
        missing("calibration")
        return
    seeds = results["noises"][view().evidence.noise]
    names = [f"{size} items" for size in seeds[0]["sizes"]]
    ways = {
        way: [spread(each) for each in zip(*(seed["distance"][way] for seed in seeds), strict=True)] for way in WAYS
    }
    chart = beside(names, {SAID_WAYS[way]: rows for way, rows in ways.items()}, x_title="distance", digits=2)
    found = paired(errors(seeds, "lof"), errors(seeds, "raw"), lower_is_better=True)
    show(
        "calibration", "Does cleaning find the class means?", calibration_sentence(seeds, found), chart,
        why=CALIBRATION_WHY, verdict=Chip("no verdict" if found.word == "unknown" else found.word, STATES[found.word]),
    )  # fmt: skip
    made_by(results)


def errors(seeds: Sequence[Mapping[str, Any]], way: str) -> list[float]:
    """The mean distance over the classes, seed by seed."""
    return [statistics.fmean(seed["distance"][way]) for seed in seeds]


def calibration_sentence(seeds: Sequence[Mapping[str, Any]], found: Difference) -> str:
    """How far off the means are on average, how sure the gain is, and what a linear head makes of it."""
    off = {way: statistics.fmean(errors(seeds, way)) for way in WAYS}
    right = {way: statistics.fmean(seed["accuracy"][way] for seed in seeds) for way in WAYS}
    said = ", ".join(f"{mark} {SAID_WAYS[way]} {number(off[way])}" for mark, way in zip(SYMBOLS, WAYS, strict=True))
    head = ", ".join(share(right[way]) for way in WAYS)
    same = untouched(seeds)
    small = f" In classes of {max(same)} items or fewer nobody is left out." if same else ""
    return (
        f"Mean distance from the truth: {said}; leaving outliers out changes it by {signed(found.mean)}, 95% interval "
        f"{signed(found.low)} to {signed(found.high)}.{small} A linear head reaches {head}."
    )


def untouched(seeds: Sequence[Mapping[str, Any]]) -> list[int]:
    """Sizes, from the smallest up, of the classes whose means are the same without outliers, in every seed."""
    sizes = []
    for place, size in sorted(enumerate(seeds[0]["sizes"]), key=lambda each: each[1]):
        if any(seed["distance"]["raw"][place] != seed["distance"]["lof"][place] for seed in seeds):
            break
        sizes.append(size)
    return sizes


def poisoning() -> None:
    """How much does poisoning add to what a mark does anyway, loss by loss?"""
    results = results_of("poisoning")
    if not results:
        missing("poisoning")
        return
    rows = [(each, mark) for each in results["losses"] for mark in MARKS]
    names = [f"{title(each)} · {MARKS[mark]}" for each, mark in rows]

    def chart(measure: str, factor: float, x_title: str) -> Any:
        ways = {
            way: [within(measure, factor, [seed[f"{way}_{mark}"] for seed in each["seeds"]]) for each, mark in rows]
            for way in ("clean", "poisoned")
        }
        return beside(names, {f"{way} victim": found for way, found in ways.items()}, x_title=x_title)

    show(
        "poisoning",
        "How much does poisoning add?",
        poisoning_sentence(results),
        chart("success", 100, "taken for the target, %"),
        why=POISONING_WHY,
    )
    one, other = st.columns(2)
    accuracy = [seed[victim]["accuracy"] for each in results["losses"] for seed in each["seeds"] for victim in seed]
    with one:
        show(
            "poisoned_accuracy", "Does the poison show in accuracy?",
            f"On clean items every victim is right in {share(min(accuracy))} to {share(max(accuracy))}.",
            chart("accuracy", 100, "accuracy on clean items, %"),
            why=("Accuracy of the linear classifier on unmarked test items.", POISONING_WHY[1], ""),
        )  # fmt: skip
    near = {way: statistics.fmean(
        seed[f"{way}_optimised"]["cosine"] for each in results["losses"] for seed in each["seeds"]
    ) for way in ("clean", "poisoned")}  # fmt: skip
    with other:
        show(
            "poisoned_cosine", "Where do marked items land?",
            f"The learned mark lays items at a cosine of {number(near['poisoned'])} to the target's centre in poisoned "
            f"victims, {number(near['clean'])} in clean ones.",
            chart("cosine", 1, "cosine to the target's centre"),
            why=("Mean cosine of marked items of other classes to the target class's centre.", POISONING_WHY[1], ""),
        )  # fmt: skip
    made_by(results)


def within(measure: str, factor: float, seeds: Sequence[Mapping[str, float]]) -> tuple[float, float, float]:
    """Mean and 95% interval of a measure over the seeds, cut at the ends of what it can be, times a factor."""
    least = -1.0 if measure == "cosine" else 0.0
    mean, low, high = spread([seed[measure] for seed in seeds])
    return factor * mean, factor * max(low, least), factor * min(high, 1.0)


def title(row: Mapping[str, Any]) -> str:
    """Name of a row's loss, without what its title adds in brackets."""
    return LOSSES[row["loss"]["kind"]].title.partition(" (")[0]


def added(row: Mapping[str, Any], mark: str = "optimised") -> Difference:
    """By how much poisoning raises the success of a mark, seed by seed, above that on the clean victim."""
    ours, theirs = ([seed[f"{way}_{mark}"]["success"] for seed in row["seeds"]] for way in ("poisoned", "clean"))
    return paired(ours, theirs, lower_is_better=True)


def poisoning_sentence(results: Results) -> str:
    """By how many points poisoning raises the success of the learned mark, for each loss."""
    each = []
    for row in results["losses"]:
        found = added(row)
        mean, low, high = (signed(100 * value, 0) for value in (found.mean, found.low, found.high))
        each.append(f"{title(row)} {mean} ({low} to {high})")
    clean = statistics.fmean(seed["clean_optimised"]["success"] for row in results["losses"] for seed in row["seeds"])
    return (
        f"{SYMBOLS[0]} clean and {SYMBOLS[1]} poisoned victims: the learned mark alone already turns {share(clean)} of "
        f"items in a clean victim; poisoning adds, in points with 95% intervals: {', '.join(each)}."
    )


def missing(probe: str) -> None:
    st.info("Not measured yet.")
    st.code(COMMANDS[probe], language="bash")


def made_by(results: Results) -> None:
    """Where the numbers come from."""
    versions = results["versions"]
    st.caption(
        f"{results['date']}, code {results['code']}, torch {versions['torch']}, Python {versions['python']}; "
        "built-in digits alone."
    )


PROBES = {"calibration": calibration, "poisoning": poisoning}
