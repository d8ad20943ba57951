"""Synthetic batches, the turning of one pair, and the strength of the gradient: theory and finite differences."""

import math

import pytest
import torch
from torch import Tensor

from core.diagnostics.forces import forces
from core.diagnostics.hardness import active_share, gaps
from core.diagnostics.synthetic import (
    Batch,
    along_similarity,
    invented,
    of_pairs_alone,
    pay,
    strength,
    synthetic,
    turned,
)
from core.losses.registry import LOSSES, LossEntry
from core.losses.triplet import Triplet
from core.mixing.dmm import DMM
from core.mixing.negative_item import NegativeItem
from core.paid import Paid, Term
from core.streams import stream


def batch(n: int = 8, dim: int = 5, closeness: float = 0.5, spread: float = 0.3, seed: int = 0) -> Batch:
    return synthetic(n, dim, closeness, spread, stream(seed, "test"))


def leaves(made: Batch) -> tuple[Tensor, Tensor]:
    return made.a.clone().requires_grad_(), made.b.clone().requires_grad_()


@pytest.mark.parametrize("dim", [2, 3, 64])
@pytest.mark.parametrize("closeness", [0.0, 0.5, 0.95])
def test_pairs_are_unit_and_as_close_as_asked(dim: int, closeness: float):
    made = batch(40, dim, closeness, 0.0)
    for z in (made.a, made.b):
        assert torch.allclose(z.norm(dim=1), torch.ones(40, dtype=torch.float64), atol=1e-12)
    assert torch.allclose((made.a * made.b).sum(1), torch.full((40,), closeness, dtype=torch.float64), atol=1e-9)
    assert made.labels.tolist() == [k // 2 for k in range(40)]


def test_the_spread_reaches_to_both_sides_and_no_further():
    found = (lambda made: (made.a * made.b).sum(1))(batch(400, 16, 0.5, 0.3))
    assert float(found.min()) == pytest.approx(0.2, abs=0.02)
    assert float(found.max()) == pytest.approx(0.8, abs=0.02)
    assert float((lambda made: (made.a * made.b).sum(1))(batch(400, 16, 0.9, 0.5)).max()) == pytest.approx(0.99)


@pytest.mark.parametrize(("rho", "share"), [(0.2, 0.499), (0.3, 0.213), (0.5, 0.0074)])
def test_the_active_share_of_a_hinge_is_that_of_the_theory(rho: float, share: float):
    """dmm.md D4: N = 64, d = 64, m = .2, means over 40 draws; theory is Phi((m - rho) sqrt(d))."""
    found = []
    for seed in range(8):
        made = batch(64, 64, rho, 0.0, seed)
        a, b = leaves(made)
        paid = pay(LOSSES["ranking"].params(margin=0.2), a, b, made.labels)
        scores, n = paid.pairs[0].scores.detach(), 64
        row = (scores > scores.diagonal()[:, None] - 0.2).sum() - n
        column = (scores > scores.diagonal()[None, :] - 0.2).sum() - n
        found.append(float(row + column) / (2 * n * (n - 1)))
    assert sum(found) / len(found) == pytest.approx(share, rel=0.1, abs=0.001)
    assert sum(found) / len(found) == pytest.approx(0.5 * (1 + math.erf((0.2 - rho) * 8 / math.sqrt(2))), abs=0.02)


@pytest.mark.parametrize("similarity", [-1.0, -0.4, 0.0, 0.93, 1.0])
def test_a_turned_pair_stands_where_it_should_and_nothing_else_moves(similarity: float):
    made = batch()
    now = turned(made, 1, 4, similarity)
    assert float(now.a[1] @ now.b[4]) == pytest.approx(similarity, abs=1e-9)
    assert float(now.a[4] @ now.b[4]) == pytest.approx(float(made.a[4] @ made.b[4]), abs=1e-9)
    assert now.a[4].norm().item() == pytest.approx(1)
    rest = [k for k in range(8) if k != 4]
    assert torch.equal(now.a[rest], made.a[rest])
    assert torch.equal(now.b[rest], made.b[rest])
    assert torch.equal(made.a, batch().a)


def test_a_pair_that_lies_on_the_anchor_can_be_turned_too():
    made = batch()
    for sign in (1, -1):
        b = made.b.clone()
        b[4] = sign * made.a[1]
        assert float(made.a[1] @ turned(Batch(made.a, b, made.labels), 1, 4, 0.3).b[4]) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="choose another anchor"):
        turned(made, 2, 2, 0.5)


