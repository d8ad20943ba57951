"""From finished arms to one file: means, the best control by validation, paired differences, and a word for each."""

import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.environment import code_version
from core.experiments.arms import Arm
from core.experiments.intervals import Word, paired, spread
from core.experiments.settings import TUNING_SEEDS, Experiment
from core.experiments.tasks import Task
from core.experiments.worker import WORST, Try, choose

SCHEMA_VERSION = 1
Row = dict[str, Any]


def assemble(task: Task, asked: Experiment, reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Everything that the results file says.

    Args:
        task: what was tested.
        asked: with which settings.
        reports: arm -> its chosen configuration, its tries and its rows, as `Arms.report` gives them.
    """
    arms = [arm for arm in task.chosen(asked) if arm.key in reports]
    recipe = task.recipe(asked, {}, 0)
    rows = {arm.key: _seeds(reports[arm.key]["rows"]) for arm in arms}
    best = best_controls(task, arms, rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "task": task.key,
        "title": task.title,
        "data": asked.data,
        "note": task.note(recipe),
        **provenance(),
        "data_digest": task.digest(recipe),
        "sizes": task.sizes(recipe),
        "asked": asked.model_dump(mode="json") | {"ratings": ""},
        "recipe": _plain(recipe),
        "tuning_seeds": list(TUNING_SEEDS),
        "primary": task.primary,
        "titles": dict(task.titles),
        "lower": sorted(task.lower),
        "seconds": round(sum(row["seconds"] for r in reports.values() for row in r["rows"]), 1),
        "arms": [_arm(task, arm, reports[arm.key], rows[arm.key]) for arm in arms],
        "best_control": best,
        "differences": differences(task, arms, rows, best),
    }


def _plain(recipe: Any) -> dict[str, Any]:
    plain = recipe.model_dump(mode="json")
    return {name: value for name, value in plain.items() if name != "ratings"}


def provenance() -> dict[str, Any]:
    """When results were made, with which versions, and by which code."""
    return {"date": datetime.now(UTC).date().isoformat(), "versions": versions(), "code": code_version()}


def versions() -> dict[str, str]:
    """What numbers may depend on."""
    import numpy as np
    import torch

    from core.runs.trainer import choose_device

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": choose_device().type,
    }


def _seeds(rows: Sequence[Row]) -> dict[str, list[dict[str, float]] | None]:
    """Part -> the numbers of each seed, in order; None where a training diverged."""
    if any(row["measured"] is None for row in rows):
        return {"validation": None, "test": None}
    return {part: [row["measured"][part] for row in rows] for part in ("validation", "test")}


def best_controls(task: Task, arms: Sequence[Arm], rows: Mapping[str, Any]) -> dict[str, str]:
    """Family -> the control with the best mean of the primary measure on validation, over the reported seeds."""
    best = {}
    for family in dict.fromkeys(arm.family for arm in arms):
        tries, keys = [], []
        for arm in arms:
            if arm.family == family and arm.is_control and rows[arm.key]["validation"] is not None:
                tries.append(Try({}, tuple(one[task.primary] for one in rows[arm.key]["validation"])))
                keys.append(arm.key)
        if tries:
            best[family] = keys[tries.index(choose(tries, lower_is_better=task.primary in task.lower))]
    return best


def _arm(task: Task, arm: Arm, report: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    test, chosen = rows["test"], report["chosen"]
    return {
        "key": arm.key,
        "title": arm.title,
        "kind": arm.kind,
        "family": arm.family,
        "about": arm.about,
        "against": arm.against,
        "link": dict(arm.link),
        "chosen": dict(chosen.link),
        "tries": [
            {"link": dict(one.link), "validation": list(one.scores), "mean": None if one.mean == WORST else one.mean}
            for one in report["tries"]
        ],
        "validation": rows["validation"],
        "test": test,
        "mean": None if test is None else {m: statistics.fmean(one[m] for one in test) for m in test[0]},
        "interval": None if test is None else dict(zip(("mean", "low", "high"), _spread(task, test), strict=True)),
    }


def _spread(task: Task, test: Sequence[Mapping[str, float]]) -> tuple[float, float, float]:
    return spread([one[task.primary] for one in test])


def differences(
    task: Task, arms: Sequence[Arm], rows: Mapping[str, Any], best: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Each DMM arm and improvement, less each control of its family and less the arm it is held against.

    The primary measure against all of them; the others against the best control and the arm it is held against.
    """
    found = []
    for arm in arms:
        if arm.is_control:
            continue
        others = [other for other in arms if other.family == arm.family and other.is_control]
        others += [other for other in arms if other.key == arm.against and other not in others]
        for other in others:
            is_best = best.get(arm.family) == other.key
            first = rows[arm.key]["test"], rows[other.key]["test"]
            names = [task.primary] if None in first or not (is_best or other.key == arm.against) else list(first[0][0])
            found += [_difference(task, arm, other, name, *first, is_best) for name in names]
    return found


def _difference(task: Task, arm: Arm, other: Arm, name: str, ours: Any, theirs: Any, is_best: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm.key, "control": other.key, "measure": name, "best": is_best}
    if ours is None or theirs is None:
        word: Word = "unknown"
        return row | {"per_seed": [], "mean": None, "low": None, "high": None, "word": word}
    made = paired([one[name] for one in ours], [one[name] for one in theirs], lower_is_better=name in task.lower)
    return row | {
        "per_seed": list(made.per_seed),
        "mean": made.mean,
        "low": made.low,
        "high": made.high,
        "word": made.word,
    }


def summary(results: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The last line of the command: each challenger against its best control."""
    verdicts = {
        row["arm"]: {name: row[name] for name in ("control", "mean", "low", "high", "word")}
        for row in results["differences"]
        if row["best"] and row["measure"] == results["primary"]
    }
    means = {arm["key"]: arm["interval"] and arm["interval"]["mean"] for arm in results["arms"]}
    return {
        "task": results["task"],
        "data": results["data"],
        "file": file,
        "primary": results["primary"],
        "best_control": results["best_control"],
        "verdicts": verdicts,
        "test": means,
        "seconds": results["seconds"],
    }
