"""Evidence: the page says what result files and published numbers say, no more; without results, what to run."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.data import movielens
from core.data.ratings import BadRatings
from core.environment import ROOT
from core.experiments import progress
from core.experiments.folder import ExperimentFolder
from core.experiments.intervals import paired
from core.experiments.results import assemble
from core.experiments.tasks import tasks
from dashboard import evidence
from dashboard.view import Evidence
from dashboard.words import number, signed
from tests.core.experiments.tiny import hand, task
from tests.dashboard.apps import link_of, opened, seen, well

RESULTS = sorted(file for task in tasks() for file in (ROOT / "assets" / "results").glob(f"{task}-*.json"))
LEVELS = {"base": 0.70, "twice": 0.72, "dmm": 0.71, "dmm_each": 0.75}
YOURS = {"evidence.source": "yours"}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    return tmp_path


def arm_called(recipe: Any) -> str:
    if recipe.mixing.kind == "none":
        return "base"
    if recipe.mixing.law == "fixed":
        return "twice"
    return "dmm_each" if recipe.mixing.per_sample else "dmm"


def planted(levels: Mapping[str, float], name: str = "missing-mfeat", seeds: int = 5) -> dict[str, Any]:
    """Results of an experiment that was never trained, among the user's own files."""

    def run(recipe, parts, alive):
        key, wave = arm_called(recipe), 0.01 * ((7 * recipe.seed) % 5)
        jitter = 0.001 * (recipe.seed % 3) * (key != "base")
        return {
            part: {"mean": levels[key] + wave + jitter, "accuracy.left": levels[key] - 0.1, "accuracy.left+right": 0.9}
            for part in parts
        }

    folder = evidence.own_folder(*name.split("-"))
    shutil.rmtree(folder, ignore_errors=True)
    worker = hand(folder, replace(task(), run=run), seeds=seeds, arms=tuple(levels))
    arms = worker.task.chosen(worker.asked)
    for arm in arms:
        worker.finish(arm)
    made = assemble(worker.task, worker.asked, {arm.key: worker.report(arm) for arm in arms})
    (folder / "results.json").write_text(json.dumps(made), encoding="utf-8")
    return made


def words_of(page: Any) -> str:
    return "\n".join(seen(page).texts)


def test_without_results_the_page_says_what_to_run_and_still_shows_what_is_known(monkeypatch):
    monkeypatch.setattr(evidence, "ASSETS", ROOT / "assets" / "none")
    monkeypatch.setattr(evidence, "published", lambda: json.loads((ROOT / "assets" / "evidence.json").read_text()))
    monkeypatch.setattr("dashboard.evidence_panels.published", evidence.published)
    page = opened("evidence", {})
    assert "Not measured yet." in words_of(page)
    assert [each.value for each in page.code] == ["python -m core experiment missing --seeds 5 --data mfeat"]
    assert "c_their_log" in seen(page).panels
    assert "c_controls" not in seen(page).panels


def test_the_page_shows_what_the_file_says():
    made = planted(LEVELS)
    page = seen(opened("evidence", YOURS))
    text = "\n".join(page.texts)
    row = next(r for r in made["differences"] if r["arm"] == "dmm" and r["best"] and r["measure"] == "mean")
    assert row["control"] == "twice"
    assert f"difference is {signed(100 * row['mean'])} points" in text
    assert f"interval {signed(100 * row['low'])} to {signed(100 * row['high'])}" in text
    for key in ("dmm", "twice"):
        mean = next(arm for arm in made["arms"] if arm["key"] == key)["interval"]["mean"]
        assert f"{number(100 * mean, 1)}%" in text
    drawn = page.panels["c_controls"].numbers
    for each in (r for r in made["differences"] if r["arm"] == "dmm" and r["measure"] == "mean"):
        for part in ("mean", "low", "high"):
            assert any(abs(100 * each[part] - value) < 1e-9 for value in drawn)
        assert all(any(abs(100 * seed - value) < 1e-9 for value in drawn) for seed in each["per_seed"])
    reached = page.panels["c_reached"].numbers
    for arm in made["arms"]:
        assert any(abs(100 * arm["interval"]["mean"] - value) < 1e-9 for value in reached)
    assert made["date"] in text
    assert made["code"] in text