OF_PAIRS = [entry.key for entry in LOSSES if of_pairs_alone(entry.params())]
WITHOUT_SCORES = {"barlow_twins", "cycle", "vicreg"}


@pytest.mark.parametrize("kind", OF_PAIRS)
def test_which_losses_of_pairs_show_no_scores(kind: str):
    made = batch()
    assert bool(pay(LOSSES[kind].params(), *leaves(made), made.labels).pairs) == (kind not in WITHOUT_SCORES)


@pytest.mark.parametrize("kind", [key for key in OF_PAIRS if key not in WITHOUT_SCORES])
def test_the_curve_passes_through_the_batch_itself(kind: str):
    """Where the negative stands, the curve has the forces of the untouched batch."""
    made, p = batch(), LOSSES[kind].params()
    a, b = leaves(made)
    force = forces(pay(p, a, b, made.labels))[0]
    shift = force.shape[1] - 8
    at = (made.a[1] @ made.b[4]).reshape(1)
    pull, push = along_similarity(p, made, 1, 4, at)
    assert float(pull) == pytest.approx(-float(force[1, shift + 1]), abs=1e-9)
    assert float(push) == pytest.approx(float(force[1, shift + 4]), abs=1e-9)


def test_the_curve_of_info_nce_is_its_softmax():
    made, p = batch(), LOSSES["info_nce"].params(temperature=0.2)
    similarity = torch.linspace(-1, 1, 5, dtype=torch.float64)
    pull, push = along_similarity(p, made, 1, 4, similarity)
    for k, s in enumerate(similarity.tolist()):
        row = [float(made.a[1] @ made.b[j]) for j in range(8)]
        row[4] = s
        weight = [math.exp(v / 0.2) for v in row]
        assert float(push[k]) == pytest.approx(weight[4] / sum(weight) / 0.2 / 8, abs=1e-9)
        assert float(pull[k]) == pytest.approx((1 - weight[1] / sum(weight)) / 0.2 / 8, abs=1e-9)


def test_the_curve_of_a_hinge_is_exactly_zero_beyond_the_margin():
    made, p = batch(), Triplet(margin=0.2)
    distance = float((made.a[1] - made.b[1]).norm())
    silent = 1 - (distance + 0.2) ** 2 / 2
    pull, push = along_similarity(
        p, Batch(made.a[[1, 4]], made.b[[1, 4]], made.labels[:2]), 0, 1, torch.tensor([silent - 0.01, silent + 0.01])
    )
    assert (pull[0].item(), push[0].item()) == (0.0, 0.0)
    assert (pull[1].item(), push[1].item()) == (0.5, 0.5)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("kind", ["ranking", "nt_xent"])
def test_strength_is_the_gradient_by_finite_differences(side: str, kind: str):
    """With lambda fixed every draw is the same, so the mean over groups is the mean over anchors."""
    made, p, h = batch(6, 4, 0.3, 0.3), LOSSES[kind].params(margin=0.4), 1e-6
    mixing = DMM(law="fixed", fixed=0.7, margin=0.4, side=side)
    found = strength(p, made, mixing, seed=0, draws=2)

    def total(z: Tensor, mixed: bool) -> float:
        x = 0.7 * z + 0.3 * z.flip(0) if mixed else z
        x = x / x.norm(dim=1, keepdim=True) if mixed else x
        a, b = (x, made.b) if side == "a" else (made.a, x)
        margin = torch.full((6,), 0.28, dtype=torch.float64) if mixed else None
        return float(pay(p, a, b, made.labels, margin).total())

    z = made.a if side == "a" else made.b
    for mixed, said in ((False, found.clean), (True, found.mixed)):
        slope = torch.zeros_like(z)
        for i in range(6):
            for d in range(4):
                up, down = z.clone(), z.clone()
                up[i, d] += h
                down[i, d] -= h
                slope[i, d] = (total(up, mixed) - total(down, mixed)) / (2 * h)
        assert len(said) == 2
        assert float(said.mean()) == pytest.approx(float(slope.norm(dim=1).mean()), abs=1e-6)


