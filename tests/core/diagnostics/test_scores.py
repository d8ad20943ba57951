import math

import numpy as np
import pytest
import torch

from core.diagnostics.scores import QUANTILES, by_kind, histogram, overlap, summary, with_partner
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.supcon import SupCon, supcon
from core.paid import Pairs, Role
from tests.core.diagnostics.clouds import square, unit


def slow_histogram(scores: list[float], bins: int, low: float, high: float) -> list[float]:
    counts = [0] * bins
    for s in scores:
        for k in range(bins):
            last = k == bins - 1
            above = k == 0 or s >= low + k * (high - low) / bins
            if above and (last or s < low + (k + 1) * (high - low) / bins):
                counts[k] += 1
    return [count / len(scores) for count in counts]


@pytest.mark.parametrize(("bins", "low", "high"), [(61, -1.0, 1.0), (4, -1.0, 1.0), (300, -2.0, 0.5), (7, 0.1, 0.3)])
def test_a_histogram_equals_a_slow_count(bins, low, high):
    scores = torch.randn(20, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) / 2
    found = histogram(scores, bins=bins, low=low, high=high)
    assert found.share == pytest.approx(slow_histogram(scores.flatten().tolist(), bins, low, high), abs=1e-12)
    assert sum(found.share) == pytest.approx(1, abs=1e-12)
    assert found.n == 600


def test_edges_belong_to_the_bin_above_and_the_last_one_to_the_last():
    found = histogram(np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), bins=4)
    assert found.share == (0.2, 0.2, 0.2, 0.4)
    assert found.centres == (-0.75, -0.25, 0.25, 0.75)


def test_what_lies_outside_is_counted_at_the_end_and_said():
    found = histogram(np.array([-3.0, -1.0000001, 0.1, 0.2]), bins=2)
    assert found.share == (0.5, 0.5)
    assert found.outside == 0.25


def test_nan_and_infinity_are_left_out():
    found = histogram(np.array([math.nan, math.inf, 0.5]), bins=2)
    assert (found.share, found.n) == ((0.0, 1.0), 1)


def test_no_scores_give_an_empty_histogram():
    found = histogram(torch.empty(0), bins=3)
    assert (found.share, found.n) == ((0.0, 0.0, 0.0), 0)


@pytest.mark.parametrize("wrong", [{"bins": 0}, {"low": 1.0}, {"high": math.nan}])
def test_bins_and_a_range_are_needed(wrong):
    with pytest.raises(ValueError, match="at least one bin and a range"):
        histogram(torch.zeros(3), **wrong)


def test_overlap_of_hills():
    low, high = histogram(torch.full((9,), -0.5)), histogram(torch.full((5,), 0.5))
    assert overlap(low, low) == 1
    assert overlap(low, high) == 0
    both = histogram(torch.tensor([-0.5, -0.5, -0.5, 0.5]))
    assert overlap(low, both) == 0.75
    assert overlap(both, high) == 0.25
    assert overlap(low, histogram(torch.empty(0))) == 0


def test_hills_over_different_bins_are_not_compared():
    with pytest.raises(ValueError, match="different bins"):
        overlap(histogram(torch.zeros(2)), histogram(torch.zeros(2), bins=60))


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_a_summary_equals_sorting_by_hand(n):
    values = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    found, ordered = summary(values), sorted(values.tolist())
    for q, seen in zip(QUANTILES, found.quantiles, strict=True):
        at = q * (n - 1)
        k = int(at)
        wanted = ordered[k] + (at - k) * (ordered[min(k + 1, n - 1)] - ordered[k])
        assert seen == pytest.approx(wanted, abs=1e-12)
    mean = sum(ordered) / n
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.sd == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in ordered) / n), abs=1e-12)


def test_a_summary_of_nothing_is_not_a_number():
    found = summary(np.array([math.nan]))
    assert found.n == 0
    assert all(math.isnan(v) for v in (found.mean, found.sd, *found.quantiles))


def test_scores_are_gathered_by_their_role():
    role = torch.tensor([[1, 2, 0], [4, 1, 3]], dtype=torch.int8)
    found = by_kind([Pairs(torch.tensor([[0.9, 0.1, 1.0], [0.2, 0.8, 0.3]]), role)])
    assert found["positives"].tolist() == pytest.approx([0.9, 0.8])
    assert found["negatives"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert set(found) == {"positives", "negatives"}


def test_the_mixed_kinds_appear_with_a_mixed_loss():
    clean, mixed = square(4), with_partner(square(4, seed=1), torch.tensor([3, 2, 1, 0]))
    found = by_kind([clean], [mixed])
    assert found["mixed partner"].tolist() == [mixed.scores[i, 3 - i].item() for i in range(4)]
    assert found["mixed positives"].tolist() == mixed.scores.diagonal().tolist()
    assert len(found["mixed negatives"]) == 16 - 4 - 4
    assert len(found["negatives"]) == 12


@pytest.mark.parametrize("side", ["a", "b"])
def test_the_partner_of_a_mixed_item_is_its_partners_own_positive(side):
    a, b, partner = unit(5, 8, 1), unit(5, 8, 2), torch.tensor([1, 2, 3, 4, 0])
    mixed = {"a": a, "b": b}
    mixed[side] = (0.6 * mixed[side] + 0.4 * mixed[side][partner]).detach()
    paid = info_nce(mixed["a"], mixed["b"], InfoNCE())
    marked = with_partner(paid.pairs[0], partner, side)
    wanted = {(i, partner[i].item()) if side == "a" else (partner[i].item(), i) for i in range(5)}
    assert {tuple(at) for at in (marked.role == Role.PARTNER).nonzero().tolist()} == wanted


@pytest.mark.parametrize("side", ["a", "b"])
def test_among_both_views_the_partner_is_marked_in_both_triangles(side):
    n, partner = 4, torch.tensor([3, 2, 1, 0])
    paid = nt_xent(unit(n, 8, 1), unit(n, 8, 2), NTXent())
    role = with_partner(paid.pairs[0], partner, side).role
    first, other = (0, n) if side == "a" else (n, 0)
    wanted = {(first + i, other + partner[i].item()) for i in range(n)}
    wanted |= {(j, i) for i, j in wanted}
    assert {tuple(at) for at in (role == Role.PARTNER).nonzero().tolist()} == wanted


def test_an_item_that_is_its_own_partner_or_of_its_class_stays_a_positive():
    role = with_partner(square(3), torch.tensor([2, 1, 0])).role
    assert role[1, 1] == Role.POSITIVE
    labels = torch.tensor([0, 0, 1, 1])
    paid = supcon(unit(4, 8, 1), unit(4, 8, 2), labels, SupCon())
    marked = with_partner(paid.pairs[0], torch.tensor([1, 0, 3, 2]))
    assert torch.equal(marked.role, paid.pairs[0].role)


def test_pairs_without_the_others_positives_are_left_alone():
    pairs = Pairs(torch.zeros(4, 6), torch.full((4, 6), 2, dtype=torch.int8))
    assert with_partner(pairs, torch.tensor([3, 2, 1, 0])) is pairs
