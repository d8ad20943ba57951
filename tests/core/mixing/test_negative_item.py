"""Mixed negatives: where they lie, what they are asked, and how that follows from Stewart's theorem."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from core.mixing.negative_item import MixedNegatives, NegativeItem, others
from core.mixing.registry import Known
from core.streams import stream

MIX = MixedNegatives()
N, K, D = 6, 4, 5


def points(name: str, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=stream(0, name), dtype=torch.float64)


def test_each_negative_moves_towards_the_anchors_own_positive():
    p = NegativeItem(per_sample=True)
    plan = MIX.plan(N, p, stream(0, "plan"), Known(margin=1.0))
    inputs = {"a": points("u", N, D), "b": points("p", N, D), "negatives": points("n", N, K, D)}
    made = MIX.apply(inputs, plan, p)
    assert made["a"] is inputs["a"]
    assert made["b"] is inputs["b"]
    for i in range(N):
        lam = float(plan.lam[i])
        expected = lam * inputs["b"][i] + (1 - lam) * inputs["negatives"][i]
        torch.testing.assert_close(made["negatives"][i], expected)


def test_without_negatives_of_their_own_anchors_meet_the_other_items():
    b = points("p", 4, D)
    assert [[b.tolist().index(row) for row in rows] for rows in others(b).tolist()] == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
    ]
    p = NegativeItem(low=0, high=0)
    made = MIX.apply({"a": b, "b": b}, MIX.plan(4, p, stream(0), Known(margin=1.0)), p)
    torch.testing.assert_close(made["negatives"], others(b))


@pytest.mark.parametrize(("rule", "factor"), [("one_minus_lam", 0.75), ("lam", 0.25), ("constant", 1.0), ("zero", 0.0)])
def test_the_margin_follows_its_rule(rule: str, factor: float):
    plan = MIX.plan(3, NegativeItem(low=0.25, high=0.25, rule=rule), stream(0), Known(margin=1.6))
    assert plan.margin.tolist() == pytest.approx([1.6 * factor] * 3)
    own = MIX.plan(3, NegativeItem(low=0.25, high=0.25, rule=rule, margin=0.4), stream(0), Known(margin=1.6))
    assert own.margin.tolist() == pytest.approx([0.4 * factor] * 3)


def test_the_released_rule_multiplies_what_was_left_and_the_memory_carries_it():
    p, memory, expected = NegativeItem(rule="released_decay"), {}, 1.5
    for step in range(20):
        plan = MIX.plan(N, p, stream(0, step), Known(margin=1.5, memory=memory))
        expected *= float(plan.lam[0])
        assert plan.margin.tolist() == pytest.approx([expected] * N, rel=1e-5)
        memory = MIX.remember(memory, plan, {}, p)
    assert memory["product"].dtype == torch.float64


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"low": 0.9, "high": 0.1}, "low must not exceed high"),
        ({"rule": "released_decay", "per_sample": True}, "turn per_sample off"),
        ({"low": -0.1}, "low"),
    ],
)
def test_bad_params_are_refused(wrong: dict[str, object], said: str):
    with pytest.raises(ValidationError, match=said):
        NegativeItem(**wrong)
