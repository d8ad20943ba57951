"""What a loss returns: values, scaling and joining are exact."""

import pytest
import torch

from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles, joined

PER = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)


def test_a_term_without_weight_is_worth_its_mean():
    assert Term(PER).value().item() == 3


@pytest.mark.parametrize(("weight", "expected"), [(0.5, 4.5), (0, 0), (torch.tensor([1.0, 0.0, 2.0]), 13)])
def test_a_weighted_term_is_worth_its_weighted_sum(weight: float | torch.Tensor, expected: float):
    assert Term(PER, weight=weight).value().item() == expected


def test_a_term_of_the_batch_is_worth_itself():
    assert Term(torch.tensor(2.5), "batch").value().item() == 2.5
    assert Term(torch.tensor(2.5), "batch").scaled(2).value().item() == 5


@pytest.mark.parametrize("weight", [None, 0.25, torch.tensor([1.0, 0.5, 0.25])])
@pytest.mark.parametrize("factor", [0, 0.5, 1, 3])
def test_a_scaled_term_is_worth_that_much_more_and_pays_the_same_per_anchor(
    weight: float | torch.Tensor | None, factor: float
):
    term = Term(PER, "item", weight)
    scaled = term.scaled(factor)
    assert scaled.value().item() == pytest.approx(factor * term.value().item(), abs=1e-15)
    assert scaled.per is PER
    assert scaled.axis == "item"
    assert term.weight is weight


def test_scaling_twice_multiplies():
    assert Term(PER).scaled(2).scaled(0.25).value().item() == pytest.approx(1.5)


def test_the_total_is_the_sum_of_the_terms_and_keeps_their_graph():
    x = PER.clone().requires_grad_()
    paid = Paid({"one": Term(x), "two": Term(2 * x, weight=1.0)})
    assert paid.total().item() == 3 + 18
    assert paid.total().shape == ()
    assert torch.autograd.grad(paid.total(), x)[0].tolist() == pytest.approx([1 / 3 + 2] * 3)


def test_a_scaled_payment_scales_every_term_and_keeps_its_pairs():
    pairs = (Pairs(torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.int8)),)
    paid = Paid({"one": Term(PER), "two": Term(PER, weight=1.0)}, pairs).scaled(0.5)
    assert [term.value().item() for term in paid.terms.values()] == [1.5, 4.5]
    assert paid.pairs is pairs


def test_joined_payments_keep_order_names_and_pairs():
    one, two = (Pairs(torch.full((1, 1), x), torch.ones(1, 1, dtype=torch.int8)) for x in (1.0, 2.0))
    clean = Paid({"": Term(PER)}, (one,))
    mixed = Paid({"a_to_b": Term(2 * PER), "b_to_a": Term(3 * PER)}, (two,))
    both = joined([("clean", clean), ("mixed", mixed), ("", Paid({"last": Term(PER)}))])
    assert list(both.terms) == ["clean", "mixed.a_to_b", "mixed.b_to_a", "last"]
    assert both.pairs == (one, two)
    assert both.total().item() == 3 + 6 + 9 + 3


def test_joining_nothing_pays_for_no_term():
    assert joined([]) == Paid({})


def test_two_terms_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"two terms are called 'x\.y'"):
        joined([("x", Paid({"y": Term(PER)})), ("", Paid({"x.y": Term(PER)}))])


def test_the_diagonal_is_positive_and_the_rest_negative():
    role = diagonal_roles(2, 3, torch.device("cpu"))
    p, n = Role.POSITIVE, Role.NEGATIVE
    assert role.tolist() == [[p, n, n], [n, p, n]]
    assert role.dtype == torch.int8
    assert diagonal_roles(2, 2, torch.device("meta")).is_meta


def test_an_excluded_negative_is_barred_and_a_positive_stays():
    role = diagonal_roles(2, 3, torch.device("cpu"))
    p, n, x = Role.POSITIVE, Role.NEGATIVE, Role.EXCLUDED
    exclude = torch.tensor([[True, True, False], [False, False, True]])
    assert barred(role, exclude).tolist() == [[p, x, n], [n, p, x]]
    assert barred(role, None) is role
