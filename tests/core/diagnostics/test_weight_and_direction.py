import pytest
import torch
from torch import Tensor

from core.diagnostics.weight_and_direction import Moves, weight_and_direction
from core.losses.registry import LOSSES
from core.losses.sft_vs_cl import RerankCL, RerankSFT, RerankUnified, hold_weights
from core.params import Params
from core.streams import stream


def logits(seed: int, queries: int = 5, candidates: int = 6) -> Tensor:
    return 2 * torch.randn(queries, candidates, generator=stream(seed, "logits"), dtype=torch.float64)


def moved(p: Params, yes: Tensor, no: Tensor) -> Moves:
    entry = LOSSES.of(p)
    given = {"candidate_scores": yes.clone().requires_grad_(), "refusal_scores": no.clone().requires_grad_()}
    paid = entry.pay({name: given[name] for name in entry.needed}, p, stream(0))
    of = torch.autograd.grad(paid.terms[""].per.sum(), list(given.values()), materialize_grads=True)
    return weight_and_direction(*of)


def test_the_softmax_weighs_the_others_together_as_much_as_the_relevant_one_and_moves_the_yes_alone():
    found = moved(RerankCL(), logits(0), logits(1))
    assert found.together == pytest.approx(found.positive)
    assert found.positive < 1
    assert found.against_no.eq(0).all()


def test_the_yes_or_no_weighs_each_by_itself_and_moves_the_lead_over_the_no():
    found = moved(RerankSFT(reduction="sum"), torch.full((1, 9), 5.0), torch.zeros(1, 9))
    assert found.together == pytest.approx(8 * torch.tensor(5.0).sigmoid().item())
    assert found.positive == pytest.approx(torch.tensor(-5.0).sigmoid().item())
    torch.testing.assert_close(found.against_no, torch.ones_like(found.against_no))


@pytest.mark.parametrize("weigh", ["softmax", "sigmoid", "constant"])
@pytest.mark.parametrize("direction", ["yes", "lead"])
def test_weight_and_direction_come_back_as_they_were_chosen(weigh, direction):
    yes, no = logits(0), logits(1)
    p = RerankUnified(weigh=weigh, direction=direction)
    found = moved(p, yes, no)
    held = hold_weights({"candidate_scores": yes, "refusal_scores": no}, p, stream(0))["held_weight"]
    torch.testing.assert_close(found.weight, held)
    assert found.against_no.unique().tolist() == [float(direction == "lead")]


def test_equal_logits_give_what_is_said_of_chance():
    equal = torch.zeros(3, 4, dtype=torch.float64)
    by_softmax, each = moved(RerankCL(), equal, equal), moved(RerankSFT(reduction="sum"), equal, equal)
    assert (by_softmax.positive, by_softmax.negative) == (pytest.approx(3 / 4), pytest.approx(1 / 4))
    assert (each.positive, each.negative, each.together) == (0.5, 0.5, 1.5)


def test_what_is_not_moved_has_no_direction():
    found = weight_and_direction(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, -0.5]]))
    assert found.against_no[0, 0].isnan()
    assert found.against_no[0, 1] == 0.5


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="give one for each"):
        weight_and_direction(torch.ones(2, 3), torch.ones(3, 2))
    with pytest.raises(ValueError, match="at least two"):
        weight_and_direction(torch.ones(2, 1), torch.ones(2, 1))
