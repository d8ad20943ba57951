"""The health card against closed forms and slow loops, and its verdicts on embeddings made to deserve them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier

from core.diagnostics.geometry import uniformity
from core.diagnostics.health import Labelled, card, gap_share, strangers
from core.diagnostics.neighbours import hubness
from core.diagnostics.retrieval import retrieval
from core.diagnostics.separation import weakest_classes

ALWAYS = {"effective_rank", "uniformity", "hubness", "anisotropy", "twins"}
PAIRED = {"alignment", "modality_gap", "retrieval"}
LABELLED = {"knn", "linear_probe", "separation", "weakest_classes"}


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
    assert set(found) == ALWAYS | PAIRED


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
    assert set(found) == ALWAYS | LABELLED
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


def test_one_pass_over_the_pairs_says_what_each_diagnostic_says():
    a = unit(1100, 6, 0)
    b = F.normalize(a + 0.5 * unit(1100, 6, 1), dim=1)
    found = card({"left": a, "right": b})
    for reading, z in zip(found["uniformity"], (a, b), strict=True):
        assert reading.value == pytest.approx(uniformity(z), abs=1e-12)
    for reading, z in zip(found["hubness"], (a, b), strict=True):
        assert reading.value == pytest.approx(hubness(z).skewness, abs=1e-9)
    forth, back = found["retrieval"]
    assert (forth.value, back.value) == (retrieval(a, b).r1, retrieval(b, a).r1)


def test_the_worst_queries_are_named_with_the_rank_of_their_partner_and_what_they_found():
    a = torch.eye(60, dtype=torch.float64)
    b = a.roll(1, dims=0).clone()
    b[:50] = a[:50]
    cases = card({"left": a, "right": b})["retrieval"][0].cases
    scores = (a @ b.T).tolist()
    for each in cases:
        own = scores[each.row][each.row]
        others = [s for j, s in enumerate(scores[each.row]) if j != each.row]
        assert each.value == 1 + sum(s > own for s in others) + sum(s == own for s in others) / 2
        assert each.beside == max(range(60), key=scores[each.row].__getitem__)
    assert {each.row for each in cases[:10]} == set(range(50, 60))
    assert len(cases) == 50


def test_a_narrow_cone_is_called_one_and_directions_all_round_are_not():
    assert word(card({"only": unit(200, 8, 0, 3.0)}), "anisotropy") == ["narrow cone"]
    assert word(card({"only": unit(200, 8, 0, 0.7)}), "anisotropy") == ["a cone"]
    round_about = card({"only": unit(200, 8)})["anisotropy"][0]
    assert round_about.verdict.word == "all round"
    assert round_about.value == pytest.approx(round_about.chance, abs=0.02)


def test_an_item_near_all_others_is_a_hub_and_named_first():
    a = F.normalize(unit(400, 64) + 0.6 * unit(1, 64, 7), dim=1)
    a[17] = F.normalize(a.mean(dim=0), dim=0)
    reading = card({"only": a})["hubness"][0]
    assert reading.verdict.word == "hubs"
    assert reading.cases[0].row == 17
    assert reading.cases[0].value == float(hubness(a).occurrences[17]) > 300
    assert word(card({"only": unit(400, 64)}), "hubness") == ["no hubs"]


def test_planted_twins_are_named_in_the_file_and_across_the_split():
    a = unit(100, 16)
    a[90] = a[3]
    reading = card({"only": a})["twins"][0]
    assert (reading.value, reading.verdict.word) == (0.02, "twins")
    assert {(each.row, each.beside) for each in reading.cases} == {(3, 90), (90, 3)}
    assert reading.verdict.sentence == "2 of 100 rows have a twin (cosine 0.999 or more), 2 the very same."
    across = card({"only": a}, split=({"only": a[:90]}, {"only": a[90:]}))["twins_across"][0]
    assert (across.value, across.verdict.word) == (0.1, "leaks")
    assert [(each.row, each.beside) for each in across.cases] == [(0, 3)]
    assert word(card({"only": unit(100, 16)}), "twins") == ["no twins"]


def test_in_two_dimensions_a_neighbour_within_reach_is_no_news():
    reading = card({"only": unit(300, 2)})["twins"][0]
    assert reading.value > 0.5
    assert reading.verdict.word == "no twins"


def test_the_weakest_classes_are_named_and_shuffled_labels_drop_all_to_chance():
    given, z, labels = labelled(0, 4.0)
    mixed = torch.from_numpy(labels.copy())
    lost = (mixed == 2).nonzero().squeeze(1)
    mixed[lost[: len(lost) // 2]] = 1
    named = Labelled(given.train, mixed[:120], given.test, mixed[120:], ("ant", "bee", "cat"))
    weakest = card(given.test, named)["weakest_classes"]
    by_hand = weakest_classes(z[:120], mixed[:120], z[120:], mixed[120:])
    assert [(each.of, each.value) for each in weakest] == [(("ant", "bee", "cat")[o.label], o.recall) for o in by_hand]
    g = torch.Generator().manual_seed(1)
    shuffled = Labelled(
        given.train,
        mixed[:120][torch.randperm(120, generator=g)],
        given.test,
        mixed[120:][torch.randperm(60, generator=g)],
    )
    found = card(given.test, shuffled)
    assert word(found, "knn") == word(found, "separation") == ["near chance"]
    assert [each.of for each in found["weakest_classes"]] == [f"class {o}" for o in _order(found)]
    clean = card(given.test, given)
    assert word(clean, "separation") == ["separated"]
    assert set(word(clean, "weakest_classes")) == {"as the rest"}


def _order(found) -> list[int]:
    return [each.cases[0].row for each in found["weakest_classes"]]


def test_the_sentence_of_the_neighbours_says_what_shuffled_labels_give():
    given, _, _ = labelled(0, 4.0)
    said = card(given.test, given)["knn"][0].verdict.sentence
    share = int(said.split("labels shuffled ")[1].split("%")[0])
    assert 15 <= share <= 50
