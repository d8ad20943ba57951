"""What is known of DMM: the published numbers, the result files, and the sentences that follow from both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.environment import ROOT
from core.experiments.intervals import spread
from core.home import home
from dashboard.words import number, signed

ASSETS = ROOT / "assets"
SCHEMA_VERSION = 1
ENOUGH = 5
NEGLIGIBLE = 0.001
DROPPED = "dropped."
DMM_KINDS = ("dmm", "improvement")
STATES: Mapping[str, str] = {"better": "ok", "tie": "info", "worse": "bad", "unknown": "watch"}
SAID: Mapping[str, str] = {
    "better": "**better** than the best control",
    "tie": "**a tie** with the best control",
    "worse": "**worse** than the best control",
    "unknown": "no verdict, since a training diverged",
}
Results = Mapping[str, Any]
Row = Mapping[str, Any]
Estimate = tuple[list[float], list[float], list[float]]


@dataclass(frozen=True)
class Chip:
    """A word and its state, for `dashboard.panel`."""

    word: str
    state: str


@cache
def published() -> dict[str, Any]:
    """The authors' own numbers, what could not be found, and where paper and code differ."""
    return json.loads((ASSETS / "evidence.json").read_text(encoding="utf-8"))


def shipped_file(task: str, data: str) -> Path:
    """Where the results that come along lie."""
    return ASSETS / "results" / f"{task}-{data}.json"


def own_folder(task: str, data: str) -> Path:
    """Where the user's own run of an experiment is kept."""
    return home() / "experiments" / f"{task}-{data}"


def results_of(task: str, data: str, source: str) -> Results:
    """The results of an experiment; empty where there are none of this version."""
    file = shipped_file(task, data) if source == "shipped" else own_folder(task, data) / "results.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("schema_version") == SCHEMA_VERSION else {}


def arm_of(results: Results, key: str) -> Row:
    return next(arm for arm in results["arms"] if arm["key"] == key)


def title_of(results: Results, key: str) -> str:
    return arm_of(results, key)["title"]


def challengers(results: Results) -> list[str]:
    """Arms that are held against controls: DMM first, then what improves on it."""
    return [arm["key"] for kind in DMM_KINDS for arm in results["arms"] if arm["kind"] == kind]


def against(results: Results, key: str, *, measure: str = "") -> list[Row]:
    """The differences of an arm in one measure, the primary by default, the best control first."""
    wanted = measure or results["primary"]
    rows = [row for row in results["differences"] if row["arm"] == key and row["measure"] == wanted]
    return sorted(rows, key=lambda row: not row["best"])


def best(results: Results, key: str) -> Row | None:
    """The primary difference of an arm to its best control."""
    return next((row for row in against(results, key) if row["best"]), None)


def measure_title(results: Results, measure: str) -> str:
    """The name of a measure: from the file, else from its key."""
    known = results["titles"].get(measure)
    return known or measure.partition(".")[2].replace("+", " + ").replace("_", " → ")


def points(value: float) -> str:
    """A difference of shares, in points: `"+0.31"`."""
    return signed(100 * value)


def verdict_sentence(results: Results, key: str) -> str:
    """How an arm does against the best control, in one or two plain sentences."""
    row = best(results, key)
    if row is None:
        return f"{title_of(results, key)} has no control in these results; run them with the controls too."
    ours, control = arm_of(results, key), arm_of(results, row["control"])
    if row["mean"] is None:
        return f"{ours['title']} against {control['title']}: {SAID['unknown']}."
    seeds, primary = len(row["per_seed"]), measure_title(results, results["primary"])
    small = ", but by less than a tenth of a point" if row["word"] != "tie" and abs(row["mean"]) < NEGLIGIBLE else ""
    few = "" if seeds >= ENOUGH else " Fewer than five seeds: take it as a sketch."
    return (
        f"{ours['title']} reaches {rate(ours)} in {primary}, its best control, {control['title']}, {rate(control)}. "
        f"Over {seeds} paired seeds the difference is {points(row['mean'])} points, 95% interval "
        f"{points(row['low'])} to {points(row['high'])}: {SAID[row['word']]}{small}.{few}"
    )


def rate(arm: Row) -> str:
    """The mean of an arm's primary measure on the test part, in per cent with one decimal."""
    return "–" if arm["interval"] is None else f"{number(100 * arm['interval']['mean'], 1)}%"


