import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.diagnostics.geometry import (
    alignment,
    chance_alignment,
    chance_effective_rank,
    chance_modality_gap,
    chance_spectrum,
    chance_spread,
    chance_uniformity,
    effective_rank,
    max_rank,
    modality_gap,
    spectrum,
    spread,
    uniformity,
)
from core.losses.two_views import all_pairs
from tests.core.diagnostics.clouds import unit

ONE = (effective_rank, spectrum, spread, uniformity)
TWO = (alignment, modality_gap)


def simplex(n: int) -> torch.Tensor:
    return F.normalize(torch.eye(n, dtype=torch.float64) - 1 / n, dim=1)


def copies(*counts: int) -> torch.Tensor:
    """Each axis and its opposite, as often as asked: centred, so the singular values are sqrt(2 counts)."""
    axes = torch.eye(len(counts), dtype=torch.float64)
    return torch.cat(
        [axis.expand(count, -1) * sign for axis, count in zip(axes, counts, strict=True) for sign in (1, -1)]
    )


def test_alignment_equals_a_slow_loop():
    a, b = unit(20, 7, 1, torch.float64), unit(20, 7, 2, torch.float64)
    slow = sum(
        sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) for p, q in zip(a.tolist(), b.tolist(), strict=True)
    )
    assert alignment(a, b) == pytest.approx(slow / 20, abs=1e-12)
    assert alignment(a, a) == 0
    assert alignment(a, -a) == pytest.approx(4)


def test_uniformity_equals_a_slow_loop():
    z = unit(30, 7, 1, torch.float64)
    points = z.tolist()
    terms = [
        math.exp(-2 * sum((x - y) ** 2 for x, y in zip(points[i], points[j], strict=True)))
        for i in range(30)
        for j in range(i)
    ]
    assert uniformity(z) == pytest.approx(math.log(sum(terms) / len(terms)), abs=1e-12)


def test_uniformity_over_several_chunks_equals_one_matrix():
    z = unit(2500, 8, 1, torch.float64)
    squares = torch.pdist(z).square()
    assert uniformity(z) == pytest.approx(float((-2 * squares).exp().mean().log()), abs=1e-10)


def test_uniformity_at_its_ends():
    point = F.normalize(torch.ones(1, 3, dtype=torch.float64), dim=1)
    assert uniformity(point.expand(5, -1)) == pytest.approx(0, abs=1e-12)
    assert uniformity(torch.cat([point, -point])) == pytest.approx(-8)
    assert uniformity(simplex(10)) == pytest.approx(-4 * (1 + 1 / 9))
    with pytest.raises(ValueError, match="at least two"):
        uniformity(point)


@pytest.mark.parametrize("dim", [2, 3, 32])
def test_chance_is_where_random_unit_vectors_land(dim):
    """Within three standard errors of 30 draws of 200 items."""

    def lands(values: list[float], wanted: float) -> None:
        seen = torch.tensor(values, dtype=torch.float64)
        assert abs(float(seen.mean()) - wanted) < 3 * float(seen.std()) / math.sqrt(len(seen))

    clouds = [(unit(200, dim, k, torch.float64), unit(200, dim, 100 + k, torch.float64)) for k in range(30)]
    lands([alignment(a, b) for a, b in clouds], chance_alignment())
    lands([math.exp(uniformity(a)) for a, _ in clouds], math.exp(chance_uniformity(dim)))
    lands([spread(a) for a, _ in clouds], chance_spread(200))
    lands([modality_gap(a, b[:50]) ** 2 for a, b in clouds], chance_modality_gap(200, 50) ** 2)
    lands([effective_rank(a) for a, _ in clouds], chance_effective_rank(200, dim))


def test_chance_of_uniformity_on_the_circle_and_the_sphere_in_closed_form():
    """On the circle the mean of exp(4 cos) is the Bessel function I0(4); on the sphere it is sinh(4) / 4."""
    circle = sum(4 ** (2 * k) / (2 ** (2 * k) * math.factorial(k) ** 2) for k in range(40))
    assert chance_uniformity(2) == pytest.approx(math.log(circle) - 4, abs=1e-12)
    assert chance_uniformity(3) == pytest.approx(math.log(math.sinh(4) / 4) - 4, abs=1e-12)