@pytest.mark.parametrize(
    ("dmm", "word"), [(0.71, "**worse** than the best"), (0.72, "**a tie** with the best"), (0.73, "**better** than")]
)
def test_the_verdict_follows_the_numbers(dmm, word):
    planted(LEVELS | {"dmm": dmm})
    page = seen(opened("evidence", YOURS))
    assert word in "\n".join(page.texts)
    assert word.split("**")[1].removeprefix("a ") in page.panels["c_controls"].chip


def test_another_arm_is_another_difference_and_the_knob_is_in_the_link():
    planted(LEVELS)
    first = opened("evidence", YOURS)
    other = opened("evidence", YOURS | {"evidence.arm": "dmm_each"})
    assert seen(first).panels["c_controls"].numbers != seen(other).panels["c_controls"].numbers
    assert "DMM, λ per sample reaches" in words_of(other)
    assert link_of(other)["evidence.arm"] == "dmm_each"
    choice = next(each for each in other.selectbox if each.key == "evidence.task")
    well(choice.set_value("retrieval").run())
    assert link_of(other)["evidence.task"] == "retrieval"


def test_an_arm_that_the_results_lack_gives_way_to_one_that_they_have():
    planted({"base": 0.7, "dmm_each": 0.8, "dmm": 0.7})
    page = opened("evidence", YOURS | {"evidence.arm": "clip_dmm"})
    assert "DMM reaches" in words_of(page)


@pytest.mark.parametrize("key", tasks())
def test_every_arm_that_is_held_against_controls_has_a_link(key):
    for arm in tasks()[key].arms:
        if not arm.is_control:
            assert Evidence.model_validate({"arm": arm.key}).arm == arm.key


def test_an_improvement_is_said_only_where_it_is_one():
    assert "Better than what they improve on: DMM, λ per sample. Better than the best control as well: DMM, λ per" in (
        evidence.improvement_sentence(planted(LEVELS))
    )
    assert "None of 1 is better" in evidence.improvement_sentence(planted(LEVELS | {"dmm_each": 0.70}))
    beyond = planted(LEVELS | {"dmm": 0.60, "dmm_each": 0.65})
    assert evidence.improvement_sentence(beyond).endswith("Better than the best control as well: none of them.")


def test_a_difference_that_is_sure_but_tiny_is_called_tiny():
    made = planted(LEVELS)
    row = evidence.best(made, "dmm")
    row |= {"mean": -0.0003, "low": -0.0005, "high": -0.0001, "word": "worse"}
    assert "**worse** than the best control, but by less than a tenth" in evidence.verdict_sentence(made, "dmm")


def test_few_seeds_are_called_a_sketch():
    assert "take it as a sketch" in evidence.verdict_sentence(planted(LEVELS, seeds=3), "dmm")
    assert "sketch" not in evidence.verdict_sentence(planted(LEVELS), "dmm")


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 99}'])
def test_a_file_that_is_no_result_of_this_version_is_not_shown(content):
    folder = evidence.own_folder("missing", "mfeat")
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(content)
    assert evidence.results_of("missing", "mfeat", "yours") == {}
    assert "Not measured yet." in words_of(opened("evidence", YOURS))


def test_run_here_starts_the_command_and_looks_at_what_it_will_make(monkeypatch):
    started: list[list[str]] = []
    monkeypatch.setattr(progress, "detach", lambda words, log: started.append(words))
    monkeypatch.setattr(progress, "PATIENCE", 0)
    page = opened("evidence", {"evidence.task": "retrieval"})
    well(page.button(key="evidence_run").click().run())
    assert started[0][:3] == ["experiment", "retrieval", "--out"]
    assert Path(started[0][3]) == evidence.own_folder("retrieval", "mfeat")
    assert link_of(page)["evidence.source"] == "yours"


def test_a_command_that_ended_early_says_why(monkeypatch):
    folder = evidence.own_folder("missing", "mfeat")
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("  3%| 5/176\npython -m core experiment: arm 'base' failed: no room left\n")
    assert [each.value for each in opened("evidence", {}).info] == ["arm 'base' failed: no room left"]
    (folder / "log.txt").write_text("100%| 176/176\n{}\n")
    assert not opened("evidence", {}).info


