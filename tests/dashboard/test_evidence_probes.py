"""The two probes on Evidence: the page says what their files say, and without a file what to run."""

import json
import statistics
from pathlib import Path

import pytest

from core.environment import ROOT
from core.experiments.calibration import WAYS
from dashboard import evidence, evidence_probes
from dashboard.words import number, share, signed
from tests.dashboard.apps import link_of, opened, seen, well

CALIBRATION, POISONING = {"evidence.task": "calibration"}, {"evidence.task": "poisoning"}


def shipped(name: str) -> dict:
    return json.loads((ROOT / "assets" / "results" / f"{name}-digits.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("noise", ["0.0", "0.4"])
def test_calibration_shows_the_distances_of_its_file(noise: str):
    page = opened("evidence", {**CALIBRATION, "evidence.noise": noise})
    seeds = shipped("calibration")["noises"][noise]
    found = seen(page).panels["c_calibration"]
    for way in WAYS:
        off = statistics.fmean(statistics.fmean(seed["distance"][way]) for seed in seeds)
        assert number(off) in found.sentence
        assert share(statistics.fmean(seed["accuracy"][way] for seed in seeds)) in found.sentence
        for per_class in zip(*(seed["distance"][way] for seed in seeds), strict=True):
            assert any(abs(statistics.fmean(per_class) - value) < 1e-9 for value in found.numbers)
    untouched = evidence_probes.untouched(seeds)
    assert (
        (f"In classes of {max(untouched)} items or fewer nobody is left out." in found.sentence)
        if untouched
        else ("nobody is left out" not in found.sentence)
    )
    assert ("worse" if noise == "0.0" else "better") in found.chip


def test_untouched_are_the_smallest_classes_up_to_the_first_that_changes():
    seeds = [
        {"sizes": [9, 5, 3, 2], "distance": {"raw": [4, 3, 2, 1], "lof": lof}} for lof in ([4, 1, 2, 1], [4, 3, 2, 1])
    ]
    assert evidence_probes.untouched(seeds) == [2, 3]
    assert evidence_probes.untouched(seeds[1:]) == [2, 3, 5, 9]


def test_the_noise_is_a_knob_in_the_link():
    page = opened("evidence", CALIBRATION)
    first = seen(page).panels["c_calibration"].numbers
    choice = next(each for each in page.segmented_control if each.key == "evidence.noise")
    well(choice.set_value("0.4").run())
    assert link_of(page)["evidence.noise"] == "0.4"
    assert seen(page).panels["c_calibration"].numbers != first


def test_poisoning_shows_every_loss_beside_its_control():
    results = shipped("poisoning")
    page = seen(opened("evidence", POISONING))
    found = page.panels["c_poisoning"]
    for row in results["losses"]:
        difference = evidence_probes.added(row)
        assert f"{evidence_probes.title(row)} {signed(100 * difference.mean, 0)} (" in found.sentence
        for victim in ("clean_optimised", "poisoned_optimised", "clean_fixed", "poisoned_fixed"):
            mean = 100 * statistics.fmean(seed[victim]["success"] for seed in row["seeds"])
            assert any(abs(mean - value) < 1e-9 for value in found.numbers)
    assert {"c_poisoned_accuracy", "c_poisoned_cosine"} <= set(page.panels)
    assert results["code"] in "\n".join(page.texts)


@pytest.mark.parametrize("probe", evidence_probes.PROBES)
def test_without_its_file_the_page_says_what_to_run(probe: str, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(evidence, "ASSETS", tmp_path)
    page = opened("evidence", {"evidence.task": probe})
    assert [each.value for each in page.code] == [f"python -m core {probe} --out FILE"]
    assert not seen(page).panels
