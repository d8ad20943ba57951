from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.diagnostics.probes import knn_accuracy, knn_vote, linear_probe
from tests.core.diagnostics.clouds import groups, unit


def slow_vote(z: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, k: int) -> int:
    """Walk outwards; the class with most votes, and among equals the one met first."""
    near = sorted(range(len(z)), key=lambda i: -float(z[i] @ query))[:k]
    met = [int(labels[i]) for i in near]
    votes = Counter(met)
    most = max(votes.values())
    return next(label for label in met if votes[label] == most)


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_the_vote_equals_a_slow_loop(k):
    z, queries = unit(60, 4, 1, torch.float64), unit(40, 4, 2, torch.float64)
    labels = torch.arange(60) % 4
    wanted = [slow_vote(z, labels, q, k) for q in queries]
    assert knn_vote(z, labels, queries, k).tolist() == wanted
    found = knn_accuracy(z, labels, queries, torch.tensor(wanted), k=k)
    assert (found.accuracy, found.n) == (1, 40)


def test_a_tied_vote_goes_to_the_nearer():
    at = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.9])
    z = torch.stack([at.cos(), at.sin()], dim=1)
    query = torch.tensor([[1.0, 0.0]])
    assert knn_vote(z, torch.tensor([7, 3, 3, 7, 5, 5]), query, 5).tolist() == [7]
    assert knn_vote(z, torch.tensor([5, 3, 3, 7, 7, 5]), query, 5).tolist() == [3]


def test_it_equals_scikit_learn_where_two_classes_cannot_tie():
    z, labels = groups(200, 8, 2, noise=0.6, seed=1)
    queries, truth = groups(100, 8, 2, noise=0.6, seed=1)
    queries = F.normalize(queries + 0.3 * unit(100, 8, 9), dim=1)
    wanted = (
        KNeighborsClassifier(5, metric="cosine").fit(z.numpy(), labels.numpy()).score(queries.numpy(), truth.numpy())
    )
    found = knn_accuracy(z.numpy(), labels.numpy(), queries.numpy(), truth.numpy())
    assert 0.6 < wanted < 1
    assert found.accuracy == pytest.approx(wanted)


def test_more_queries_than_a_chunk():
    z, labels = groups(50, 6, 5)
    many = z.repeat(50, 1)
    assert knn_accuracy(z, labels, many, labels.repeat(50)).accuracy == 1


def test_fewer_training_items_than_neighbours():
    assert knn_accuracy(unit(2, 4), torch.tensor([1, 1]), unit(3, 4), torch.tensor([1, 1, 0])).accuracy == 2 / 3


def test_the_yardsticks():
    labels, test_labels = torch.tensor([0, 0, 0, 4, 4, 9]), torch.tensor([0, 0, 4, 9, 9, 9, 9, 9])
    found = knn_accuracy(unit(6, 4), labels, unit(8, 4, 1), test_labels)
    assert found.chance == pytest.approx(1 / 3)
    assert found.majority == 0.25


@pytest.mark.parametrize("strength", [0.003, 1.0])
def test_the_linear_probe_equals_scikit_learns_pipeline_and_repeats(strength):
    z, labels = groups(150, 10, 4, noise=0.5, seed=2)
    test, truth = groups(80, 10, 4, noise=0.5, seed=2)
    test = F.normalize(test + 0.3 * unit(80, 10, 9), dim=1)
    wanted = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(z.numpy(), labels.numpy())
    found = linear_probe(z, labels, test, truth, strength=strength)
    assert 0.5 < found.accuracy < 1
    assert found.accuracy == pytest.approx(wanted.score(test.numpy(), truth.numpy()))
    arrays = (x.numpy() for x in (z, labels, test, truth))
    assert found == linear_probe(*arrays, strength=strength)
    assert (found.chance, found.majority, found.n) == (0.25, 0.25, 80)
    other = linear_probe(z, labels, test, truth, strength=100 * strength)
    assert found.accuracy != other.accuracy


def test_the_linear_probe_reads_what_neighbours_cannot_and_ignores_scale_and_shift():
    """One tiny direction holds the label, under a direction of noise a thousand times as wide."""
    g = torch.Generator().manual_seed(1)
    labels = torch.arange(200) % 2
    x = torch.stack([1000 * torch.randn(200, generator=g), labels + 0.1 * torch.randn(200, generator=g)], dim=1) + 50
    assert linear_probe(x[:100], labels[:100], x[100:], labels[100:]).accuracy == 1
    flat = torch.cat([x, torch.full((200, 1), 3.0)], dim=1)
    assert linear_probe(flat[:100], labels[:100], flat[100:], labels[100:]).accuracy == 1


def test_shuffled_labels_fall_to_chance():
    z, labels = groups(600, 16, 4)
    shuffled = labels[torch.randperm(600, generator=torch.Generator().manual_seed(0))]
    assert knn_accuracy(z[:300], labels[:300], z[300:], labels[300:]).accuracy == 1
    for probe in (knn_accuracy, linear_probe):
        assert probe(z[:300], shuffled[:300], z[300:], shuffled[300:]).accuracy == pytest.approx(0.25, abs=0.09)


@pytest.mark.parametrize("probe", [knn_accuracy, linear_probe])
def test_labels_must_match(probe):
    with pytest.raises(ValueError, match="one label for each item"):
        probe(unit(4, 3), torch.tensor([0, 1, 0]), unit(2, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="one label for each item"):
        probe(unit(4, 3), np.array([0, 1, 0, 1]), unit(2, 3), np.array([0]))


def test_one_class_cannot_be_probed():
    with pytest.raises(ValueError, match="one class"):
        linear_probe(unit(4, 3), torch.zeros(4), unit(2, 3), torch.zeros(2))