def test_a_running_experiment_shows_how_far_it_is_and_can_be_stopped(monkeypatch):
    planted(LEVELS)
    monkeypatch.setattr(ExperimentFolder, "is_alive", lambda folder: True)
    page = opened("evidence", YOURS)
    stop = next(button for button in page.button if button.label == "Stop")
    well(stop.click().run())
    assert ExperimentFolder(evidence.own_folder("missing", "mfeat")).asked_to_stop()


def test_an_arm_opens_on_play_with_what_was_tuned(monkeypatch):
    made = planted(LEVELS)
    chosen = next(arm for arm in made["arms"] if arm["key"] == "dmm")["chosen"]
    page = opened("evidence", YOURS)
    monkeypatch.setattr("streamlit.switch_page", lambda name: None)
    button = next(button for button in page.button if button.label == "Open this arm on Play")
    well(button.click().run())
    recipe = page.session_state["view"].recipe()
    assert recipe.mixing.kind == "dmm"
    assert f"{recipe.loss.margin:g}" == chosen["loss.margin"]
    assert recipe.data.kind == "mfeat"


def test_the_recommender_asks_for_ratings_and_shows_the_decay():
    page = opened("evidence", {"evidence.task": "recommender"})
    text = words_of(page)
    assert "must not be passed on" in text
    assert "from call 430 (Min) and 724 (Sum) on" in text
    assert [each.value for each in page.code] == ["python -m core experiment recommender --seeds 5 --ratings FILE"]
    assert page.button(key="evidence_run").disabled


def test_ratings_that_are_not_there_are_refused_in_a_sentence():
    page = opened("evidence", {"evidence.task": "recommender"})
    page.text_input(key="evidence_ratings").set_value("/none/ratings.csv").run()
    well(page.button(key="evidence_run").click().run())
    assert [each.value for each in page.warning] == [
        "/none/ratings.csv is no file; name ml-100k.zip, ml-1m.zip or a CSV of user,item,rating"
    ]


def test_movielens_is_fetched_only_by_who_accepts_its_terms(monkeypatch):
    asked = []

    def ratings_file(given, accepted):
        asked.append((given, accepted))
        raise BadRatings("pip could not fetch it")

    monkeypatch.setattr("core.data.movielens.ratings_file", ratings_file)
    page = opened("evidence", {"evidence.task": "recommender"})
    assert asked == []
    assert movielens.TERMS in words_of(page)
    well(page.button(key="evidence_accept").click().run())
    assert asked == [("", True)]
    assert [each.value for each in page.warning] == ["pip could not fetch it"]


def test_what_is_said_of_the_published_numbers_is_what_they_say():
    known = evidence.published()
    runs = evidence.table(known["retrieval"]["runs"])
    for v2p, p2v, dmm_v2p, dmm_p2v, difference in zip(
        *(runs[name] for name in ("base_v2p", "base_p2v", "dmm_v2p", "dmm_p2v", "difference")), strict=True
    ):
        assert (dmm_v2p + dmm_p2v - v2p - p2v) / 2 == pytest.approx(difference, abs=1.1e-3)
    assert sum(difference > 0 for difference in runs["difference"]) == 2
    assert "in two of five" in known["claims"]["retrieval"]["known"]
    log = evidence.table(known["missing"]["log"])
    for gmc, dmm, difference in zip(log["gmc_mae"], log["dmm_mae"], log["difference"], strict=True):
        assert dmm - gmc == pytest.approx(difference, abs=1.1e-4)
    clear = [name for name, _, low, high in evidence.log_intervals(known["missing"]["log"]) if low > 0 or high < 0]
    assert clear == ["T", "A"]
    assert len(known["discrepancies"]) == 16
    assert all(does for _, _, does in known["discrepancies"])
    parts = [part for key in ("retrieval", "missing", "recommender") for part in known[key].values()]
    assert {part["tag"] for part in parts} <= set(known["tags"])
    assert all(part["source"] and all(len(row) == len(part["columns"]) for row in part["rows"]) for part in parts)


