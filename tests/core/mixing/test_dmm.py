"""DMM: how it mixes, what is paid in all, and what that does to a pair."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.ranking import Ranking, ranking
from core.losses.registry import LOSSES
from core.mixing.dmm import DMM, DynamicMixedMargin, mixed_weight
from core.mixing.registry import Known, Plan, Step
from core.paid import Paid, Term
from core.streams import stream
from tests.core.losses.batches import batches, leaves
from tests.core.losses.meta import OnlyMeta

MIX = DynamicMixedMargin()


def plan(n: int, p: DMM, *, seed: int = 0, margin: float = 0.2) -> Plan:
    return MIX.plan(n, p, stream(seed, "mixing", 0), Known(margin=margin))


def unit(seed: int, n: int = 6, d: int = 5) -> Tensor:
    return F.normalize(torch.randn(n, d, generator=stream(seed, "unit"), dtype=torch.float64), dim=-1)


# How it mixes


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 5, 5)])
def test_inputs_of_any_shape_are_mixed_item_by_item(shape: tuple[int, ...]):
    x = torch.randn(shape, generator=stream(0, "x"))
    p = DMM(per_sample=True)
    drawn = plan(4, p)
    mixed = MIX.apply({"a": x, "b": x}, drawn, p)
    for i in range(4):
        lam = drawn.lam[i].item()
        torch.testing.assert_close(mixed["a"][i], lam * x[i] + (1 - lam) * x[3 - i])
    assert mixed["b"] is x


def test_the_other_side_can_be_mixed():
    inputs = {"a": unit(0), "b": unit(1), "labels": torch.arange(6)}
    mixed = MIX.apply(inputs, plan(6, DMM(side="b")), DMM(side="b"))
    assert mixed["a"] is inputs["a"]
    assert mixed["labels"] is inputs["labels"]
    assert not torch.equal(mixed["b"], inputs["b"])


def test_mixed_embeddings_are_unit_vectors_on_the_way_between():
    z, p = unit(0), DMM(level="embedding", law="fixed", fixed=0.7)
    mixed = MIX.apply({"a": z}, plan(6, p), p)["a"]
    torch.testing.assert_close(mixed.norm(dim=-1), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(mixed, F.normalize(0.7 * z + 0.3 * z.flip(0), dim=-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_opposite_partners_stay_finite(dtype: torch.dtype):
    z = torch.tensor([[0.6, 0.8], [-0.6, -0.8]], dtype=dtype, requires_grad=True)
    p = DMM(level="embedding", law="fixed", fixed=0.5)
    mixed = MIX.apply({"a": z}, plan(2, p), p)["a"]
    mixed.sum().backward()
    assert mixed.dtype == dtype
    assert mixed.isfinite().all()
    assert z.grad is not None
    assert z.grad.isfinite().all()


# What is paid in all


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {0: 0, 10: 0.25, 30: 0.5, 99: 99 / 129}),
        ({"half": 12, "scale": 2}, {0: 0, 12: 1, 36: 1.5}),
        ({"weight": "linear", "half": 20}, {0: 0, 5: 0.25, 20: 1, 99: 1}),
        ({"weight": "constant", "scale": 0.5}, {0: 0.5, 99: 0.5}),
        ({"weight": "cosine", "half": 20, "scale": 2}, {0: 0, 5: 1 - math.sqrt(0.5), 10: 1, 20: 2, 99: 2}),
        ({"weight": "zero", "scale": 3}, {0: 0, 99: 0}),
        ({"half": 12, "start": 1}, {0: 1 / 13, 39: 40 / 52}),
    ],
)
@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_the_weight_follows_its_closed_form(settings: dict[str, object], expected: dict[int, float], unit: str):
    p = DMM(**settings, unit=unit)
    for t, weight in expected.items():
        step = Step(index=t, epoch=-1) if unit == "step" else Step(index=-1, epoch=t)
        assert mixed_weight(p, step) == pytest.approx(weight, abs=1e-15)


def test_what_is_paid_is_the_clean_loss_and_the_weighted_mixed_one():
    clean, mixed = Paid({"": Term(torch.tensor([1.0, 3.0]))}), Paid({"": Term(torch.tensor([2.0, 6.0]), weight=0.5)})
    paid = MIX.combine(clean, mixed, Step(index=500, epoch=10), DMM())
    assert list(paid.terms) == ["clean", "mixed"]
    assert paid.terms["clean"].value().item() == 2
    assert paid.terms["mixed"].value().item() == 1
    assert paid.total().item() == 3
    assert paid.terms["mixed"].per.tolist() == [2, 6]


def test_a_weight_of_zero_leaves_the_clean_gradient():
    a, b = unit(0).requires_grad_(), unit(1)
    clean = ranking(a, b, Ranking(margin=1))
    mixed = ranking(a.flip(0), b, Ranking(margin=1))
    both = MIX.combine(clean, mixed, Step(0, 0), DMM()).total()
    torch.testing.assert_close(*(torch.autograd.grad(x, a, retain_graph=True)[0] for x in (both, clean.total())))


# With every loss


@pytest.mark.parametrize("level", ["input", "embedding"])
@pytest.mark.parametrize("key", [entry.key for entry in LOSSES if {"a", "b"} <= set(entry.inputs)])
def test_mixes_under_every_loss_on_the_meta_device(key: str, level: str):
    entry, p = LOSSES[key], DMM(level=level, per_sample=True)
    settings = entry.params()
    inputs = leaves({name: value.to("meta") for name, value in next(batches(entry)).items()})
    drawn = plan(6, p, margin=getattr(settings, "margin", 0.0)).to(torch.device("meta"))
    asked = {"margin": drawn.margin} if "margin" in entry.inputs else {}
    with OnlyMeta():
        mixed = entry.call(**MIX.apply(inputs, drawn, p), p=settings, **asked)
        paid = MIX.combine(entry.call(**inputs, p=settings), mixed, Step(5, 5), p)
        paid.total().backward()
    assert all(pairs.scores.is_meta for pairs in paid.pairs)
    assert inputs["a"].grad is not None
    assert inputs["a"].grad.is_meta
