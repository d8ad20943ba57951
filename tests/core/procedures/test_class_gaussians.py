"""Gaussians of classes: held against numpy and scikit-learn, and what borrowing and drawing leave as it was."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import LocalOutlierFactor as Theirs
from torch import Tensor
from torch.testing import assert_close

from core.procedures.class_gaussians import (
    ClassGaussians,
    ClassSamples,
    LocalOutlierFactor,
    TailBorrowing,
    class_gaussians,
    class_samples,
    local_outlier_factor,
    tail_borrowing,
)
from core.streams import stream


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=stream(seed, "gaussians"), dtype=torch.float64)


def classes(*sizes: int) -> tuple[Tensor, Tensor]:
    """Items of classes that lie 3 apart, in a drawn order."""
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=stream(0, "order"))]
    return normal(len(labels), 4) + 3 * labels[:, None], labels


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_factor_is_that_of_scikit_learn_within_each_class(k: int):
    x, labels = classes(40, 12, 2, 1)
    x[labels == 1] += 9 * (torch.arange(12)[:, None] == 3)
    found = local_outlier_factor(x, labels, LocalOutlierFactor(k=k))
    for kind in range(3):
        rows = x[labels == kind].numpy()
        theirs = Theirs(n_neighbors=min(k, len(rows) - 1)).fit(rows)
        assert found[labels == kind].numpy() == pytest.approx(-theirs.negative_outlier_factor_, rel=1e-9)
    assert found[labels == 3].tolist() == [1]
    assert k == 20 or int(found.argmax()) == int((labels == 1).nonzero()[3])


def test_items_that_coincide_have_a_finite_factor():
    found = local_outlier_factor(torch.ones(9, 3), torch.arange(9) // 4, LocalOutlierFactor())
    assert_close(found, torch.ones(9))


def test_the_gaussians_are_numpys_of_those_that_stay():
    x, labels = classes(30, 10, 1)
    factor = 1 + normal(len(x), seed=1).abs()
    means, covariances, counts = class_gaussians(x, labels, factor, ClassGaussians(most=1.6))
    for kind in (0, 1):
        rows = x[(labels == kind) & (factor <= 1.6)].numpy()
        assert 2 < len(rows) < int((labels == kind).sum())
        assert counts[kind] == len(rows)
        assert means[kind].numpy() == pytest.approx(rows.mean(axis=0))
        assert covariances[kind].numpy() == pytest.approx(np.cov(rows.T))
    assert_close(means[2], x[labels == 2][0])
    assert covariances[2].eq(0).all()
    left, _, one = class_gaussians(x, labels, factor + 9, ClassGaussians())
    assert one.tolist() == [1, 1, 1]
    assert_close(left[0], x[labels == 0][factor[labels == 0].argmin()])


def borrowed_by_hand(means: Tensor, covariances: Tensor, counts: Tensor, p: TailBorrowing) -> tuple[Tensor, Tensor]:
    """Class by class, for classes in falling order of size."""
    mu, sigma, n = means.numpy(), covariances.numpy(), counts.numpy()
    heads = max(1, round(p.heads * len(n)))
    moved, wider = mu.copy(), sigma.copy()
    for k in range(heads, len(n)):
        near = sorted(range(heads), key=lambda j: np.linalg.norm(mu[j] - mu[k]))[: p.q]
        w = np.array([n[j] / np.linalg.norm(mu[j] - mu[k]) for j in near])
        w /= w.sum()
        moved[k] = (1 - p.gamma) * mu[k] + p.gamma * sum(v * mu[j] for v, j in zip(w, near, strict=True))
        if p.spread == "convex":
            wider[k] = (1 - p.gamma) * sigma[k] + p.gamma * sum(v * sigma[j] for v, j in zip(w, near, strict=True))
        else:
            wider[k] = (1 - p.gamma) ** 2 * sigma[k]
            wider[k] += p.gamma**2 * sum(v**2 * sigma[j] for v, j in zip(w, near, strict=True))
        wider[k] += p.alpha * np.eye(mu.shape[1])
    return torch.from_numpy(moved), torch.from_numpy(wider)


@pytest.mark.parametrize(
    "p",
    [
        TailBorrowing(),
        TailBorrowing(gamma=0.8, q=1, alpha=0.5, spread="convex"),
        TailBorrowing(q=9, heads=0.1),
        TailBorrowing(gamma=1, heads=0.9),
    ],
)
def test_small_classes_borrow_from_near_large_ones_and_these_stay(p: TailBorrowing):
    root = normal(6, 9, 4)
    given = normal(6, 4, seed=2), root.mT @ root, torch.tensor([50, 40, 30, 9, 5, 1])
    assert_close(tail_borrowing(*given, p), borrowed_by_hand(*given, p))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    mixed = tail_borrowing(*(part[order] for part in given), p)
    assert_close(mixed, tuple(part[order] for part in tail_borrowing(*given, p)))


def test_nothing_borrowed_is_nothing_changed():
    root = normal(5, 9, 4)
    given = normal(5, 4, seed=2), root.mT @ root, torch.tensor([50, 40, 30, 9, 5])
    assert_close(tail_borrowing(*given, TailBorrowing(gamma=0)), given[:2])


def test_what_is_drawn_has_the_mean_and_the_covariance_that_it_is_drawn_from():
    root = normal(2, 9, 4)
    means, covariances = normal(2, 4, seed=2), root.mT @ root / 9
    covariances[1, 3], covariances[1, :, 3] = 0, 0
    made = class_samples(means, covariances, normal(2, 20_000, 4, seed=3), ClassSamples())
    assert_close(made.mean(dim=1), means, rtol=0, atol=0.05)
    assert_close(torch.stack([torch.cov(rows.T) for rows in made]), covariances, rtol=0, atol=0.06)
    assert_close(made[1, :, 3], means[1, 3].expand(20_000))