def test_the_page_names_the_source_of_every_published_table():
    for name in ("retrieval", "missing", "recommender"):
        text = words_of(opened("evidence", {"evidence.task": name}))
        for part in evidence.published()[name].values():
            assert part["source"] in text
        assert evidence.published()["claims"][name]["known"] in text
        assert evidence.published()["claims"][name]["setting"] in text


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_a_shipped_result_is_whole_and_its_differences_follow_from_its_seeds(file):
    made = json.loads(file.read_text(encoding="utf-8"))
    assert f"{made['task']}-{made['data']}" == file.stem
    assert made["data"] != "ratings"
    assert made["asked"]["seeds"] >= evidence.ENOUGH
    arms = {arm["key"]: arm for arm in made["arms"]}
    assert list(arms) == [arm.key for arm in tasks()[made["task"]].arms]
    assert {len(arm["tries"]) for arm in arms.values()} == {made["asked"]["configurations"]}
    for arm in arms.values():
        best = max((each["mean"] for each in arm["tries"] if each["mean"] is not None), default=None)
        assert next(each["mean"] for each in arm["tries"] if each["link"] == arm["chosen"]) == best
    for family, key in made["best_control"].items():
        means = {
            name: sum(row[made["primary"]] for row in arm["validation"])
            for name, arm in arms.items()
            if arm["family"] == family and arm["kind"] in ("base", "control") and arm["validation"]
        }
        assert means[key] == max(means.values())
    for row in made["differences"]:
        ours, theirs = ([each[row["measure"]] for each in arms[row[k]]["test"]] for k in ("arm", "control"))
        found = paired(ours, theirs, lower_is_better=row["measure"] in made["lower"])
        assert (row["mean"], row["low"], row["high"]) == pytest.approx((found.mean, found.low, found.high), abs=1e-12)
        assert row["word"] == found.word


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_the_page_says_of_a_shipped_result_what_it_says(file):
    made = json.loads(file.read_text(encoding="utf-8"))
    page = seen(opened("evidence", {"evidence.task": made["task"], "evidence.data": made["data"]}))
    text = "\n".join(page.texts)
    assert evidence.verdict_sentence(made, "dmm") in text
    assert evidence.improvement_sentence(made) in text
    assert evidence.edge_sentence(made) in text
    for row in (r for r in made["differences"] if r["arm"] == "dmm" and r["measure"] == made["primary"]):
        assert any(abs(100 * row["mean"] - value) < 1e-9 for value in page.panels["c_controls"].numbers)


def test_the_way_down_is_that_of_the_file():
    made = json.loads((ROOT / "assets" / "results" / "missing-mfeat.json").read_text(encoding="utf-8"))
    page = seen(opened("evidence", {}))
    control = next(r for r in made["differences"] if r["arm"] == "dmm" and r["best"])["control"]
    for arm in (arm for arm in made["arms"] if arm["key"] in ("dmm", control)):
        for rate in range(0, 101, 10):
            mean = sum(seed[f"dropped.{rate}"] for seed in arm["test"]) / len(arm["test"])
            assert any(abs(100 * mean - value) < 1e-9 for value in page.panels["c_falling"].numbers)


def test_without_drop_rates_there_is_no_way_down():
    assert evidence.along_drops(planted(LEVELS), ("dmm", "base")) is None
    assert "c_falling" not in seen(opened("evidence", YOURS)).panels


def test_arms_on_the_edge_of_what_was_tried_are_counted():
    tries = [{"link": {"loss.margin": m}} for m in ("0.1", "0.3", "0.5")]
    arms = [{"title": m, "tries": tries, "chosen": {"loss.margin": m}} for m in ("0.1", "0.3", "0.5")]
    assert evidence.on_the_edge({"arms": arms}) == ["0.1", "0.5"]
    assert evidence.edge_sentence({"arms": arms}).startswith("2 of 3 arms preferred the end of the range")
    assert evidence.edge_sentence({"arms": arms[1:2]}) == ""
    assert evidence.on_the_edge({"arms": [arms[0] | {"tries": tries[:1]}]}) == []


def test_measures_are_named_for_readers():
    made = {"titles": {"r1": "R@1"}}
    names = [evidence.measure_title(made, key) for key in ("r1", "r1.fou_kar", "accuracy.fou+zer")]
    assert names == ["R@1", "fou → kar", "fou + zer"]


def test_a_budget_of_ones_own_is_said():
    made = planted(LEVELS)
    assert "6 steps, a budget set for this run" in evidence.provenance(made)
    made["asked"]["steps"] = 0
    assert "6 steps; 72 to train" in evidence.provenance(made)
