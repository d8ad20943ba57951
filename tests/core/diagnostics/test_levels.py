import math

import pytest
import torch
import torch.nn.functional as F

from core.diagnostics.levels import chance_level, floor_level
from core.losses.clip import Clip
from core.losses.dcl import DCL
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.nt_xent import NTXent
from core.losses.ranking import Ranking
from core.losses.registry import LOSSES
from core.losses.supcon import SupCon
from core.losses.triplet import Triplet

CASES = [
    pytest.param(entry.params(**v), id=f"{entry.key}-{k}")
    for entry in LOSSES
    if entry.pairwise
    for k, v in enumerate(entry.variants)
]


@pytest.mark.parametrize("n", [2, 48])
@pytest.mark.parametrize(
    ("p", "paid"),
    [
        (InfoNCE(), lambda n: math.log(n)),
        (InfoNCE(temperature=0.5, margin=0.3), lambda n: math.log(1 + (n - 1) * math.exp(0.6))),
        (Clip(learned=True), lambda n: math.log(n)),
        (NTXent(), lambda n: math.log(2 * n - 1)),
        (DCL(margin=0.2), lambda n: math.log(2 * n - 2) + 2),
        (Ranking(), lambda n: 2 * 0.2 * (n - 1) / n),
        (Ranking(margin=0.5, violation="max", normalise=False), lambda n: 2 * 0.5 * n),
        (Ranking(margin=0), lambda n: 0),
        (Triplet(), lambda n: 0.5),
        (Triplet(over="sum", squared=True, margin=1.5), lambda n: 1.5),
    ],
)
def test_the_chance_level_in_closed_form(p, paid, n):
    assert chance_level(p, n) == pytest.approx(paid(n), abs=1e-12)


def test_the_chance_level_of_a_loss_with_labels_follows_them():
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    wanted = math.log(sum(math.exp(0) for _ in range(11)))
    assert chance_level(SupCon(), 6, labels) == pytest.approx(wanted)
    lead = SupCon(margin=0.1)
    slow = 0.0
    for label in labels.tolist():
        same = 2 * labels.tolist().count(label) - 1
        slow += math.log(same * math.exp(-1) + (11 - same)) + 1
    assert chance_level(lead, 6, labels) == pytest.approx(slow / 6)
    assert chance_level(lead, 6, labels) != pytest.approx(chance_level(lead, 6))


@pytest.mark.parametrize("kind", ["coot", "cycle", "gmc"])
def test_of_a_loss_that_needs_more_than_pairs_only_the_chance_level_is_known(kind):
    p = LOSSES[kind].params()
    assert floor_level(p, 12, 16) is None
    assert math.isfinite(chance_level(p, 12))
    assert chance_level(LOSSES["gmc"].params(), 12) == pytest.approx(3 * math.log(23))


def slow_info_nce(points: torch.Tensor, temperature: float) -> float:
    total = 0.0
    for i, x in enumerate(points.tolist()):
        scores = [sum(u * v for u, v in zip(x, y, strict=True)) / temperature for y in points.tolist()]
        total += math.log(sum(math.exp(s) for s in scores)) - scores[i]
    return total / len(points)


def test_the_floor_on_the_circle_is_that_of_evenly_spaced_points():
    angles = [2 * math.pi * k / 48 for k in range(48)]
    points = torch.tensor([[math.cos(t), math.sin(t)] for t in angles], dtype=torch.float64)
    seen = floor_level(InfoNCE(temperature=0.15), 48, 2)
    assert seen == pytest.approx(slow_info_nce(points, 0.15), abs=1e-10)
    assert seen == pytest.approx(2.024, abs=5e-4)


@pytest.mark.parametrize(("n", "dim"), [(5, 4), (5, 64), (3, 2), (2, 2), (2, 1)])
def test_the_floor_of_a_simplex_in_closed_form(n, dim):
    apart = -1 / (n - 1)
    wanted = math.log(1 + (n - 1) * math.exp((apart - 1) / 0.1))
    assert floor_level(InfoNCE(), n, dim) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("n", "dim", "known"), [(5, 4, True), (5, 3, False), (5, 2, True), (48, 46, False), (48, 47, True)]
)
def test_the_floor_is_known_on_the_circle_and_where_a_simplex_fits(n, dim, known):
    assert (floor_level(InfoNCE(), n, dim) is not None) == known


def test_a_hinge_that_falls_silent_pays_exactly_nothing():
    assert floor_level(Ranking(), 48, 64) == 0
    assert floor_level(Triplet(), 48, 64) == 0
    assert floor_level(Ranking(), 48, 2) > 0
    assert floor_level(Ranking(), 8, 2) == 0


def test_with_labels_there_is_one_point_for_each_class():
    """Three classes of two items, both views: 3 positives at 1 and 8 others at -1/2."""
    labels = torch.tensor([4, 4, 7, 7, 9, 9])
    wanted = math.log(3 * math.exp(10) + 8 * math.exp(-5)) - 10
    assert floor_level(SupCon(), 6, 2, labels) == pytest.approx(wanted)
    assert floor_level(SupCon(), 6, 2, labels.numpy()) == pytest.approx(wanted)
    assert floor_level(SupCon(), 40, 18, torch.arange(40) // 2) is None
    one = floor_level(SupCon(), 6, 3, torch.zeros(6))
    assert one == pytest.approx(math.log(11))


@pytest.mark.parametrize("p", CASES)
@pytest.mark.parametrize("dim", [2, 16])
def test_no_loss_pays_more_on_its_floor_than_at_chance(p, dim):
    floor, chance = floor_level(p, 12, dim), chance_level(p, 12)
    if p.kind == "cwcl" and p.temperature < 0.1:
        assert floor is None, "its soft targets make strangers positives too, so that spread points pay more"
        return
    assert math.isfinite(floor)
    assert math.isfinite(chance)
    assert floor < chance or max(abs(floor), abs(chance)) < 1e-12


@pytest.mark.parametrize("dim", [2, 16])
def test_small_moves_from_the_floor_cost_more(dim):
    """The evenly spaced points are a local minimum of InfoNCE, though nothing here proves more."""
    p, n = InfoNCE(temperature=0.3), 12
    angle = torch.arange(n, dtype=torch.float64) * 2 * math.pi / n
    points = F.normalize(
        torch.eye(n, 16, dtype=torch.float64) - torch.cat([torch.full((n, n), 1 / n), torch.zeros(n, 4)], 1)
    )
    points = torch.stack([angle.cos(), angle.sin()], 1) if dim == 2 else points
    assert float(info_nce(points, points, p).total()) == pytest.approx(floor_level(p, n, dim))
    for seed in range(10):
        g = torch.Generator().manual_seed(seed)
        a, b = (F.normalize(points + 0.01 * torch.randn(points.shape, generator=g, dtype=torch.float64)) for _ in "ab")
        assert float(info_nce(a, b, p).total()) > floor_level(p, n, dim)
