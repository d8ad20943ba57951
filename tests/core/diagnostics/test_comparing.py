import math

import pytest
import torch
import torch.nn.functional as F
from scipy.linalg import orthogonal_procrustes
from scipy.stats import hypergeom

from core.diagnostics.comparing import chance_overlap, compare, neighbour_overlap, procrustes
from core.diagnostics.kernel_alignment import cka
from core.diagnostics.verdicts import changed
from tests.core.diagnostics.clouds import groups, unit


def word(found) -> str:
    return changed(found.overlap, found.chance_overlap, found.moved, found.chance_moved).word


def turned(z: torch.Tensor, wider: int = 0) -> torch.Tensor:
    """A copy, turned and mirrored, in a space that is `wider`."""
    dim = z.shape[1] + wider
    turn = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64))[0]
    return (F.pad(z.double(), (0, wider)) @ turn).to(z)


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("wider", [0, 5])
def test_a_turned_copy_shows_no_change(dtype, rounding, wider):
    z = F.normalize(groups(1100, 8, 5, 0.3)[0].to(dtype), dim=1)
    for a, b in ((z, turned(z, wider)), (turned(z, wider), z)):
        found = compare(a, b)
        assert float(found.distances.max()) < rounding
        assert found.cka == pytest.approx(1, abs=10 * rounding)
        assert found.overlap == pytest.approx(1, abs=1e-12 if dtype == torch.float64 else 1e-3)
        assert word(found) == "no change"


def test_a_shuffled_copy_shows_chance():
    z, _ = groups(400, 8, 5, 1.0)
    found = compare(z, z[torch.randperm(400, generator=torch.Generator().manual_seed(1))])
    assert abs(found.cka) < 0.02
    assert found.overlap == pytest.approx(found.chance_overlap, abs=0.01)
    assert found.moved == pytest.approx(found.chance_moved, rel=0.05)
    assert word(found) == "unrelated"


def test_the_items_that_were_moved_are_named_furthest_first():
    z = unit(300, 16, 1)
    other = turned(z).clone()
    moved = [7, 80, 200]
    other[moved] = -other[moved]
    found = compare(z, other, most=3)
    assert sorted(found.most_moved.tolist()) == moved
    assert float(found.distances[moved].min()) > 1.9
    assert float(found.distances[0]) < 0.1
    assert len(compare(z, other).most_moved) == 50
    assert word(found) == "alike"


@pytest.mark.parametrize("wide", [6, 9])
def test_the_alignment_is_that_of_scipy(wide):
    a, b = unit(40, 6, 1, torch.float64), unit(40, wide, 2, torch.float64)
    padded = F.pad(a, (0, wide - 6))
    by_scipy = b.numpy() @ orthogonal_procrustes(b.numpy(), padded.numpy())[0]
    assert (padded - procrustes(a, b)).norm() == pytest.approx(float((padded - torch.from_numpy(by_scipy)).norm()))
    if wide == 6:
        assert procrustes(a, b).numpy() == pytest.approx(by_scipy, abs=1e-9)
    assert torch.allclose(procrustes(a, b) @ procrustes(a, b).T, b @ b.T)


def test_the_overlap_is_the_jaccard_index_of_the_neighbours():
    a, b = unit(50, 4, 1, torch.float64), unit(50, 7, 2, torch.float64)

    def near(z, i):
        return set((z @ z[i]).index_fill(0, torch.tensor(i), -9).topk(6).indices.tolist())

    wanted = [len(near(a, i) & near(b, i)) / len(near(a, i) | near(b, i)) for i in range(50)]
    assert neighbour_overlap(a, b, k=6).tolist() == pytest.approx(wanted)
    assert compare(a, b, k=6).overlap == pytest.approx(sum(wanted) / 50)
    assert compare(a, b).cka == cka(a, b, unbiased=True)


def test_equal_items_are_the_same_neighbours_whatever_their_order():
    z = unit(30, 4, 1, torch.float64).repeat(3, 1)
    assert neighbour_overlap(z, turned(z), k=1).tolist() == pytest.approx([1.0] * 90)


def test_one_point_has_the_neighbours_of_chance():
    z, point = unit(60, 4, 1), unit(1, 4, 2).expand(60, -1)
    found = compare(z, point, k=5)
    assert found.overlap == pytest.approx((5 * 5 / 59) / (5 + 5 - 5 * 5 / 59), rel=1e-5)
    assert math.isnan(found.cka)


@pytest.mark.parametrize(("n", "k"), [(30, 5), (12, 10), (11, 10), (2000, 10)])
def test_chance_is_the_mean_over_independent_neighbours(n, k):
    x = range(k + 1)
    wanted = sum(hypergeom(n - 1, k, k).pmf(v) * v / (2 * k - v) for v in x)
    assert chance_overlap(n, k) == pytest.approx(wanted)


def test_other_items_are_refused():
    with pytest.raises(ValueError, match="the same items"):
        compare(unit(9, 4), unit(8, 4))
    with pytest.raises(ValueError, match="at least four"):
        compare(unit(3, 4), unit(3, 4))
