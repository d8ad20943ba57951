"""What a loss pays where the answer is known without it, and how losses are related."""

import math

import pytest
import torch

from core.losses.registry import LOSSES
from core.paid import Paid
from core.vocabulary import SMALL
from tests.core.losses.batches import batches, example, hard

B = SMALL["B"]
COLLAPSED = {
    "clip": math.log(B),
    "dcl": math.log(2 * B - 2),
    "info_nce": math.log(B),
    "nt_xent": math.log(2 * B - 1),
    "ranking": 2 * (B - 1) / B * 0.2,
    "supcon": math.log(2 * B - 1),
    "triplet": 0.5,
}
A, OTHER = example("a", 0), example("b", 0)


def pay(key: str, *args: torch.Tensor, margin: torch.Tensor | None = None, **settings: object) -> Paid:
    entry = LOSSES[key]
    names = [name for name, required in entry.inputs.items() if required]
    return entry.call(**dict(zip(names, args, strict=False)), p=entry.params(**settings), margin=margin)


@pytest.mark.parametrize("key", COLLAPSED)
def test_collapsed_embeddings_pay_what_guessing_costs(key: str):
    entry = LOSSES[key]
    batch = hard(next(batches(entry)))["collapsed"]
    assert entry.call(p=entry.params(), **batch).total().item() == pytest.approx(COLLAPSED[key], rel=1e-12)


def test_clip_is_the_mean_of_info_nce_in_both_directions():
    both = [pay("info_nce", x, y, temperature=0.07).total() for x, y in ((A, OTHER), (OTHER, A))]
    torch.testing.assert_close(pay("clip", A, OTHER).total(), torch.stack(both).mean())


def test_supcon_is_nt_xent_when_each_item_is_a_class():
    labels = torch.arange(B)
    torch.testing.assert_close(
        pay("supcon", A, OTHER, labels, temperature=0.5).terms[""].per, pay("nt_xent", A, OTHER).terms[""].per
    )


def test_nt_xent_is_dcl_and_a_softplus():
    """log(1 + e^-d) for the DCL payment -d: what the positive in the denominator changes."""
    decoupled = pay("dcl", A, OTHER, temperature=0.5).terms[""].per
    torch.testing.assert_close(
        pay("nt_xent", A, OTHER).terms[""].per, torch.nn.functional.softplus(decoupled), rtol=1e-12, atol=1e-12
    )


def test_the_margin_of_dcl_leaves_its_gradient():
    a = A.clone().requires_grad_()
    gradients = [torch.autograd.grad(pay("dcl", a, OTHER, margin=m).total(), a)[0] for m in (None, torch.tensor(0.7))]
    torch.testing.assert_close(*gradients)


def test_own_negatives_of_a_triplet_may_be_the_others_positives():
    others = torch.stack([OTHER[torch.arange(B) != i] for i in range(B)])
    entry = LOSSES["triplet"]
    for settings in entry.variants:
        own = entry.call(A, OTHER, entry.params(**settings), negatives=others)
        torch.testing.assert_close(own.total(), pay("triplet", A, OTHER, **settings).total())


def test_squared_triplet_is_ranking_in_one_direction_on_the_sphere():
    """|a - b|² = 2 - 2s for unit vectors, so a margin of 2m in one is a margin of m in the other."""
    squares = pay("triplet", A, OTHER, over="sum", squared=True, margin=0.6).terms[""].per
    torch.testing.assert_close(
        squares * (B - 1) / 2, pay("ranking", A, OTHER, margin=0.3).terms["a_to_b"].per, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("violation", ["sum", "max"])
def test_satisfied_pairs_give_no_gradient_at_all(violation: str):
    a = torch.eye(4, dtype=torch.float64).requires_grad_()
    pay("ranking", a, torch.eye(4, dtype=torch.float64), violation=violation).total().backward()
    assert a.grad is not None
    assert a.grad.eq(0).all()


def test_only_the_worst_negative_pays_under_max_violation():
    scores = pay("ranking", A, OTHER, violation="max").pairs[0].scores
    lead = scores.diagonal()[:, None] - scores
    lead.fill_diagonal_(torch.inf)
    expected = (0.2 - lead.amin(1)).clamp_min(0)
    torch.testing.assert_close(pay("ranking", A, OTHER, violation="max").terms["a_to_b"].per, expected)