def test_strength_is_ordered_by_gap_and_wakes_the_easy_pairs():
    """dmm.md D5: mixing raises the easy end; the clean row-only hinge is exactly silent there."""
    made = batch(96, 64, 0.5, 0.45)
    found = strength(Triplet(margin=0.2), made, DMM(margin=0.2), seed=0, draws=30)
    assert bool((found.gap.diff() > 0).all())
    assert float(found.clean[-1]) == 0
    assert float(found.mixed[-1]) > 0
    a, b = leaves(made)
    gap = gaps(pay(Triplet(), a, b, made.labels).pairs[0])
    assert float(found.gap.mean()) == pytest.approx(float(gap.mean()), abs=1e-9)


def test_everyone_is_active_where_the_margin_is_out_of_reach():
    made = batch()
    a, b = leaves(made)
    paid = pay(LOSSES["ranking"].params(margin=2.0), a, b, made.labels)
    assert active_share(forces(paid)[0], paid.pairs[0]) == 1


def test_pairs_stand_for_one_modality_and_for_bags():
    """GMC of one modality is NT-Xent; the pairs are one bag of a cycle, and beside a and b a bag of one member each."""
    made = batch()
    gmc, nt_xent = (LOSSES[kind].params(temperature=0.4) for kind in ("gmc", "nt_xent"))
    assert float(pay(gmc, made.a, made.b, made.labels).total()) == pytest.approx(
        float(pay(nt_xent, made.a, made.b, made.labels).total())
    )
    turning = pay(LOSSES["cycle"].params(), made.a, made.b, made.labels)
    assert [term.per.shape for term in turning.terms.values()] == [(1,), (1,)]
    levels = pay(LOSSES["coot"].params(), made.a, made.b, made.labels).terms
    assert levels["align.low"].per.tolist() == pytest.approx(levels["align.high"].per.tolist(), rel=1e-12)
    assert [invented(LOSSES[kind].params()) for kind in ("gmc", "cycle", "coot")] == [[], [], []]


def test_a_loss_that_needs_more_gets_it_and_it_is_named():
    def planted(a: Tensor, negatives: Tensor, p: Triplet) -> Paid:
        """Needs what no batch here has."""
        return Paid({"": Term((a[:, None] * negatives).sum((1, 2)))})

    class Planted(Triplet):
        kind: str = "planted"

    LOSSES.add(LossEntry(title="Planted", params=Planted, call=planted, source=""))
    try:
        made = batch()
        assert invented(Planted()) == ["negatives"]
        assert pay(Planted(), made.a, made.b, made.labels).terms[""].per.shape == (8,)
    finally:
        LOSSES.remove("planted")
    assert invented(Triplet()) == []


@pytest.mark.parametrize("partner", ["hard", "same_class", "bank"])
@pytest.mark.parametrize("side", ["b", "alternate", "both", "each"])
def test_strength_knows_every_side_and_partner(side: str, partner: str):
    found = strength(Triplet(), batch(), DMM(margin=0.4, side=side, partner=partner), seed=0, draws=4)
    assert found.mixed.isfinite().all()
    assert not torch.equal(found.mixed, found.clean)


def test_strength_knows_mixed_negatives_and_masked_partners():
    made, plain = batch(dim=64, closeness=0.9, spread=0.05), DMM(margin=0.2)
    woken, masked = (
        strength(LOSSES["ranking"].params(), made, plain.model_copy(update={"target": target}), seed=0).mixed
        for target in ("hard", "mask_partner")
    )
    assert masked.sum() < 0.5 * woken.sum()
    nearer = strength(Triplet(over="sum", margin=0.05), made, NegativeItem(rule="constant"), seed=0)
    assert nearer.mixed.sum() > nearer.clean.sum()
