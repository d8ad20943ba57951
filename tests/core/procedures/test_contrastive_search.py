"""One step of contrastive search on any context and any candidates."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from core.procedures.contrastive_search import ContrastiveSearch, contrastive_search
from core.streams import stream

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
PENALTIES = st.floats(0, 1)
SEEDS = st.integers(0, 10_000)
few = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def drawn(sizes: tuple[int, int, int, int], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Context, candidates and their probabilities, which leave some for tokens that are no candidates."""
    texts, steps, count, dims = sizes
    g = stream(seed, "search")
    context, candidates = (torch.randn(texts, n, dims, generator=g, dtype=torch.float64) for n in (steps, count))
    return context, candidates, torch.rand(texts, count, generator=g, dtype=torch.float64).softmax(dim=1) * 0.9


def cosine(x: list[float], y: list[float]) -> float:
    dot = sum(u * v for u, v in zip(x, y, strict=True))
    return dot / math.sqrt(sum(u * u for u in x) * sum(v * v for v in y))


@few
@given(SIZES, PENALTIES, SEEDS)
def test_it_equals_slow_loops_and_stays_between_its_ends(sizes, penalty: float, seed: int):
    context, candidates, probability = drawn(sizes, seed)
    found = contrastive_search(context, candidates, probability, ContrastiveSearch(penalty=penalty))
    for b, (said, offered) in enumerate(zip(context.tolist(), candidates.tolist(), strict=True)):
        for k, candidate in enumerate(offered):
            alike = max(cosine(candidate, token) for token in said)
            expected = (1 - penalty) * float(probability[b, k]) - penalty * alike
            assert math.isclose(float(found[b, k]), expected, rel_tol=1e-9, abs_tol=1e-12)
    assert (found >= -penalty - 1e-12).all()
    assert (found <= 1 + 1e-12).all()


@few
@given(SIZES, SEEDS)
def test_without_a_penalty_it_is_greedy_and_with_nothing_else_it_flees_what_was_said(sizes, seed: int):
    context, candidates, probability = drawn(sizes, seed)
    greedy = contrastive_search(context, candidates, probability, ContrastiveSearch(penalty=0))
    assert torch.equal(greedy, probability)
    copied = torch.cat([candidates, 3 * context[:, :1]], dim=1)
    more = torch.cat([probability, probability[:, :1]], dim=1)
    fled = contrastive_search(context, copied, more, ContrastiveSearch(penalty=1))
    assert_close(fled[:, -1], -torch.ones(len(context), dtype=torch.float64))
    assert (fled >= fled[:, -1:] - 1e-12).all()


@few
@given(SIZES, PENALTIES, SEEDS)
def test_only_directions_count_in_any_order_and_the_more_was_said_the_less_is_left(sizes, penalty: float, seed: int):
    context, candidates, probability = drawn(sizes, seed)
    p, g = ContrastiveSearch(penalty=penalty), stream(seed, "order")
    found = contrastive_search(context, candidates, probability, p)
    turned, order = torch.randperm(sizes[1], generator=g), torch.randperm(sizes[2], generator=g)
    again = contrastive_search(5 * context[:, turned], 0.1 * candidates[:, order], probability[:, order], p)
    assert_close(again, found[:, order], rtol=1e-9, atol=1e-12)
    longer = torch.cat([context, torch.randn(context[:, :2].shape, generator=g, dtype=torch.float64)], dim=1)
    assert (contrastive_search(longer, candidates, probability, p) <= found + 1e-12).all()
