"""Forces and motions against finite differences of every registered loss, and against closed forms."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.forces import forces, gradient_norms, gradients, motion, silent_share
from core.diagnostics.hardness import active_share
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.ranking import Ranking, ranking
from core.losses.registry import LOSSES, LossEntry
from core.paid import Paid, Pairs, Role, Term, diagonal_roles
from core.streams import stream
from core.vocabulary import SMALL, VOCABULARY
from tests.core.diagnostics.clouds import unit

SIZES = dict(SMALL) | {"A": 4, "B": 4, "D": 9}
STEP = 1e-6
# Of a finite difference: rounding over STEP, with room; a direction below it is one that the scores do not have.
NOISE = 1e-7
CASES = [
    pytest.param(entry, variant, id=f"{entry.key}-{number}")
    for entry in LOSSES
    if entry.pairwise
    for number, variant in enumerate(entry.variants)
]
OF_DIMENSIONS = {"barlow_twins", "vicreg"}


def inputs_of(entry: LossEntry) -> dict[str, Tensor]:
    return {
        name: VOCABULARY[name].make(stream(5, "forces", name), SIZES)
        for name, required in entry.inputs.items()
        if required
    }


class Loss:
    """A registered loss as a function of all its embeddings, laid out as one vector."""

    def __init__(self, entry: LossEntry, variant: Mapping[str, object]):
        self.entry, self.p = entry, entry.params(**variant)
        self.given = inputs_of(entry)
        self.moving = [name for name, value in self.given.items() if value.is_floating_point()]
        self.start = torch.cat([self.given[name].flatten() for name in self.moving])

    def inputs(self, vector: Tensor) -> dict[str, Any]:
        parts = vector.split([self.given[name].numel() for name in self.moving])
        shaped = {name: part.reshape(self.given[name].shape) for name, part in zip(self.moving, parts, strict=True)}
        return self.given | shaped

    def paid(self, vector: Tensor) -> Paid:
        return self.entry.call(**self.inputs(vector), p=self.p)

    def total(self, vector: Tensor) -> float:
        return float(self.paid(vector).total())

    def scores(self, vector: Tensor) -> Tensor:
        return torch.cat([pairs.scores.flatten() for pairs in self.paid(vector).pairs])

    def scores_and_lengths(self, vector: Tensor) -> Tensor:
        found = self.inputs(vector)
        lengths = [found[name].square().sum(dim=-1).flatten() for name in self.moving]
        return torch.cat([self.scores(vector), *lengths])

    def slopes(self, of) -> Tensor:
        """(outputs, coordinates) central differences at the start."""
        moves = torch.eye(len(self.start), dtype=torch.float64) * STEP
        ends = [(of(self.start + move), of(self.start - move)) for move in moves]
        return torch.stack([torch.as_tensor((up - down) / (2 * STEP)) for up, down in ends], dim=-1)


@pytest.mark.parametrize(("entry", "variant"), CASES)
def test_forces_equal_finite_differences_of_the_loss(entry, variant):
    """Where embeddings keep their lengths and one score moves (as far as it can alone), the loss moves by the force."""
    loss = Loss(entry, variant)
    found = forces(loss.paid(loss.start.clone().requires_grad_()))
    if entry.key in OF_DIMENSIONS:
        assert found == ()
        return
    force = torch.cat([f.flatten() for f in found])
    role = torch.cat([pairs.role.flatten() for pairs in loss.paid(loss.start).pairs])
    slopes = loss.slopes(loss.scores_and_lengths)
    ways, slopes = torch.linalg.pinv(slopes, rtol=NOISE), slopes[: len(role)]
    for k in (role != Role.EXCLUDED).nonzero().flatten().tolist():
        way, moved = ways[:, k], slopes @ ways[:, k]
        assert float(moved[k]) > 0.45
        slope = (loss.total(loss.start + STEP * way) - loss.total(loss.start - STEP * way)) / (2 * STEP)
        assert slope == pytest.approx(float(force @ moved), abs=1e-4 * max(float(force.abs().max()), 1e-3))


@pytest.mark.parametrize(("entry", "variant"), CASES)
def test_motion_equals_a_small_step_on_the_sphere(entry, variant):
    loss = Loss(entry, variant)
    found = loss.inputs(loss.start.clone().requires_grad_())
    seen = motion(found["a"], found["b"], entry.call(**found, p=loss.p).total())
    slope = loss.slopes(loss.total).flatten()
    ends = [
        {name: F.normalize(loss.given[name] - h * z, dim=-1) for name, z in loss.inputs(slope).items() if name in "ab"}
        for h in (STEP, -STEP)
    ]
    before, after = (end["a"] @ end["b"].T for end in reversed(ends))
    wanted = (after - before) / (2 * STEP)
    assert torch.allclose(seen, wanted, rtol=0, atol=1e-4 * max(float(wanted.abs().max()), 1e-3))


def test_the_step_that_motion_describes_lowers_the_loss_of_its_scores():
    a, b = (unit(6, 8, seed, torch.float64).requires_grad_() for seed in (1, 2))
    paid = info_nce(a, b, InfoNCE())
    assert float((forces(paid)[0] * motion(a, b, paid.total())).sum()) < 0


def test_info_nce_in_closed_form():
    a, b = unit(6, 8, 1, torch.float64).requires_grad_(), unit(6, 8, 2, torch.float64)
    paid = info_nce(a, b, InfoNCE(temperature=0.2))
    s = (a @ b.T).tolist()
    for i, row in enumerate(forces(paid)[0].tolist()):
        total = sum(math.exp(v / 0.2) for v in s[i])
        for j, seen in enumerate(row):
            assert seen == pytest.approx((math.exp(s[i][j] / 0.2) / total - (i == j)) / 0.2 / 6, abs=1e-12)


def test_every_hinge_beyond_the_margin_is_exactly_zero():
    a, b = unit(8, 16, 1, torch.float64).requires_grad_(), unit(8, 16, 2, torch.float64)
    paid = ranking(a, b, Ranking(margin=0.3))
    force, s = forces(paid)[0], paid.pairs[0].scores.tolist()
    for i in range(8):
        for j in range(8):
            if i != j:
                hinges = (0.3 + s[i][j] - s[i][i] > 0) + (0.3 + s[i][j] - s[j][j] > 0)
                assert force[i, j].item() == pytest.approx(hinges / 64, abs=1e-15)
                assert (force[i, j].item() == 0) == (hinges == 0)


def test_a_score_that_does_not_reach_the_total_has_no_force_and_the_graph_is_kept():
    s = torch.ones(2, 2, requires_grad=True) * 2
    other = torch.ones(1, 3, requires_grad=True) * 2
    paid = Paid({"": Term(s.sum(dim=1))}, (Pairs(s, s.to(torch.int8)), Pairs(other, other.to(torch.int8))))
    for _ in range(2):
        used, unused = forces(paid)
        assert used.tolist() == [[0.5, 0.5], [0.5, 0.5]]
        assert unused.tolist() == [[0, 0, 0]]


def test_a_loss_without_scores_has_no_forces():
    assert forces(Paid({"": Term(torch.ones(2, requires_grad=True) * 2)})) == ()


def test_scores_without_a_graph_are_refused():
    with pytest.raises(ValueError, match="requires_grad"):
        forces(info_nce(unit(3, 4), unit(3, 4, 1), InfoNCE()))
    with pytest.raises(ValueError, match="requires_grad"):
        motion(unit(3, 4), unit(3, 4, 1), torch.tensor(1.0))


def test_a_side_without_a_graph_stands_still():
    a, b = unit(5, 6, 1, torch.float64).requires_grad_(), unit(5, 6, 2, torch.float64)
    total = info_nce(a, b, InfoNCE()).total()
    (g,) = torch.autograd.grad(total, a, retain_graph=True)
    g = g - (g * a).sum(1, keepdim=True) * a
    assert torch.allclose(motion(a, b, total), -(g @ b.T), atol=1e-14)


def test_motion_among_the_embeddings_themselves_counts_both_ends():
    z = unit(5, 6, 1, torch.float64).requires_grad_()
    seen = motion(z, z, (z @ z.T).square().sum())
    assert torch.allclose(seen, seen.T)
    assert torch.allclose(seen.diagonal(), torch.zeros(5, dtype=torch.float64), atol=1e-12)


def test_motion_needs_unit_rows():
    z = (2 * unit(3, 4)).requires_grad_()
    with pytest.raises(ValueError, match="unit rows"):
        motion(z, z, z.sum())


def test_gradients_of_what_does_not_take_part_are_zero():
    a, b, c = (unit(3, 4, seed).requires_grad_() for seed in (1, 2, 3))
    g, h, none = gradients((a * b.detach()).sum(), a, b, c.detach())
    assert torch.equal(g, b)
    assert float(h.abs().sum() + none.abs().sum()) == 0


def hinge_batch(rho: float, seed: int, n: int = 64, dim: int = 64) -> tuple[Tensor, Tensor]:
    """Unit vectors whose positives have exactly the cosine rho."""
    z = unit(n, dim, seed, torch.float64)
    other = unit(n, dim, seed + 1000, torch.float64)
    other = F.normalize(other - (other * z).sum(1, keepdim=True) * z, dim=1)
    return z.requires_grad_(), rho * z.detach() + math.sqrt(1 - rho**2) * other


@pytest.mark.parametrize(
    ("rho", "active", "silent", "norm"),
    [(0.2, 0.499, 0.0, 1.55e-2), (0.3, 0.213, 0.0, 6.7e-3), (0.5, 0.0074, 0.407, 3.2e-4), (0.7, 0.0, 0.998, 0.0)],
)
def test_hinges_fall_silent_as_pairs_separate(rho, active, silent, norm):
    """Means over 40 draws of 64 items in 64 dimensions at margin 0.2; values of independent code. In theory the share
    of active hinges is Phi((0.2 - rho) 8)."""
    seen = []
    for seed in range(40):
        a, b = hinge_batch(rho, seed)
        paid = ranking(a, b, Ranking(margin=0.2))
        hinges = forces(paid)[0].masked_fill(diagonal_roles(64, 64, a.device) == Role.POSITIVE, 0) * 64**2
        norms = gradient_norms(paid.total(), a)
        seen.append([float(hinges.sum()) / (2 * 64 * 63), silent_share(norms), float(norms.mean())])
    found = torch.tensor(seen).mean(dim=0).tolist()
    assert found[0] == pytest.approx(active, abs=0.005)
    assert found[0] == pytest.approx(0.5 * math.erfc((rho - 0.2) * 8 / math.sqrt(2)), abs=0.01)
    assert found[1] == pytest.approx(silent, abs=0.04)
    assert found[2] == pytest.approx(norm, rel=0.1, abs=1e-5)


def test_the_share_of_silent_anchors_and_of_active_pairs_agree_at_the_end():
    a, b = hinge_batch(0.99, 0)
    paid = ranking(a, b, Ranking(margin=0.2))
    assert silent_share(gradient_norms(paid.total(), a)) == 1
    assert active_share(forces(paid)[0], paid.pairs[0]) == 0


def test_norms_of_both_sides_follow_each_other():
    a, b = unit(3, 4, 1).requires_grad_(), unit(3, 4, 2).requires_grad_()
    norms = gradient_norms((a * torch.tensor([[1.0], [2.0], [3.0]])).sum() + 5 * b.sum(), a, b)
    assert norms.tolist() == pytest.approx([2, 4, 6, 10, 10, 10])
