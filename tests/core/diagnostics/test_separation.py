import pytest
import torch
from sklearn.metrics import recall_score, silhouette_samples, silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from core.diagnostics.probes import knn_accuracy, nearest_rows
from core.diagnostics.separation import chance_separation, found_by_class, separation, shuffled_knn, weakest_classes
from tests.core.diagnostics.clouds import groups, unit


@pytest.mark.parametrize(("n", "classes", "noise"), [(40, 3, 0.3), (90, 7, 1.0), (1100, 5, 0.5)])
def test_it_is_the_silhouette_of_scikit_learn(n, classes, noise):
    z, labels = groups(n, 6, classes, noise)
    z = torch.nn.functional.normalize(z.double(), dim=1)
    assert separation(z, labels) == pytest.approx(
        silhouette_score(z.numpy(), labels.numpy(), metric="cosine"), abs=1e-10
    )


def test_an_only_child_counts_as_nothing_as_in_scikit_learn():
    z, labels = unit(20, 4, 1, torch.float64), torch.tensor([7] + [2] * 10 + [5] * 9)
    wanted = silhouette_samples(z.numpy(), labels.numpy(), metric="cosine")
    assert wanted[0] == 0
    assert separation(z, labels) == pytest.approx(wanted.mean(), abs=1e-10)


def test_shuffled_labels_are_the_chance_level():
    z, labels = groups(120, 8, 4, 0.2)
    shuffled = chance_separation(z, labels)
    assert list(shuffled) == sorted(shuffled)
    assert len(set(shuffled)) == 8
    assert max(shuffled) < 0.05 < 0.5 < separation(z, labels)


@pytest.mark.parametrize("labels", [torch.zeros(5).long(), torch.arange(5)])
def test_labels_that_make_no_groups_are_refused(labels):
    with pytest.raises(ValueError, match="at least two classes"):
        separation(unit(5, 3), labels)


def test_the_recall_of_each_class_is_that_of_scikit_learn():
    z, labels = groups(300, 6, 5, 0.9)
    rule = KNeighborsClassifier(1, metric="cosine", algorithm="brute").fit(z[:200].numpy(), labels[:200].numpy())
    by_class = recall_score(labels[200:].numpy(), rule.predict(z[200:].numpy()), average=None)
    found = weakest_classes(z[:200], labels[:200], z[200:], labels[200:], k=1)
    assert {each.label: each.recall for each in found} == pytest.approx(dict(enumerate(by_class)))
    assert [each.recall for each in found] == sorted(each.recall for each in found)
    whole = knn_accuracy(z[:200], labels[:200], z[200:], labels[200:], k=1)
    assert sum(each.recall * each.n for each in found) / 100 == pytest.approx(whole.accuracy)
    assert sum(each.named for each in found) == 100


def test_equally_weak_classes_are_in_order_of_their_size():
    named, wanted = torch.tensor([0, 0, 0, 0, 0, 0]), torch.tensor([0, 1, 1, 2, 2, 2])
    assert [(c.label, c.recall, c.n, c.named) for c in found_by_class(named, wanted)] == [
        (2, 0, 3, 0),
        (1, 0, 2, 0),
        (0, 1, 1, 6),
    ]


def test_shuffled_labels_drop_the_neighbours_to_chance():
    z, labels = groups(600, 8, 4, 0.2)
    train, test = z[:400], z[400:]
    assert knn_accuracy(train, labels[:400], test, labels[400:]).accuracy == 1
    seen = shuffled_knn(nearest_rows(train, test, 5), labels[:400], labels[400:])
    assert abs(seen - 0.25) < 0.05
    assert seen != shuffled_knn(nearest_rows(train, test, 5), labels[:400], labels[400:], seed=1)
