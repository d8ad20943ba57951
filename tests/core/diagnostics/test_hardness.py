import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.diagnostics.forces import forces
from core.diagnostics.hardness import (
    BOUNDS,
    Hardness,
    active_share,
    gaps,
    hardness,
    share_by_hardness,
    share_of_hardest,
)
from core.losses.clip import Clip, clip
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.ranking import Ranking, ranking
from core.losses.triplet import Triplet, triplet
from core.paid import Pairs, Role
from tests.core.diagnostics.clouds import one_row, square, unit


def slow_hardness(pairs: Pairs, margin: list[float], both: bool) -> list[list[int]]:
    s, role = pairs.scores.tolist(), pairs.role.tolist()
    rows, columns = len(s), len(s[0])

    def level(score: float, positives: list[float], m: float) -> int:
        if not positives:
            return 0
        p = min(positives)
        return 3 if score > p else 2 if score > p - m else 1

    found = [[0] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            if role[i][j] in (2, 3, 4):
                found[i][j] = level(s[i][j], [s[i][k] for k in range(columns) if role[i][k] == 1], margin[i])
                if both:
                    column = [s[k][j] for k in range(rows) if role[k][j] == 1]
                    found[i][j] = max(found[i][j], level(s[i][j], column, margin[j]))
    return found


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_hardness_equals_a_slow_loop(seed, both):
    pairs = square(7, seed)
    role = pairs.role.clone()
    role[0, 3], role[1, 4], role[2, 5], role[3, 3], role[4, 0] = 3, 4, 0, 2, 1
    pairs = Pairs(pairs.scores, role)
    margin = torch.linspace(0, 1.2, 7, dtype=torch.float64)
    assert hardness(pairs, margin, both=both).tolist() == slow_hardness(pairs, margin.tolist(), both)
    assert hardness(pairs, 0.4, both=both).tolist() == slow_hardness(pairs, [0.4] * 7, both)


def test_the_edges_of_hardness():
    found = hardness(one_row([0.5, 0.5000001, 0.5, 0.2500001, 0.25, -1.0], positives=1), 0.25)
    assert [Hardness(level).name for level in found[0].tolist()] == [
        "NONE",
        "HARD",
        "SEMI_HARD",
        "SEMI_HARD",
        "EASY",
        "EASY",
    ]


def test_the_hardest_positive_counts():
    assert hardness(one_row([0.9, 0.1, 0.5], positives=2), 0.2)[0].tolist() == [0, 0, Hardness.HARD]


@pytest.mark.parametrize("over", ["min", "sum"])
@pytest.mark.parametrize("squared", [False, True])
def test_easy_pairs_of_a_triplet_get_exactly_nothing(over, squared):
    a, b = unit(12, 3, 1).requires_grad_(), unit(12, 3, 2)
    paid = triplet(a, b, Triplet(margin=0.4, over=over, squared=squared))
    force, level = forces(paid)[0], hardness(paid.pairs[0], 0.4)
    assert int((level == Hardness.EASY).sum()) > 5
    assert int((level >= Hardness.SEMI_HARD).sum()) > 5
    assert float(force[level == Hardness.EASY].abs().max()) == 0
    if over == "sum":
        assert float(force[level >= Hardness.SEMI_HARD].min()) > 0


def test_easy_pairs_of_a_ranking_get_exactly_nothing_in_both_directions():
    a, b = unit(12, 24, 1).requires_grad_(), unit(12, 24, 2)
    margin = torch.linspace(0, 0.5, 12)
    paid = ranking(a, b, Ranking(), margin=margin)
    force, level = forces(paid)[0], hardness(paid.pairs[0], margin, both=True)
    assert torch.equal(force > 0, level >= Hardness.SEMI_HARD)
    assert share_by_hardness(force, paid.pairs[0], margin, both=True).easy == 0
    assert share_by_hardness(force, paid.pairs[0], margin).easy > 0


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1e6, width=32), min_size=6, max_size=6), st.floats(0, 2))
def test_shares_add_up_to_exactly_one_in_any_order(push, margin):
    pairs = one_row([0.3, 0.9, 0.7, 0.2, 0.1, -0.4, -0.9], positives=1)
    force = torch.tensor([[-sum(push), *push]], dtype=torch.float64)
    found = share_by_hardness(force, pairs, margin)
    shares, equal = (
        (found.easy, found.semi_hard, found.hard),
        (found.easy_pairs, found.semi_hard_pairs, found.hard_pairs),
    )
    ranked = share_of_hardest(force, pairs)
    for group in (shares, equal, ranked.share):
        for order in itertools.permutations(group):
            assert sum(order) == (0 if not any(group) else 1)
    assert any(equal)
    assert found.silent == ranked.silent == (not any(push))
    assert any(shares) == any(ranked.share) == (not found.silent)


