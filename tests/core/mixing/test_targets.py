"""Who pays how much of the mixed loss, and which pairs take no part."""

import pytest
import torch

from core.mixing.registry import Plan
from core.mixing.targets import kept, partner_pairs, weighted
from core.paid import Paid, Term

NAMES = ("align.high", "cluster.low", "cycle.a")


def of(partner: list[int], from_bank: list[bool] | None = None) -> Plan:
    n = len(partner)
    bank = None if from_bank is None else torch.tensor(from_bank)
    return Plan(torch.full((n,), 0.7), torch.tensor(partner), torch.zeros(n), bank)


def test_the_partners_pair_is_a_row_of_side_a_and_a_column_of_side_b():
    ring = of([1, 2, 0])
    assert partner_pairs(ring, "a").int().tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert torch.equal(partner_pairs(ring, "b"), partner_pairs(ring, "a").T)


def test_a_positive_pair_is_never_among_them_nor_a_partner_from_the_bank():
    assert partner_pairs(of([2, 1, 0]), "a").int().tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert partner_pairs(of([2, 7, 0], [False, True, True]), "a").int().tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("weight", [None, 0.25, torch.tensor([0.1, 0.2, 0.3])])
def test_anchors_pay_by_their_share(weight: float | torch.Tensor | None):
    per, share = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.5, 0.0])
    usual = 1 / 3 if weight is None else weight
    paid = weighted(Paid({"": Term(per, weight=weight)}), share)
    torch.testing.assert_close(paid.total(), (per * share * usual).sum())


def test_both_views_of_an_item_have_its_share():
    paid = weighted(Paid({"": Term(torch.tensor([1.0, 10.0, 100.0, 1000.0]))}), torch.tensor([1.0, 0.0]))
    assert paid.total().item() == pytest.approx(101 / 4)


def test_what_is_not_of_the_batchs_anchors_is_scaled_by_the_mean_share():
    share = torch.tensor([1.0, 0.5])
    for term in (Term(torch.tensor([2.0, 4.0, 6.0])), Term(torch.tensor([3.0, 5.0]), axis="dimension")):
        whole = term.value().item()
        assert weighted(Paid({"": term}), share).total().item() == pytest.approx(0.75 * whole)
    assert weighted(Paid({"": Term(torch.tensor(8.0), axis="batch")}), share).total().item() == pytest.approx(6)


def test_of_a_composite_loss_the_alignment_stays():
    paid = Paid({name: Term(torch.ones(2)) for name in NAMES})
    assert list(kept(paid, "all").terms) == ["align.high", "cluster.low"]
    assert list(kept(paid, "align").terms) == ["align.high"]
    assert list(kept(Paid({"cycle": Term(torch.ones(2))}), "align").terms) == ["cycle"]