def test_simulated_chance_is_the_same_each_time_and_follows_the_seed():
    chance_effective_rank.cache_clear()
    first = chance_effective_rank(40, 8)
    chance_effective_rank.cache_clear()
    assert chance_effective_rank(40, 8) == first != chance_effective_rank(40, 8, seed=1)
    assert sum(chance_spectrum(40, 8)) == pytest.approx(1)
    assert list(chance_spectrum(40, 8)) == sorted(chance_spectrum(40, 8), reverse=True)


@pytest.mark.parametrize("counts", [(3,), (2, 2), (8, 2), (9, 4, 1), (5, 5, 5, 5)])
def test_effective_rank_is_the_entropy_of_singular_values(counts):
    values = [math.sqrt(2 * count) for count in counts]
    shares = [value / sum(values) for value in values]
    wanted = math.exp(-sum(share * math.log(share) for share in shares))
    assert effective_rank(copies(*counts)) == pytest.approx(wanted)
    assert spectrum(copies(*counts)).tolist() == pytest.approx(sorted(shares, reverse=True))


def test_effective_rank_is_that_of_the_centred_embeddings():
    """Two points are one line, wherever they lie."""
    a = torch.tensor([[0.6, 0.8], [0.8, 0.6], [0.6, 0.8]])
    assert effective_rank(a) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("n", [2, 5, 40])
def test_fewer_items_than_dimensions_reach_one_less_than_the_items(n):
    assert effective_rank(simplex(n)) == pytest.approx(n - 1) == pytest.approx(max_rank(n, 64))
    assert effective_rank(unit(n, 64, 1)) <= max_rank(n, 64) + 1e-4


def test_more_items_than_dimensions_reach_the_dimensions():
    assert effective_rank(copies(7, 7, 7)) == pytest.approx(3) == pytest.approx(max_rank(42, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 3, 4000])
def test_no_variance_is_full_collapse_and_not_none(n, dtype):
    z = unit(1, 96, 5, dtype).expand(n, -1)
    assert effective_rank(z) == 0
    assert spectrum(z).sum() == 0
    assert spread(z) == pytest.approx(0, abs=1e-10)


def test_a_little_variance_is_not_full_collapse():
    z = F.normalize(unit(1, 8) + 1e-4 * torch.randn(50, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    assert effective_rank(z) > 5


def test_spread_and_gap_by_hand():
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert spread(a) == pytest.approx(0.5)
    assert spread(torch.cat([a, -a])) == pytest.approx(1)
    assert modality_gap(a, -a) == pytest.approx(math.sqrt(2))
    assert modality_gap(a[:1], -a[:1]) == pytest.approx(2)
    assert modality_gap(a, a[[1, 0]]) == 0


@pytest.mark.parametrize("number", ONE + TWO, ids=lambda f: f.__name__)
def test_only_unit_rows_are_taken_and_arrays_give_the_same_number(number):
    z = unit(6, 4, 1)
    given = (z, unit(6, 4, 2)) if number in TWO else (z,)
    seen = number(*(x.numpy().astype(np.float64) for x in given))
    assert torch.as_tensor(seen).tolist() == pytest.approx(torch.as_tensor(number(*given)).tolist(), abs=1e-5)
    with pytest.raises(ValueError, match="unit rows are expected"):
        number(*(1.5 * x for x in given))


def test_pairs_need_partners():
    with pytest.raises(ValueError, match="row by row"):
        alignment(unit(4, 3), unit(5, 3))


def test_rotation_changes_nothing():
    turn = torch.linalg.qr(unit(6, 6, 9, torch.float64)).Q
    a, b = unit(40, 6, 1, torch.float64), unit(40, 6, 2, torch.float64)
    for number in ONE[:1] + ONE[2:]:
        assert number(a @ turn) == pytest.approx(number(a))
    for number in TWO:
        assert number(a @ turn, b @ turn) == pytest.approx(number(a, b))


def test_embeddings_in_a_graph_are_taken_without_it():
    a = unit(4, 3).requires_grad_()
    assert all_pairs(a, a).scores.requires_grad
    assert not spectrum(a).requires_grad