def test_shares_by_hardness_by_hand():
    pairs = one_row([0.5, 0.9, 0.4, 0.45, -0.5], positives=1)
    found = share_by_hardness(torch.tensor([[-9.0, 2.0, 1.0, 0.5, 0.5]]), pairs, 0.2)
    assert (found.hard, found.semi_hard, found.easy) == (0.5, 0.375, 0.125)
    assert (found.hard_pairs, found.semi_hard_pairs, found.easy_pairs) == (0.25, 0.5, 0.25)


def test_a_negative_that_is_pulled_takes_no_push():
    found = share_by_hardness(torch.tensor([[0.0, -1.0, 1.0]]), one_row([0.0, 0.5, -0.9], positives=1), 0.1)
    assert (found.easy, found.hard, found.silent) == (1, 0, False)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_diverged_force_is_not_called_silent(bad):
    force, pairs = torch.tensor([[0.0, bad, 1.0]]), one_row([0.0, 0.5, -0.9], positives=1)
    assert not share_by_hardness(force, pairs, 0.1).silent
    found = share_of_hardest(force, pairs)
    assert not found.silent
    assert all(math.isnan(v) for v in found.share)


def slow_share_of_hardest(force: list[float], scores: list[float], bounds: tuple[float, ...]) -> list[float]:
    """Each pair is cut into 1,000 slices that share its push."""
    order = sorted(range(len(scores)), key=lambda k: -scores[k])
    slices = [force[k] / 1000 for k in order for _ in range(1000)]
    total, edges = sum(slices), [0, *(round(bound * len(slices)) for bound in bounds)]
    return [sum(slices[low:high]) / total for low, high in itertools.pairwise(edges)]


@pytest.mark.parametrize("n", [1, 7, 100, 333])
def test_the_share_of_the_hardest_equals_cutting_pairs_into_slices(n):
    g = torch.Generator().manual_seed(n)
    scores, force = torch.rand(n, generator=g).tolist(), torch.rand(n, generator=g).tolist()
    found = share_of_hardest(torch.tensor([[-1.0, *force]]), one_row([2.0, *scores], positives=1))
    assert found.share == pytest.approx(slow_share_of_hardest(force, scores, BOUNDS), abs=2e-3 if n == 333 else 1e-6)
    assert found.equal == pytest.approx((0.01, 0.04, 0.15, 0.30, 0.50))


def test_an_equal_push_is_shared_equally_and_ties_do_not_depend_on_the_order():
    even = share_of_hardest(torch.ones(1, 90), one_row([0.3] * 90))
    assert even.share == pytest.approx(even.equal, abs=1e-9)
    push = torch.arange(90.0)[None]
    one, other = (share_of_hardest(f, one_row([0.3] * 90)).share for f in (push, push.flip(1)))
    assert one == pytest.approx(even.equal, abs=1e-6)
    assert one == pytest.approx(other, abs=1e-6)


def test_a_lower_temperature_gives_the_hardest_a_larger_share():
    a, b = unit(64, 16, 1).requires_grad_(), unit(64, 16, 2)
    first = [
        sum(share_of_hardest(forces(paid)[0], paid.pairs[0]).share[:2])
        for paid in (info_nce(a, b, InfoNCE(temperature=t)) for t in (0.05, 0.1, 0.5, 5))
    ]
    assert first == sorted(first, reverse=True)
    assert first[0] > 0.3
    assert first[-1] == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("bounds", [(0.5,), (0.5, 0.2, 1.0), (0.0, 1.0), (0.5, 1.0, 1.0), ()])
def test_bounds_must_rise_to_one(bounds):
    with pytest.raises(ValueError, match="rise"):
        share_of_hardest(torch.ones(1, 2), one_row([0.1, 0.2]), bounds)


def test_gaps_equal_a_slow_loop():
    pairs = square(6)
    s = pairs.scores.tolist()
    wanted = [s[i][i] - max(s[i][j] for j in range(6) if j != i) for i in range(6)]
    assert gaps(pairs).tolist() == wanted
    assert gaps(one_row([0.3, 0.4])).tolist() == [math.inf]
    assert gaps(one_row([0.3], positives=1)).tolist() == [math.inf]


def test_the_active_share_counts_negatives_only():
    force = torch.tensor([[-1.0, 0.5, 0.0, 0.0, 1e-30]])
    assert active_share(force, one_row([0.0] * 5, positives=1)) == 0.5
    assert active_share(force[:, :1], one_row([0.0], positives=1)) == 0


def test_a_loss_may_live_on_the_meta_device():
    a, b = (torch.empty(6, 4, device="meta", requires_grad=True) for _ in range(2))
    paid = clip(a, b, Clip())
    (force,) = forces(paid)
    assert force.device.type == hardness(paid.pairs[0], 0.2, both=True).device.type == "meta"
    assert gaps(Pairs(paid.pairs[0].scores, torch.full((6, 6), int(Role.POSITIVE), device="meta"))).shape == (6,)
