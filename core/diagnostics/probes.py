"""Probes: how well the labels can be read from the embeddings, by neighbours and by a linear classifier."""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, class_of, rows, share, unit_rows
from core.diagnostics.registry import diagnostic


@dataclass(frozen=True)
class Probe:
    """Accuracy on `n` test items, all shares.

    `chance`: guessing evenly among the training classes. `majority`: always naming the commonest training class.
    """

    accuracy: float
    n: int
    chance: float
    majority: float


def baseline(labels: Tensor, test_labels: Tensor) -> tuple[float, float]:
    """Chance, one over the training classes, and the accuracy of always naming the commonest of them."""
    classes, counts = labels.unique(return_counts=True)
    return 1 / len(classes), share(test_labels == classes[counts.argmax()])


def nearest_rows(z: Tensor, queries: Tensor, k: int) -> Tensor:
    """(M, k) the rows of z (N, D) with the largest inner products with each query (M, D), nearest first; k cut to N."""
    return torch.cat([(part @ z.T).topk(min(k, len(z)), dim=1).indices for part in queries.split(CHUNK)])


def vote(near: Tensor) -> Tensor:
    """(M,) the commonest of the classes (M, k) of each item's neighbours, nearest first; ties go to the nearer one."""
    order = torch.arange(near.shape[1], device=near.device)
    counts = [(part[:, :, None] == part[:, None, :]).sum(dim=2) for part in near.split(CHUNK)]
    return near.gather(1, (torch.cat(counts) * near.shape[1] - order).argmax(dim=1, keepdim=True)).squeeze(1)


def knn_vote(z: Tensor, labels: Tensor, queries: Tensor, k: int) -> Tensor:
    """(M,) class that most of the k nearest training items by cosine have, ties going to the nearer item.

    Args:
        z: (N, D) unit training rows.
        labels: (N,) int64.
        queries: (M, D) unit rows.
        k: neighbours, cut to N.
    """
    return vote(labels[nearest_rows(z, queries, k)])


@diagnostic(
    "knn",
    title="Nearest neighbours",
    source="Cover and Hart 1967; by cosine as in Wu et al. 2018, arXiv:1805.01978, sec. 3.4, votes unweighted",
    values="0 to 1",
    chance="1 / classes",
)
def knn_accuracy(z: Array, labels: Array, test: Array, test_labels: Array, *, k: int = 5) -> Probe:
    """Share of the test items whose class is that of most of their k nearest training items.

    Args:
        z: (N, D) unit training rows.
        labels: (N,) their classes.
        test: (M, D) unit rows.
        test_labels: (M,) their classes.
        k: neighbours; a tied vote goes to the tied class whose nearest member is nearer.

    Raises:
        ValueError: if rows are not of length 1, or labels and rows differ in number.
    """
    x, y = unit_rows(z), unit_rows(test)
    truth, wanted = class_of(labels, x), class_of(test_labels, y)
    found = knn_vote(x, truth, y, k)
    return Probe(share(found == wanted), len(y), *baseline(truth, wanted))


@diagnostic(
    "linear_probe",
    title="Linear probe",
    source="Alain and Bengio 2016, arXiv:1610.01644; L2-regularised logistic regression on standardised embeddings",
    values="0 to 1",
    chance="1 / classes",
)
def linear_probe(z: Array, labels: Array, test: Array, test_labels: Array, *, strength: float = 1.0) -> Probe:
    """Accuracy on the test items of a logistic regression fitted to the training items; deterministic.

    Args:
        z: (N, D) training rows, any length; each dimension is brought to mean 0 and standard deviation 1.
        labels: (N,) their classes, at least two.
        test: (M, D) rows.
        test_labels: (M,) their classes.
        strength: inverse of the regularisation, scikit-learn's C.

    Raises:
        ValueError: if there is one class only, or labels and rows differ in number.
    """
    from sklearn.linear_model import LogisticRegression

    x, y = rows(z), rows(test)
    truth, wanted = class_of(labels, x), class_of(test_labels, y)
    if len(truth.unique()) < 2:
        raise ValueError("got one class where a linear probe needs two; choose labels that differ")
    sd, mean = torch.std_mean(x, dim=0, correction=0)
    scale = torch.where(sd > 0, sd, 1)
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit(((x - mean) / scale).cpu().numpy(), truth.cpu().numpy())
    found = torch.from_numpy(model.predict(((y - mean) / scale).cpu().numpy()))
    return Probe(share(found == wanted.cpu()), len(y), *baseline(truth, wanted))