def chip_of(row: Row | None) -> Chip:
    """The verdict on a difference as a chip."""
    word = "unknown" if row is None else row["word"]
    return Chip({"unknown": "no verdict"}.get(word, word), STATES[word])


def along_drops(results: Results, arms: Sequence[str]) -> tuple[list[float], dict[str, Estimate]] | None:
    """Drop rates, and title -> mean, low and high at each of them, over the seeds; None where it was not measured."""
    tests = [arm_of(results, key)["test"] for key in arms]
    if None in tests or not any(name.startswith(DROPPED) for name in tests[0][0]):
        return None
    names = sorted((name for name in tests[0][0] if name.startswith(DROPPED)), key=_per_cent)
    found: dict[str, Estimate] = {}
    for key, test in zip(arms, tests, strict=True):
        each = [spread([seed[name] for seed in test]) for name in names]
        mean, low, high = (list(part) for part in zip(*each, strict=True))
        found[title_of(results, key)] = mean, low, high
    return [_per_cent(name) / 100 for name in names], found


def _per_cent(name: str) -> float:
    return float(name.removeprefix(DROPPED))


def improvements(results: Results) -> list[Row]:
    """The primary difference of each improvement to the arm that it is held against."""
    rows = []
    for arm in results["arms"]:
        if arm["kind"] == "improvement":
            rows += [row for row in against(results, arm["key"]) if row["control"] == arm["against"]]
    return rows


def improvement_sentence(results: Results) -> str:
    """Which improvements are better than what they improve on, and than the best control."""
    rows = improvements(results)
    if not rows:
        return "These results hold no improvement."
    gains = [row["arm"] for row in rows if row["word"] == "better"]
    beyond = [key for key in gains if (row := best(results, key)) and row["word"] == "better"]
    if not gains:
        return f"None of {len(rows)} is better than the arm that it is meant to improve on."
    names = ", ".join(title_of(results, key) for key in gains)
    also = ", ".join(title_of(results, key) for key in beyond) or "none of them"
    return f"Better than what they improve on: {names}. Better than the best control as well: {also}."


def provenance(results: Results) -> str:
    """Where the numbers come from: data, budget, date and versions."""
    asked, sizes, versions = results["asked"], results["sizes"], results["versions"]
    own = ", a budget set for this run and not the task's own" if asked["steps"] else ""
    return (
        f"{asked['seeds']} seeds; every arm tuned {asked['configurations']} configurations on "
        f"{len(results['tuning_seeds'])} other seeds, on validation alone; {results['recipe']['steps']} steps{own}; "
        f"{sizes['train']:,} to train, {sizes['validation']:,} to validate, {sizes['test']:,} to test. "
        f"{results['date']}, code {results['code']}, torch {versions['torch']}, Python {versions['python']}. "
        "The split is one and the same for all seeds, so the intervals speak of training, not of other data."
    )


def on_the_edge(results: Results) -> list[str]:
    """Titles of the arms that preferred the smallest or the largest value they could try: a wider range may help."""
    found = []
    for arm in results["arms"]:
        tried = [float(value) for each in arm["tries"] for value in each["link"].values()]
        chosen = [float(value) for value in arm["chosen"].values()]
        if len(arm["tries"]) > 1 and chosen and chosen[0] in (min(tried), max(tried)):
            found.append(arm["title"])
    return found


def edge_sentence(results: Results) -> str:
    """How many arms lie on the edge of what was tried; empty where none does."""
    count, of = len(on_the_edge(results)), len(results["arms"])
    return f"{count} of {of} arms preferred the end of the range that they could try; a wider one may help them." * (
        count > 0
    )


def command_for(task: str, data: str) -> str:
    """The command that makes the results, among the user's own files, where the page finds them."""
    own = " --ratings FILE" if task == "recommender" else f" --data {data}"
    return f"python -m core experiment {task} --seeds 5{own}"


def table(part: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns of a published table by name."""
    return {name: [row[k] for row in part["rows"]] for k, name in enumerate(part["columns"])}


def log_intervals(log: Mapping[str, Any]) -> list[tuple[str, float, float, float]]:
    """Subset, mean difference and 95 % interval of the authors' log, from the rounded difference and its t."""
    from scipy.special import stdtrit

    critical = float(stdtrit(log["degrees"], 0.975))
    columns = table(log)
    rows = zip(columns["subset"], columns["difference"], columns["t"], strict=True)
    return [(subset, d, *sorted((d - critical * d / t, d + critical * d / t))) for subset, d, t in rows]
