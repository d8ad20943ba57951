"""The health card against closed forms and slow loops, and its verdicts on embeddings made to deserve them."""

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from core.diagnostics.health import Labelled, card, gap_share, strangers


def unit(n: int, dim: int, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    x = np.random.default_rng(seed).normal(size=(n, dim)) + shift
    return torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))


def word(readings, key: str) -> list[str]:
    return [each.verdict.word for each in readings[key]]


def test_strangers_are_the_mean_over_all_pairs():
    a, b = unit(7, 4, 0, 0.5), unit(7, 4, 1, -0.2)
    slow = [sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) for p in a.tolist() for q in b.tolist()]
    assert strangers(a, b) == pytest.approx(math.fsum(slow) / 49)


def test_the_share_of_a_gap_is_the_variance_between_over_all_of_it():
    a, b = unit(9, 4, 0, 0.5), unit(9, 4, 1, -0.2)
    both = torch.cat([a, b])
    total = (both - both.mean(dim=0)).square().sum(dim=1).mean()
    within = sum((z - z.mean(dim=0)).square().sum(dim=1).mean() for z in (a, b)) / 2
    assert gap_share(a, b) == pytest.approx(float((total - within) / total))
    assert gap_share(a, a) == 0


def test_paired_embeddings_are_found_healthy():
    a = unit(300, 8)
    found = card({"left": a, "right": a})
    assert word(found, "effective_rank") == ["not collapsed"] * 2
    assert word(found, "uniformity") == ["spread out"] * 2
    assert word(found, "alignment") == ["together"]
    assert word(found, "modality_gap") == ["one cloud"]
    assert word(found, "retrieval") == ["aligned"] * 2
    assert found["alignment"][0].value == pytest.approx(0, abs=1e-12)
    assert [each.of for each in found["retrieval"]] == ["left → right", "right → left"]
    assert found["effective_rank"][0].best == 8
    assert set(found) == {"effective_rank", "uniformity", "alignment", "modality_gap", "retrieval"}


def test_noise_is_near_chance_and_close_to_every_chance_level():
    found = card({"left": unit(400, 16, 0), "right": unit(400, 16, 6)})
    assert word(found, "alignment") == ["near chance"]
    assert word(found, "retrieval") == ["near chance"] * 2
    for key, tolerance in (("effective_rank", 0.05), ("uniformity", 0.05), ("alignment", 0.1)):
        for each in found[key]:
            assert each.value == pytest.approx(each.chance, rel=tolerance)
    assert found["modality_gap"][0].value < 2 * found["modality_gap"][0].chance


def test_one_point_is_collapsed_and_not_called_together():
    one = torch.nn.functional.one_hot(torch.zeros(50).long(), 4).double()
    found = card({"left": one, "right": one})
    assert word(found, "effective_rank") == ["collapsed"] * 2
    assert word(found, "uniformity") == ["clumped"] * 2
    assert word(found, "alignment") == ["near chance"]
    assert word(found, "retrieval") == ["near chance"] * 2
    assert "100% tie" in found["retrieval"][0].verdict.sentence


def test_two_cones_are_two_clouds():
    found = card({"left": unit(100, 8, 0, 3.0), "right": unit(100, 8, 1, -3.0)})
    assert word(found, "modality_gap") == ["two clouds"]
    assert word(card({"left": unit(100, 8, 0, 0.5), "right": unit(100, 8, 1, -0.5)}), "modality_gap") == ["a gap"]


def test_modalities_of_different_dimensions_are_read_one_by_one():
    labels = torch.arange(80) % 2
    z = {"left": unit(80, 8), "right": unit(80, 5)}
    found = card(z, Labelled(z, labels, z, labels))
    assert set(found) == {"effective_rank", "uniformity", "knn", "linear_probe"}
    assert [each.of for each in found["knn"]] == ["left", "right"]


def labelled(seed: int, apart: float) -> tuple[Labelled, np.ndarray, np.ndarray]:
    """Three classes whose centres are `apart`, 120 training and 60 test items."""
    rng = np.random.default_rng(seed)
    labels = np.arange(180) % 3
    x = rng.normal(size=(180, 6)) + apart * np.eye(6)[labels]
    z = torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))
    return Labelled({"only": z[:120]}, labels[:120], {"only": z[120:]}, labels[120:]), z.numpy(), labels


def test_the_probes_read_classes_that_are_there_and_none_that_are_not():
    given, z, labels = labelled(0, 4.0)
    found = card(given.test, given)
    by_sklearn = KNeighborsClassifier(5).fit(z[:120], labels[:120]).score(z[120:], labels[120:])
    assert found["knn"][0].value == pytest.approx(by_sklearn)
    assert word(found, "knn") == word(found, "linear_probe") == ["readable"]
    noise, _, _ = labelled(0, 0.0)
    assert word(card(noise.test, noise), "knn") == ["near chance"]


def test_a_probe_that_the_untrained_network_passes_too_shows_no_gain():
    given, _, _ = labelled(0, 4.0)
    before = card(given.test, given)
    assert word(card(given.test, given, before), "knn") == ["no gain"]
    assert "untrained" in card(given.test, given, before)["knn"][0].verdict.sentence
    noise, _, _ = labelled(1, 0.0)
    assert word(card(given.test, given, card(noise.test, noise)), "knn") == ["readable"]


def test_one_class_among_the_training_items_leaves_the_linear_probe_out():
    z = {"only": unit(20, 4)}
    found = card(z, Labelled(z, torch.zeros(20).long(), z, torch.zeros(20).long()))
    assert "linear_probe" not in found
    assert word(found, "knn") == ["near chance"]
