"""RCal on digits: what is labelled wrongly, and that cleaning and borrowing do what the shipped numbers say."""

import json
import statistics

import pytest
import torch

from core.environment import ROOT
from core.experiments.calibration import CLASSES, LEAST, MOST, NOISES, SEEDS, WAYS, calibrate, flipped, long_tail
from core.experiments.intervals import paired
from core.streams import stream

SHIPPED = json.loads((ROOT / "assets" / "results" / "calibration-digits.json").read_text(encoding="utf-8"))["noises"]


def errors(noise: float, way: str) -> list[float]:
    return [statistics.fmean(seed["distance"][way]) for seed in SHIPPED[str(noise)]]


def accuracy(noise: float, way: str) -> float:
    return statistics.fmean(seed["accuracy"][way] for seed in SHIPPED[str(noise)])


def test_classes_shrink_in_a_drawn_order():
    labels = torch.arange(2000) % CLASSES
    items, order = long_tail(labels, stream(0, "tail"))
    sizes = torch.bincount(labels[items])[order]
    assert len(items.unique()) == len(items)
    assert (int(sizes[0]), int(sizes[-1])) == (MOST, LEAST)
    assert (sizes.diff() < 0).all()
    assert order.tolist() != long_tail(labels, stream(1, "tail"))[1].tolist()


def test_labels_flip_in_proportion_to_where_they_go():
    counts = torch.tensor([8000, 4000, 2000, 1000, 500, 500, 500, 500, 500, 500])
    labels = torch.arange(CLASSES).repeat_interleave(counts)
    noisy = flipped(labels, 0.4, stream(0, "noise"))
    into = torch.stack([torch.bincount(noisy[labels == kind], minlength=CLASSES) for kind in range(CLASSES)])
    found = into.double() / counts[:, None]
    share = 0.4 * counts.double() / counts.sum()
    for kind in (0, 1, 2):
        others = torch.arange(CLASSES) != kind
        torch.testing.assert_close(found[kind][others], share[others], rtol=0, atol=0.025)
        assert float(found[kind, kind]) == pytest.approx(1 - float(share[others].sum()), abs=0.04)
    assert torch.equal(flipped(labels, 0, stream(0, "noise")), labels)
    alone = torch.arange(CLASSES)
    assert torch.equal(flipped(alone, 1, stream(0, "noise")), alone)


def test_the_shipped_numbers_are_those_of_the_present_code():
    assert list(SHIPPED) == [str(noise) for noise in NOISES]
    assert {len(seeds) for seeds in SHIPPED.values()} == {SEEDS}
    found, kept = calibrate(0.2, 0), SHIPPED["0.2"][0]
    assert list(found.sizes) == kept["sizes"]
    for way in WAYS:
        assert found.distance[way] == pytest.approx(kept["distance"][way], abs=1e-4)
        assert found.accuracy[way] == pytest.approx(kept["accuracy"][way], abs=0.01)
        assert found.error(way) == pytest.approx(statistics.fmean(kept["distance"][way]), abs=1e-4)


@pytest.mark.parametrize(("noise", "raw", "cleaned"), [(0.0, 0.33, 0.36), (0.2, 0.53, 0.43), (0.4, 0.81, 0.64)])
def test_means_are_as_far_off_as_in_a_pilot_and_cleaning_helps_where_labels_are_wrong(
    noise: float, raw: float, cleaned: float
):
    """The pilot drew other items, so its means are met within three of the standard deviations over the seeds."""
    for way, theirs in (("raw", raw), ("lof", cleaned)):
        ours = errors(noise, way)
        assert abs(statistics.fmean(ours) - theirs) < 3 * statistics.stdev(ours)
    found = paired(errors(noise, "lof"), errors(noise, "raw"), lower_is_better=True)
    assert found.word == ("better" if noise else "worse")
    assert found.mean < 0.05


@pytest.mark.parametrize("noise", NOISES)
def test_borrowing_moves_means_away_from_the_truth_and_yet_helps_the_classifier(noise: float):
    assert statistics.fmean(errors(noise, "tail")) > statistics.fmean(errors(noise, "lof"))
    assert accuracy(noise, "raw") < accuracy(noise, "lof") < accuracy(noise, "tail")
