"""What a loss pays where the answer is known without it, and how losses are related."""

import math

import pytest
import torch
import torch.nn.functional as F

from core.losses.angular import widened
from core.losses.registry import LOSSES
from core.paid import Paid
from core.vocabulary import SMALL
from tests.core.losses.batches import batches, example, hard

B = SMALL["B"]
N_CLIPS = B * SMALL["n"]
CYCLES = 2 * 1.25  # four members: everyone comes back to place 1.5
COLLAPSED = {
    "align_uniform": 0,
    "angular_triplet": math.log(1 + (2 * B - 2) * math.exp(4)),
    "batch_hard": 0.2,
    "lifted_structure": (1 + math.log(2 * (2 * B - 4))) ** 2 / 2,
    "multi_similarity": math.log(1 + 3) / 2 + math.log(1 + 2 * B - 4) / 50,
    "n_pair": math.log(B) + 2 * 0.002,
    "angular": math.log(1 + (B - 1) * math.exp((1 - math.cos(0.2)) / 0.1)),
    "barlow_twins": SMALL["D"],
    "bpr": math.log(2),
    "clip": math.log(B),
    "contrastive": 0.5,
    "coot": 2 * 2 * 0.2 * ((B - 1) / B + (N_CLIPS - 1) / N_CLIPS) + 0.01 * CYCLES,
    "cycle": CYCLES,
    "dcl": math.log(2 * B - 2),
    "debiased": math.log(2 * B - 1),
    "gmc": SMALL["M"] * math.log(2 * B - 1),
    "hcl": math.log(2 * B - 1),
    "info_nce": math.log(B),
    "nt_xent": math.log(2 * B - 1),
    "ranking": 2 * (B - 1) / B * 0.2,
    "siglip": B * math.log(2),
    "spectral_contrastive": -1,
    "supcon": math.log(2 * B - 1),
    "triplet": 0.5,
    "vicreg": 25 * 2 * (1 - math.sqrt(1e-4)),
    "w_mse": 2,
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
    close = 3e-3 if key == "angular" else 1e-12  # an angle counts as 1.4e-3 at least
    assert entry.call(p=entry.params(), **batch).total().item() == pytest.approx(COLLAPSED[key], rel=close)


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


def test_angular_without_a_margin_is_info_nce():
    for b in (OTHER, A, -A):
        torch.testing.assert_close(
            pay("angular", A, b, margin=torch.tensor(0.0, dtype=torch.float64)).terms[""].per,
            pay("info_nce", A, b).terms[""].per,
            rtol=1e-12,
            atol=1e-12,
        )


def test_a_wider_angle_has_the_cosine_of_the_sum_and_falls_past_a_straight_angle():
    angle = torch.linspace(0.01, math.pi - 0.01, 50, dtype=torch.float64)
    for margin in (0.2, 1.0):
        found = widened(angle.cos(), margin)
        inside = angle + margin < math.pi
        torch.testing.assert_close(found[inside], (angle + margin).cos()[inside], rtol=0, atol=1e-12)
        assert (found.diff() < 0).all()


def test_the_pull_of_angular_is_finite_and_the_right_way_round_at_both_ends():
    for cosine in (1.0, -1.0):
        s = torch.tensor(cosine, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(widened(s, 1.0), s)
        assert 0 < float(slope) < 1e3


@pytest.mark.parametrize("seed", range(4))
def test_the_angular_loss_turns_where_the_negative_sees_the_pair_under_its_angle(seed: int):
    """From the negative n to the middle of the pair: tan of the angle is half the pair's distance over that."""
    a, b = example("a", seed)[:2], example("b", seed)[:2]
    slope = (a[0] - b[0]).norm() / (2 * (a[1] - (a[0] + b[0]) / 2).norm())
    entry, alone = LOSSES["angular_triplet"], torch.tensor([[False, True], [False, False]])
    p = entry.params(angle=math.degrees(math.atan(slope)))
    constant = 6 * slope.square() - 2  # what the lengths of unit vectors leave of the squared distances
    torch.testing.assert_close(entry.call(a, b, p, exclude=alone).terms["angle"].per[0], F.softplus(constant))


def test_siglip_and_bpr_are_soft_hinges():
    """log(1 + e^x) tends to [x]_+ on a cold scale, and is log 2 on the edge."""
    edge = pay("siglip", A[:1], A[:1], temperature=1.0, bias=0.0, margin=torch.tensor(1.0, dtype=torch.float64))
    assert edge.total().item() == pytest.approx(math.log(2))
    soft = pay("bpr", 500 * A, OTHER, margin=torch.tensor(100.0, dtype=torch.float64)).terms[""].per
    scores = 500 * A @ OTHER.T
    hard = torch.relu(100 + scores - scores.diagonal()[:, None]).fill_diagonal_(0).sum(1) / (B - 1)
    torch.testing.assert_close(soft, hard, rtol=1e-3, atol=1e-3)


def test_a_contrastive_pair_coincides_for_free_and_a_non_pair_beyond_the_margin_is_left_alone():
    eye = torch.eye(4, dtype=torch.float64)
    assert pay("contrastive", eye, eye).total().item() == 0
    near = pay("contrastive", eye, eye, margin=torch.tensor(1.5, dtype=torch.float64)).terms["repulsion"].per
    torch.testing.assert_close(near, torch.full_like(near, (1.5 - math.sqrt(2)) ** 2 / 2))


def test_the_released_triplet_is_the_usual_one_until_a_hinge_clips():
    far = torch.tensor(2.0, dtype=torch.float64)
    usual, released = (pay("triplet", A, OTHER, margin=far, as_released=flag) for flag in (False, True))
    torch.testing.assert_close(released.total(), usual.total())
    clipped = [pay("triplet", A, OTHER, margin=0 * far, as_released=flag).total().item() for flag in (False, True)]
    assert abs(clipped[1] - clipped[0]) > 1e-3


def test_only_under_the_broadcast_another_users_negatives_reach_a_user():
    def pull_on_the_first(own: torch.Tensor, released: bool) -> torch.Tensor:
        a = A.clone().requires_grad_()
        entry = LOSSES["triplet"]
        p = entry.params(margin=0.3, as_released=released)
        return torch.autograd.grad(entry.call(a, OTHER, p, negatives=own).total(), a)[0][0]

    own = example("negatives", 0)
    others = own.clone()
    others[1:] = 10.0
    same, moved = ([pull_on_the_first(x, released) for x in (own, others)] for released in (False, True))
    assert torch.equal(*same)
    assert not torch.allclose(*moved)


def test_gmc_is_the_sum_of_nt_xent_over_the_modalities():
    z = example("modalities", 0)
    each = [pay("nt_xent", A, one, temperature=0.3).total() for one in z]
    torch.testing.assert_close(pay("gmc", A, z).total(), torch.stack(each).sum())


def test_ordered_bags_far_apart_come_back_to_where_they_were():
    bags = 40 * torch.eye(5, dtype=torch.float64).expand(3, 5, 5)
    entry = LOSSES["cycle"]
    assert entry.call(bags, bags, entry.params()).total().item() == pytest.approx(0, abs=1e-12)
    turned = entry.call(bags, bags.roll(1, dims=1), entry.params())
    assert turned.total().item() == pytest.approx(0, abs=1e-12), "it asks for a way back, not for an order"


def test_sending_each_member_in_turn_averages_to_sending_all_and_absent_ones_do_not_matter():
    entry, bags, other = LOSSES["cycle"], example("bags", 0), example("other_bags", 0)
    here = example("bag_mask", 3)
    everyone = entry.call(bags, other, entry.params(), bag_mask=here)
    sums = {name: torch.zeros(B, dtype=torch.float64) for name in everyone.terms}
    for place in range(SMALL["n"]):
        one = entry.call(bags, other, entry.params(), bag_mask=here, members=torch.full((2, B), place))
        for name, term in one.terms.items():
            sums[name] += term.per
    for name, term in everyone.terms.items():
        torch.testing.assert_close(sums[name] / here.sum(1), term.per)
    noise = torch.where(here[..., None], bags, 7.0)
    torch.testing.assert_close(
        entry.call(noise, other, entry.params(), bag_mask=here).total(), everyone.total(), rtol=1e-12, atol=1e-12
    )


def test_coot_with_one_level_is_ranking_and_its_absent_clips_do_not_matter():
    entry, bags, other = LOSSES["coot"], example("bags", 0), example("other_bags", 0)
    nothing = dict.fromkeys(("low", "cluster_high", "cluster_low", "cycle"), 0)
    one = entry.call(A, OTHER, bags, other, entry.params(**nothing))
    torch.testing.assert_close(one.total(), pay("ranking", A, OTHER).total())
    here = example("bag_mask", 0)
    low = entry.params(**{**nothing, "low": 1, "high": 0})
    found = entry.call(A, OTHER, bags, other, low, bag_mask=here).total()
    unit = [F.normalize(z[here], dim=-1) for z in (bags, other)]
    torch.testing.assert_close(found, pay("ranking", *unit).total())
    apart = entry.params(**{**nothing, "cluster_low": 1, "high": 0})
    found = entry.call(A, OTHER, bags, other, apart, bag_mask=here).total()
    within = [pay("ranking", z, z).total() for z in unit]
    torch.testing.assert_close(found, torch.stack(within).mean())
