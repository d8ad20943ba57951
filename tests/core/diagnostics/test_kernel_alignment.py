import math

import pytest
import torch

from core.diagnostics.kernel_alignment import anisotropy, cka, cknna, cycle_knn, mutual_knn
from tests.core.diagnostics.clouds import groups, unit

BOTH = (mutual_knn, cycle_knn, cka, cknna)
A, B = unit(40, 6, 1, torch.float64), unit(40, 9, 2, torch.float64)


def near(z: torch.Tensor, k: int) -> list[list[int]]:
    """The k nearest others of each item, by sorting."""
    rows = z.tolist()
    found = []
    for i, x in enumerate(rows):
        score = {j: sum(u * v for u, v in zip(x, y, strict=True)) for j, y in enumerate(rows) if j != i}
        found.append(sorted(score, key=lambda j, s=score: -s[j])[:k])
    return found


def hsic(k: torch.Tensor, m: torch.Tensor) -> float:
    """Song et al. 2012, unbiased, on two matrices of similarities with their diagonals taken out."""
    n = len(k)
    k, m = k.clone().fill_diagonal_(0), m.clone().fill_diagonal_(0)
    ones = torch.ones(n, dtype=k.dtype)
    middle = float(ones @ k @ ones) * float(ones @ m @ ones) / ((n - 1) * (n - 2))
    return (float((k @ m).trace()) + middle - 2 / (n - 2) * float(ones @ k @ m @ ones)) / (n * (n - 3))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_neighbours_equal_slow_loops(k: int):
    x, y = near(A, k), near(B, k)
    shared = [len(set(p) & set(q)) / k for p, q in zip(x, y, strict=True)]
    assert mutual_knn(A, B, k=k) == pytest.approx(sum(shared) / 40, abs=1e-12)
    back = [any(i in x[j] for j in y[i]) for i in range(40)]
    assert cycle_knn(A, B, k=k) == pytest.approx(sum(back) / 40, abs=1e-12)


def test_cka_equals_its_definition_on_matrices_of_similarities():
    centre = torch.eye(40, dtype=torch.float64) - 1 / 40
    k, m = A @ A.T, B @ B.T
    biased = [float((p @ centre @ q @ centre).trace()) for p, q in ((k, m), (k, k), (m, m))]
    assert cka(A, B) == pytest.approx(biased[0] / math.sqrt(biased[1] * biased[2]), abs=1e-10)
    assert cka(A, B, unbiased=True) == pytest.approx(hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m)), abs=1e-10)


@pytest.mark.parametrize("k", [3, 10])
def test_cknna_equals_its_definition_on_masked_similarities(k: int):
    s, t = A @ A.T, B @ B.T
    masks = []
    for z in (A, B):
        mask = torch.zeros(40, 40, dtype=torch.float64)
        for i, found in enumerate(near(z, k)):
            mask[i, found] = 1
        masks.append(mask)
    x, y = masks
    both, first, second = hsic(x * y * s, x * y * t), hsic(x * s, x * s), hsic(y * t, y * t)
    assert cknna(A, B, k=k) == pytest.approx(both / math.sqrt(first * second), abs=1e-10)


@pytest.mark.parametrize("k", [1, 5, 39])
def test_a_space_is_like_itself_turned(k: int):
    turn = torch.linalg.qr(unit(6, 6, 3, torch.float64))[0]
    for measure in (mutual_knn, cknna):
        assert measure(A, A @ turn, k=k) == pytest.approx(1, abs=1e-9)
    assert cka(A, A @ turn) == pytest.approx(1, abs=1e-9)
    assert cka(A, A @ turn, unbiased=True) == pytest.approx(1, abs=1e-9)


def test_with_everyone_as_a_neighbour_cknna_is_unbiased_cka():
    assert cknna(A, B, k=39) == pytest.approx(cka(A, B, unbiased=True), abs=1e-10)
    assert mutual_knn(A, B, k=39) == 1


def test_independent_spaces_are_as_alike_as_chance_says():
    """Within four standard errors of twenty pairs of clouds, wide beside their number: bias shows, and is taken out."""
    pairs = [(unit(60, 64, 2 * s, torch.float64), unit(60, 64, 2 * s + 1, torch.float64)) for s in range(20)]
    for found, chance in (
        ([mutual_knn(a, b, k=5) for a, b in pairs], 5 / 59),
        ([cka(a, b, unbiased=True) for a, b in pairs], 0),
    ):
        x = torch.tensor(found)
        assert abs(float(x.mean()) - chance) < 4 * float(x.std()) / math.sqrt(len(x))
    assert min(cka(a, b) for a, b in pairs) > 0.4


def test_noise_makes_spaces_less_alike():
    z, _ = groups(80, 8, 4, 0.3)
    noisy = [torch.nn.functional.normalize(z + s * unit(80, 8, 5), dim=1) for s in (0.1, 0.5, 2.0)]
    for measure in (mutual_knn, cka, cknna):
        values = [measure(z, other) for other in noisy]
        assert values == sorted(values, reverse=True)


def test_anisotropy_is_the_mean_cosine_of_two_items():
    cosines = A @ A.T
    slow = sum(float(cosines[i, j]) for i in range(40) for j in range(i)) / (40 * 39 / 2)
    assert anisotropy(A) == pytest.approx(slow, abs=1e-12)
    point = unit(1, 6, 1, torch.float64)
    assert anisotropy(point.expand(7, -1)) == pytest.approx(1)
    assert anisotropy(torch.cat([point, -point])) == pytest.approx(-1)


def test_a_point_has_nothing_to_be_alike_in():
    point = unit(1, 6, 1, torch.float64).expand(40, -1)
    assert math.isnan(cka(point, B))
    assert math.isnan(cka(B, point, unbiased=True))
    assert math.isnan(cknna(B, point, k=39))


@pytest.mark.parametrize("measure", BOTH)
def test_what_cannot_be_measured_is_refused(measure):
    with pytest.raises(ValueError, match="pair them row by row"):
        measure(A, B[:-1])
    with pytest.raises(ValueError, match="unit rows"):
        measure(A, 2 * B)
    if measure is not cka:
        with pytest.raises(ValueError, match="39 others"):
            measure(A, B, k=40)
    if measure in (cka, cknna):
        with pytest.raises(ValueError, match="at least 4"):
            measure(A[:3], B[:3])


def test_anisotropy_needs_a_pair():
    with pytest.raises(ValueError, match="at least two"):
        anisotropy(A[:1])
