import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from core.diagnostics.recommending import by_user, first, recommendation

TABLES = st.tuples(st.integers(1, 5), st.integers(2, 9), st.integers(0, 10_000))


def made(users: int, items: int, seed: int, levels: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, of `levels` different values if any, and who wants what."""
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(users, items, generator=g, dtype=torch.float64)
    scores = torch.randint(levels, (users, items), generator=g).double() if levels else scores
    return scores, torch.rand(users, items, generator=g) < 0.4


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES, st.sampled_from([1, 2, 3, 5, 20]), st.sampled_from([0, 2, 3]))
def test_ndcg_equals_scikit_learn_with_its_ties(table, k, levels):
    scores, wanted = made(*table, levels=levels)
    for s, y, seen in zip(scores.numpy(), wanted.numpy(), by_user(scores, wanted, k)["ndcg"].tolist(), strict=True):
        assert seen == pytest.approx(ndcg_score([y.astype(float)], [s], k=k), abs=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES, st.sampled_from([1, 2, 3, 5, 20]))
def test_map_inside_the_list_is_scikit_learn_on_the_first_k(table, k):
    scores, wanted = made(*table)
    for s, y, seen in zip(
        scores.numpy(), wanted.numpy(), by_user(scores, wanted, k)["map_inside"].tolist(), strict=True
    ):
        top = np.argsort(-s)[:k]
        assert seen == pytest.approx(average_precision_score(y[top], s[top]) if y[top].any() else 0, abs=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES)
def test_map_over_the_whole_list_is_the_average_precision(table):
    scores, wanted = made(*table)
    found = by_user(scores, wanted, scores.shape[1])
    for s, y, one, other in zip(scores.numpy(), wanted.numpy(), found["map"], found["map_inside"], strict=True):
        expected = average_precision_score(y, s) if y.any() else 0
        assert float(one) == pytest.approx(expected, abs=1e-12)
        assert float(other) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES, st.sampled_from([1, 2, 4]), st.sampled_from([0, 2]))
def test_recall_hits_and_map_equal_a_slow_count(table, k, levels):
    scores, wanted = made(*table, levels=levels)
    found = by_user(scores, wanted, k)
    for u, (s, y) in enumerate(zip(scores.tolist(), wanted.tolist(), strict=True)):
        order = sorted(range(len(s)), key=lambda i: (-s[i], y[i]))[:k]
        hits, precision = 0, 0.0
        for place, item in enumerate(order, 1):
            hits += y[item]
            precision += y[item] * hits / place
        assert float(found["recall"][u]) == pytest.approx(hits / max(sum(y), 1))
        assert float(found["hit"][u]) == float(hits > 0)
        assert float(found["map"][u]) == pytest.approx(precision / max(min(sum(y), k), 1))
        assert float(found["map_inside"][u]) == pytest.approx(precision / max(hits, 1))


def test_the_form_inside_the_list_flatters():
    """One of ten wanted items, found at the second place: the released form says 1/2, the usual one 1/20."""
    scores, wanted = -torch.arange(30.0)[None], torch.zeros(1, 30, dtype=torch.bool)
    wanted[0, [1, *range(21, 30)]] = True
    found = recommendation(scores, wanted, k=10)
    assert (found.map_inside, found.map) == (pytest.approx(1 / 2), pytest.approx(1 / 20))


def test_scores_that_are_all_alike_win_nothing_by_the_order_of_the_items():
    wanted = torch.zeros(2, 20, dtype=torch.bool)
    wanted[:, :3] = True
    found = recommendation(torch.zeros(2, 20), wanted, k=5)
    assert (found.recall, found.hit, found.map, found.map_inside) == (0, 0, 0, 0)
    chance = sum(1 / math.log2(r + 2) for r in range(5)) * 3 / 20
    assert found.ndcg == pytest.approx(chance / sum(1 / math.log2(r + 2) for r in range(3)))


def test_users_who_want_nothing_are_left_out_or_count_as_0():
    scores, wanted = made(4, 12, seed=1)
    wanted[2] = False
    out, zero = recommendation(scores, wanted, k=3), recommendation(scores, wanted, k=3, without="zero")
    assert (out.users, out.without, zero.users, zero.without) == (3, 1, 4, 1)
    for name in ("ndcg", "recall", "hit", "map", "map_inside"):
        assert getattr(zero, name) == pytest.approx(0.75 * getattr(out, name))


def test_an_item_that_is_no_candidate_is_never_recommended():
    scores, wanted = torch.tensor([[3.0, -torch.inf, 1.0, -torch.inf]]), torch.tensor([[False, False, True, False]])
    assert recommendation(scores, wanted, k=2) == recommendation(scores[:, [0, 2]], wanted[:, [0, 2]], k=2)
    assert first(scores, wanted, 4).tolist() == [[False, True, False, False]]


def test_numpy_ratings_will_do():
    scores, wanted = made(3, 6, seed=4)
    assert recommendation(scores.numpy(), wanted.double().numpy(), k=2) == recommendation(scores, wanted, k=2)


@pytest.mark.parametrize(
    ("scores", "wanted", "k", "said"),
    [
        (torch.zeros(2, 3), torch.ones(2, 4), 1, "of both"),
        (torch.zeros(2, 3), torch.ones(2, 3), 0, "k = 0"),
        (torch.full((2, 3), math.nan), torch.ones(2, 3), 1, "NaN"),
        (torch.full((2, 3), -math.inf), torch.ones(2, 3), 1, "no candidate"),
        (torch.zeros(2, 3), torch.zeros(2, 3), 1, "no user"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(scores, wanted, k, said):
    with pytest.raises(ValueError, match=said):
        recommendation(scores, wanted, k=k)
