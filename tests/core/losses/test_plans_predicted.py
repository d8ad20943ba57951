"""What a density ratio recovers, what the predictor is set from, and the losses that both come down to."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from core.losses.alignment import Alignment, alignment
from core.losses.contrastive_ucb import SPR, DensityRatio, density_ratio, spr
from core.losses.directpred import DirectPred, directpred
from core.losses.registry import LOSSES
from core.procedures.directpred import FeatureCorrelation, Rule, direct_predictor, feature_correlation
from core.streams import stream

B, D = 6, 4
NEXT = torch.tensor([[5, 3, 2], [1, 2, 7]])  # of ten transitions from each of two states, how many lead where
DRAWN = torch.tensor([2, 3, 5])  # of ten states that are drawn, how many are which
RATIO = NEXT.double() / DRAWN.double()
AS_IT_IS = DensityRatio(features="absolute", scale=1)


def unit(*shape: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(shape, generator=stream(seed, "unit"), dtype=torch.float64), dim=-1)


def four() -> dict[str, Tensor]:
    return {name: unit(B, D, seed=k) for k, name in enumerate(("a", "b", "teacher", "other_teacher"))}


def every_transition(table: Tensor) -> Tensor:
    """The loss of all transitions in their proportions, each with all drawn states, by a table of scores."""
    state = torch.arange(2).repeat_interleave(10)
    came = torch.cat([torch.arange(3).repeat_interleave(row) for row in NEXT])
    drawn = torch.arange(3).repeat_interleave(DRAWN).expand(20, 10)
    hot = torch.eye(3, dtype=torch.float64)
    return density_ratio(table[state], hot[came], AS_IT_IS, negatives=hot[drawn]).total()


def test_the_density_ratio_is_at_rest_where_its_score_is_the_ratio_itself_not_a_multiple_of_it():
    for factor in (0.5, 1.0, 2.0):
        table = (factor * RATIO).requires_grad_()
        (slope,) = torch.autograd.grad(every_transition(table), table)
        assert (slope.abs().max() < 1e-12) == (factor == 1)
    assert_close((RATIO * DRAWN / 10).sum(dim=1), torch.ones(2, dtype=torch.float64))


def test_following_the_density_ratio_downhill_recovers_the_transitions():
    table = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([table], max_iter=100, tolerance_grad=1e-12, tolerance_change=1e-15)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = every_transition(table)
        value.backward()
        return value

    optimiser.step(closure)
    assert_close(table.detach().abs() * DRAWN / 10, NEXT.double() / 10, rtol=1e-4, atol=0)


@pytest.mark.parametrize("p", [DensityRatio(), AS_IT_IS])
def test_without_states_drawn_for_it_each_anchor_meets_what_came_next_for_the_others(p: DensityRatio):
    a, b = unit(B, D, seed=0), unit(B, D, seed=1)
    others = torch.stack([b[torch.arange(B) != i] for i in range(B)])
    assert_close(density_ratio(a, b, p).terms[""].per, density_ratio(a, b, p, negatives=others).terms[""].per)


def test_spr_of_unit_vectors_is_alignment_and_a_short_vector_is_not_drawn_out():
    a, teacher = unit(B, D, seed=0), unit(B, D, seed=1)
    assert_close(spr(a, teacher, SPR()).terms[""].per, alignment(a, teacher, Alignment()).terms[""].per)
    assert_close(spr(7 * a, teacher / 9, SPR()).total(), alignment(a, teacher, Alignment()).total())
    assert_close(spr(5e-4 * a, teacher, SPR()).terms[""].per, (a / 2 - teacher).square().sum(dim=1))


def test_directpred_through_no_predictor_is_spr_both_ways_round_but_for_a_constant():
    given = four()
    plain = directpred(**given, predictor=torch.eye(D, dtype=torch.float64), p=DirectPred()).total()
    ways = spr(given["a"], given["other_teacher"], SPR()).total() + spr(given["b"], given["teacher"], SPR()).total()
    assert_close(plain, ways - 4)


@pytest.mark.parametrize("rule", ["official", "paper", "directcopy"])
def test_directpred_sets_its_predictor_from_both_sides_and_its_size_is_of_no_account(rule: Rule):
    given, p = four(), DirectPred(rule=rule, epsilon=0.1)
    made = LOSSES["directpred"].complete(given, p, stream(0))
    sides = torch.stack([given["a"], given["b"]])
    by_hand = direct_predictor(feature_correlation(sides, FeatureCorrelation()), p)
    assert_close(made["predictor"], by_hand)
    longer = LOSSES["directpred"].call(**made | {"predictor": 9 * by_hand}, p=p)
    assert_close(longer.total(), LOSSES["directpred"].pay(given, p, stream(0)).total())


@pytest.mark.parametrize("rule", ["official", "paper", "directcopy"])
def test_directpred_of_features_that_fill_all_directions_alike_needs_no_predictor(rule: Rule):
    axes = torch.eye(D, dtype=torch.float64)
    given = four() | {"a": axes, "b": -axes, "teacher": unit(D, D, seed=5), "other_teacher": unit(D, D, seed=6)}
    p = DirectPred(rule=rule)
    plain = directpred(**given, predictor=axes, p=p).total()
    assert_close(LOSSES["directpred"].pay(given, p, stream(0)).total(), plain)


def test_directpred_weakens_what_hardly_spreads():
    """A predictor that turns each prediction towards the strong directions: weak ones get a smaller share."""
    sides = unit(2, 50, D, seed=3) * torch.tensor([1.0, 1.0, 1.0, 0.1], dtype=torch.float64)
    made = LOSSES["directpred"].complete(
        {"a": sides[0], "b": sides[1], "teacher": sides[1], "other_teacher": sides[0]}, DirectPred(), stream(0)
    )
    foretold = sides[0] @ made["predictor"].T
    before, after = ((x[:, 3].square() / x.square().sum(dim=1)).mean() for x in (sides[0], foretold))
    assert after < before / 10
