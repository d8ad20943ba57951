"""The registry of mixings, and the plan that they draw."""

import torch

from core.mixing.registry import MIXINGS, Known, Plan


def test_knows_what_the_links_name():
    assert {"none", "dmm", "negative_item"} <= set(MIXINGS.keys())
    assert MIXINGS["none"].call() is None


def test_every_mixing_says_what_it_is():
    for entry in MIXINGS:
        assert entry.title
        assert entry.summary.endswith(".")
        assert entry.key == "none" or (entry.formula and entry.source)


def test_every_mixing_keeps_the_protocol_from_its_defaults():
    for entry in MIXINGS:
        mixing = entry.call()
        if mixing is None:
            continue
        p = entry.params()
        plan = mixing.plan(5, p, torch.Generator().manual_seed(0), Known(margin=0.3))
        assert plan.lam.shape == plan.partner.shape == plan.margin.shape == (5,)
        mixed = mixing.apply({"a": torch.ones(5, 2), "b": torch.ones(5, 2)}, plan, p)
        made = {"negatives": (5, 4, 2)} if mixing.mixes == "negatives" else {}
        assert {name: value.shape for name, value in mixed.items()} == {"a": (5, 2), "b": (5, 2)} | made
        assert mixing.remember({}, plan, mixed, p) == {}


def test_a_plan_moves_as_a_whole():
    plan = Plan(torch.ones(2), torch.tensor([1, 0]), torch.zeros(2)).to(torch.device("meta"))
    assert plan.lam.is_meta
    assert plan.partner.is_meta
    assert plan.margin.is_meta
