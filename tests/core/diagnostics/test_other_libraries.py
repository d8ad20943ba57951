"""Numbers that torchmetrics has as well, which computes most of them in float32."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional import pairwise_cosine_similarity, pairwise_euclidean_distance
from torchmetrics.functional.classification import (
    binary_accuracy,
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_recall,
)
from torchmetrics.functional.regression import mean_absolute_error, pearson_corrcoef, spearman_corrcoef
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_recall,
    retrieval_reciprocal_rank,
)
from torchmetrics.functional.shape import procrustes_disparity

from core.diagnostics.choosing import rank_correlation
from core.diagnostics.comparing import procrustes
from core.diagnostics.geometry import alignment, uniformity
from core.diagnostics.isotropy import isotropy
from core.diagnostics.kernel_alignment import anisotropy
from core.diagnostics.probes import knn_accuracy, knn_vote
from core.diagnostics.recommending import recommendation
from core.diagnostics.regression import signed_regression
from core.diagnostics.retrieval import retrieval
from core.diagnostics.separation import weakest_classes
from core.diagnostics.tolerance import tolerance
from tests.core.diagnostics.clouds import groups, unit

SINGLE = 1e-6
Z, OTHER = unit(30, 7, 1, torch.float64), unit(30, 7, 2, torch.float64)


def above_zero(scores: Tensor) -> Tensor:
    """The same order; they take a score of 0 or below for an item that is not retrieved."""
    return scores.sigmoid()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.integers(1, 6), st.sampled_from([1, 2, 5, 20]), st.integers(0, 10_000))
def test_recommendation(items: int, users: int, k: int, seed: int):
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(users, items, generator=g, dtype=torch.float64)
    wanted = torch.rand(users, items, generator=g) < 0.4
    wanted[:, 0] = True
    found = recommendation(scores, wanted, k=k)
    for ours, theirs in (
        (found.ndcg, retrieval_normalized_dcg),
        (found.recall, retrieval_recall),
        (found.hit, retrieval_hit_rate),
        (found.map_inside, retrieval_average_precision),
    ):
        each = [theirs(above_zero(s), y, top_k=k) for s, y in zip(scores, wanted, strict=True)]
        assert ours == pytest.approx(float(torch.stack(each).double().mean()), abs=SINGLE)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 5), st.integers(6, 70), st.integers(0, 10_000))
def test_shared_scores_share_their_gain(levels: int, items: int, seed: int):
    g = torch.Generator().manual_seed(seed)
    scores, wanted = torch.randint(levels + 1, (1, items), generator=g).float(), torch.rand(1, items, generator=g) < 0.3
    wanted[:, 0] = True
    theirs = retrieval_normalized_dcg(scores[0], wanted[0], top_k=5)
    assert recommendation(scores, wanted, k=5).ndcg == pytest.approx(float(theirs), abs=SINGLE)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(1, 12), st.integers(2, 60), st.integers(0, 10_000))
def test_retrieval(queries: int, size: int, seed: int):
    """Recalls are the hit rates of one true item; ranks are read off the reciprocal rank."""
    gallery, asked = unit(size, 5, seed, torch.float64), unit(queries, 5, seed + 1, torch.float64)
    target = torch.randint(size, (queries,), generator=torch.Generator().manual_seed(seed))
    scores = above_zero(asked @ gallery.T)
    truth = torch.nn.functional.one_hot(target, size).bool()
    found, rows = retrieval(asked, gallery, target), list(zip(scores, truth, strict=True))
    for k, ours in ((1, found.r1), (5, found.r5), (10, found.r10), (50, found.r50)):
        each = [retrieval_hit_rate(s, y, top_k=k) for s, y in rows]
        assert ours == pytest.approx(float(torch.stack(each).mean()), abs=SINGLE)
    ranks = 1 / torch.stack([retrieval_reciprocal_rank(s, y) for s, y in rows])
    assert found.mean_rank == pytest.approx(float(ranks.mean()), rel=SINGLE)
    assert found.median_rank == pytest.approx(float(ranks.quantile(0.5)), rel=SINGLE)


def test_distances_and_cosines_of_all_pairs():
    labels = torch.arange(30) % 4
    mates = (labels[:, None] == labels[None, :]).fill_diagonal_(False)
    others = ~torch.eye(30, dtype=torch.bool)
    cosine, distance = pairwise_cosine_similarity(Z), pairwise_euclidean_distance(Z)
    assert anisotropy(Z) == pytest.approx(float(cosine[others].mean()), abs=1e-12)
    assert tolerance(Z, labels) == pytest.approx(float(cosine[mates].mean()), abs=1e-12)
    assert uniformity(Z) == pytest.approx(float((-2 * distance[others].square()).exp().mean().log()), abs=1e-9)
    across = pairwise_euclidean_distance(Z, OTHER).diagonal()
    assert alignment(Z, OTHER) == pytest.approx(float(across.square().mean()), abs=1e-9)


def test_isotropy_is_one_less_the_mean_cosine_within_a_text():
    texts, mask = Z.unflatten(0, (5, 6)), torch.ones(5, 6, dtype=torch.bool)
    mask[1, 4:] = mask[3, 1:] = False
    cosines = []
    for text, here in zip(texts, mask, strict=True):
        present = text[here]
        cosines.append(pairwise_cosine_similarity(present)[~torch.eye(len(present), dtype=torch.bool)])
    assert isotropy(texts, mask) == pytest.approx(1 - float(torch.cat(cosines).mean()), abs=1e-12)


def test_signs_and_errors_of_a_regression():
    g = torch.Generator().manual_seed(3)
    truth = torch.randint(-3, 4, (60,), generator=g).double()
    predicted = truth + 2 * torch.randn(60, generator=g, dtype=torch.float64)
    found, has = signed_regression(predicted, truth), truth != 0
    right, said = (truth[has] > 0).long(), (predicted[has] > 0).long()
    assert found.mae == pytest.approx(float(mean_absolute_error(predicted, truth)), abs=SINGLE)
    assert found.correlation == pytest.approx(float(pearson_corrcoef(predicted, truth)), abs=SINGLE)
    assert found.accuracy == pytest.approx(float(binary_accuracy(said, right)), abs=SINGLE)
    for ours, pair in ((found.f1, (said, right)), (found.f1_released, (right, said))):
        theirs = multiclass_f1_score(*pair, num_classes=2, average="weighted")
        assert ours == pytest.approx(float(theirs), abs=SINGLE)
    assert found.f1 != found.f1_released


def test_accuracy_of_neighbours():
    z, labels = groups(120, 8, 4, noise=0.6, seed=1)
    test, truth = groups(80, 8, 4, noise=0.9, seed=1)
    found = knn_accuracy(z, labels, test, truth, k=7)
    theirs = multiclass_accuracy(knn_vote(z, labels, test, 7), truth, num_classes=4, average="micro")
    assert 0.3 < found.accuracy < 1
    assert found.accuracy == pytest.approx(float(theirs), abs=SINGLE)
    by_class = multiclass_recall(knn_vote(z, labels, test, 7), truth, num_classes=4, average="none")
    for one in weakest_classes(z, labels, test, truth, k=7):
        assert one.recall == pytest.approx(float(by_class[one.label]), abs=SINGLE)


def test_the_correlation_of_ranks():
    g = torch.Generator().manual_seed(5)
    x = torch.randint(8, (20,), generator=g).double()
    y = x + torch.randint(6, (20,), generator=g)
    assert rank_correlation(x.tolist(), y.tolist()).rho == pytest.approx(float(spearman_corrcoef(x, y)), abs=SINGLE)


def test_what_is_left_after_procrustes():
    """They move both clouds to the origin, where these are, and scale one: 1 less the square of the mean cosine."""
    a, b = (torch.cat([z, -z]) for z in (Z, OTHER))
    cosine = (a * procrustes(a, b)).sum(dim=1).mean()
    assert float(1 - cosine**2) == pytest.approx(float(procrustes_disparity(a[None], b[None])), abs=SINGLE)
