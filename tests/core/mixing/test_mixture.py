"""The mixture itself: arcs, masks of sequences, and parts that are mixed with their item."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.mixing.dmm import DMM, DynamicMixedMargin
from core.mixing.mixture import along_arc, mixed_mask
from core.mixing.registry import Known, Plan
from core.mixing.schedule import LEARNED
from core.mixing.targets import partner_pairs
from core.streams import stream
from tests.core.losses.meta import OnlyMeta

MIX = DynamicMixedMargin()


def on_circle(*degrees: float) -> Tensor:
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


@pytest.mark.parametrize("lam", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_along_the_arc_the_angle_is_divided(lam: float):
    share = torch.tensor([lam], dtype=torch.float64)
    torch.testing.assert_close(along_arc(on_circle(10), on_circle(110), share), on_circle(110 - 100 * lam))


@pytest.mark.parametrize("degrees", [0.0, 1e-5, 179.99, 180.0])
def test_where_there_is_no_single_arc_mixtures_and_gradients_stay_finite(degrees: float):
    z = on_circle(0).requires_grad_()
    mixed = along_arc(z, on_circle(degrees), torch.tensor([0.6], dtype=torch.float64))
    mixed.sum().backward()
    assert mixed.norm().item() == pytest.approx(1, abs=1e-3)
    assert z.grad is not None
    assert z.grad.isfinite().all()


@pytest.mark.parametrize(("how", "expected"), [("unit", 1.0), ("none", math.sqrt(0.49 + 0.09)), ("geodesic", 1.0)])
def test_mixed_embeddings_are_as_long_as_asked(how: str, expected: float):
    z = torch.eye(2, dtype=torch.float64)
    p = DMM(level="embedding", renormalise=how, law="fixed", fixed=0.7)
    mixed = MIX.apply({"a": z}, MIX.plan(2, p, stream(0), Known(margin=0.2)), p)["a"]
    torch.testing.assert_close(mixed.norm(dim=1), torch.full((2,), expected, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("union", [[1, 1, 1], [1, 1, 1]]),
        ("keep", [[1, 1, 0], [1, 0, 1]]),
        ("intersect", [[1, 0, 0], [1, 0, 0]]),
    ],
)
def test_the_mask_of_a_mixed_sequence(how: str, expected: list[list[int]]):
    mask = torch.tensor([[1, 1, 0], [1, 0, 1]]).bool()
    assert mixed_mask(mask, mask.flip(0), how).int().tolist() == expected
    sequence = torch.ones(2, 3, 4)
    p = DMM(sequence=how)
    plan = Plan(torch.full((2,), 0.5), torch.tensor([1, 0]), torch.zeros(2))
    assert MIX.apply({"a": sequence, "mask": mask}, plan, p)["mask"].int().tolist() == expected


def test_members_and_context_are_mixed_with_their_item_and_those_of_the_other_side_stay():
    g = stream(0, "parts")
    inputs = {name: torch.randn(4, *shape, generator=g) for name, shape in (("a", (3,)), ("bags", (2, 3)))}
    inputs |= {"context": torch.randn(4, 3, generator=g), "other_bags": torch.randn(4, 2, 3, generator=g)}
    p = DMM(level="embedding", law="fixed", fixed=0.8)
    mixed = MIX.apply(inputs, MIX.plan(4, p, g, Known(margin=0.2)), p)
    for name in ("a", "bags", "context"):
        expected = F.normalize(0.8 * inputs[name] + 0.2 * inputs[name].flip(0), dim=-1)
        torch.testing.assert_close(mixed[name], expected)
    assert mixed["other_bags"] is inputs["other_bags"]


def test_as_released_the_members_of_the_batch_are_turned_round_whatever_their_item():
    bags = torch.arange(1.0, 7.0).reshape(2, 3, 1)
    present = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    p = DMM(law="fixed", fixed=0.75, members="turned")
    mixed = MIX.apply({"bags": bags, "bag_mask": present}, MIX.plan(2, p, stream(0), Known(margin=0.2)), p)
    partners = torch.tensor([6.0, 5.0, 3.0, 4.0, 2.0, 1.0]).reshape(2, 3, 1)
    torch.testing.assert_close(mixed["bags"], 0.75 * bags + 0.25 * partners)
    assert torch.equal(mixed["bag_mask"], present)
    whole = MIX.apply({"bags": bags}, MIX.plan(2, p, stream(0), Known(margin=0.2)), p)["bags"]
    torch.testing.assert_close(whole, 0.75 * bags + 0.25 * bags.flatten().flip(0).reshape(2, 3, 1))


OPTIONS = (
    {},
    {"side": "b"},
    {"side": "both"},
    {"members": "turned"},
    {"sequence": "keep"},
    {"sequence": "intersect"},
    {"level": "embedding"},
    {"level": "embedding", "renormalise": "none"},
    {"level": "embedding", "renormalise": "geodesic"},
    {"partner": "bank"},
    {"partner": "hard"},
    {"rule": "learned"},
)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_mixtures_are_made_on_the_meta_device_with_every_option(options: dict[str, Any]):
    p, meta = DMM(**options), torch.device("meta")
    shapes = {"a": (4, 3), "b": (4, 3), "bags": (4, 2, 3), "other_bags": (4, 2, 3), "bank.a": (7, 3)}
    inputs = {name: torch.zeros(shape, device=meta).requires_grad_() for name, shape in shapes.items()}
    masks = {"bag_mask": torch.ones(4, 2, device=meta).bool()}
    learned = {name: torch.zeros((), device=meta) for name in LEARNED}
    known = Known(0.2, z=inputs["a"], memory={"bank.a": inputs["bank.a"]}, learned=learned)
    plan = MIX.plan(4, p, stream(0), known).to(meta)
    with OnlyMeta():
        mixed = MIX.apply(inputs | masks, plan, p)
        torch.cat([mixed[name].flatten() for name in shapes]).sum().backward()
        partner_pairs(plan, "a")
    assert all(value.is_meta for value in mixed.values())


def test_a_bank_of_bags_brings_its_own_masks():
    own, kept = torch.tensor([[1, 1, 0]]).bool(), torch.tensor([[1, 0, 0], [1, 1, 1]]).bool()
    given = {"bags": torch.ones(1, 3, 2), "bag_mask": own, "bank.bags": 3 * torch.ones(2, 3, 2), "bank.bag_mask": kept}
    plan = Plan(torch.full((1,), 0.5), torch.tensor([1]), torch.zeros(1), torch.tensor([True]))
    mixed = MIX.apply(given, plan, DMM(partner="bank"))
    assert mixed["bag_mask"].tolist() == [[True, True, True]]
    assert MIX.apply(given, plan, DMM(partner="bank", sequence="intersect"))["bag_mask"].tolist() == own.tolist()
    assert mixed["bags"].unique().tolist() == [2]


def test_a_bank_gives_its_own_rows():
    x, bank = torch.zeros(3, 2), torch.arange(10.0).reshape(5, 2)
    plan = Plan(torch.full((3,), 0.5), torch.tensor([4, 0, 1]), torch.zeros(3), torch.tensor([True, True, False]))
    mixed = MIX.apply({"a": x, "bank.a": bank}, plan, DMM(partner="bank"))["a"]
    torch.testing.assert_close(mixed, torch.stack([bank[4] / 2, bank[0] / 2, torch.zeros(2)]))
