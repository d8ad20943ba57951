"""Candidates against the losses themselves, and runs of the trainer that are asked who made them."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F

from core.data.loading import load
from core.diagnostics import guessing
from core.diagnostics.guessing import CANDIDATES, Unrest, finer, guess, unrest
from core.losses.registry import LOSSES
from core.recipe import Recipe
from core.runs.trainer import Trainer
from tests.core.diagnostics.clouds import unit


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    monkeypatch.setattr(guessing, "SEEN", 2_048)


A, B = unit(24, 6, 1, torch.float64), unit(24, 6, 2, torch.float64)


def along(gradient: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return gradient - (gradient * z).sum(dim=1, keepdim=True) * z


@pytest.mark.parametrize(
    ("key", "settings", "force"),
    [
        ("clip", {"temperature": 0.2}, functools.partial(guessing.softmax_force, temperature=0.2)),
        ("ranking", {"margin": 0.3}, functools.partial(guessing.hinge_force, margin=0.3, hardest=False)),
        (
            "ranking",
            {"margin": 0.3, "violation": "max"},
            functools.partial(guessing.hinge_force, margin=0.3, hardest=True),
        ),
        (
            "siglip",
            {"temperature": 0.2, "bias": -5},
            functools.partial(guessing.logistic_force, temperature=0.2, bias=-5),
        ),
        ("contrastive", {"margin": 1.2}, functools.partial(guessing.contrastive_force, margin=1.2)),
    ],
)
def test_a_candidate_moves_the_embeddings_as_the_loss_does(key, settings, force):
    entry, x, y = LOSSES[key], A.clone().requires_grad_(), B.clone().requires_grad_()
    paid = entry.call(x, y, entry.params(**settings))
    wanted = torch.autograd.grad(paid.total(), (x, y))
    felt = force(A @ B.T)
    ours, theirs = (
        torch.cat([along(g, z) for g, z in zip(pair, (A, B), strict=True)]).flatten()
        for pair in ((felt @ B, felt.T @ A), wanted)
    )
    assert float(F.cosine_similarity(ours, theirs, dim=0)) == pytest.approx(1, abs=1e-10)


def test_unrest_is_the_gradient_of_a_last_layer_over_its_two_halves(monkeypatch):
    """By autograd, through a linear layer before the sphere, whatever the lengths of what goes in."""
    monkeypatch.setattr(guessing, "SEEN", 100)
    monkeypatch.setattr(guessing, "FELT", 1)
    lengths = torch.linspace(0.5, 4, 40, dtype=torch.float64)[:, None]
    h = unit(40, 6, 1, torch.float64) + 0.5, lengths * unit(40, 6, 2, torch.float64)
    layers = [torch.eye(6, dtype=torch.float64, requires_grad=True) for _ in h]
    drawn = guessing._halves(40, 16, seed=0)
    assert [[len(part) for part in half] for half in drawn] == [[16] * 3] * 2
    for candidate, found in zip(CANDIDATES, unrest(*h, batch=16), strict=True):
        pulled, pushed = ([through(layers, h, batches, candidate, k) for batches in drawn] for k in (0, 1))
        net = [pull + push for pull, push in zip(pulled, pushed, strict=True)]
        size = [max(0.0, float((one * other).sum())) ** 0.5 for one, other in (net, pulled, pushed)]
        assert found.share == pytest.approx(size[0] / (size[1] + size[2]), abs=1e-9)


def through(layers, h, batches, candidate, sign: int) -> torch.Tensor:
    """The gradient of both layers, one under the other, from the pull (0) or the push (1) of a candidate."""
    total = torch.zeros(12, 6, dtype=torch.float64)
    for items in batches:
        x, y = (F.normalize(each[items] @ layer.T, dim=1) for each, layer in zip(h, layers, strict=True))
        scores = x @ y.T
        force = candidate.force(scores.detach())
        part = force.clamp(min=0) if sign else force.clamp(max=0)
        total += torch.cat(torch.autograd.grad((part * scores).sum(), layers))
    return total


@pytest.mark.parametrize("candidate", [CANDIDATES[k] for k in (3, 14, 15, 40, -2)], ids=lambda c: c.family)
def test_between_the_candidates_settings_are_finer_and_of_the_same_loss(candidate):
    near = finer(candidate)
    known = candidate.force.keywords
    assert {each.family for each in near} == {candidate.family}
    assert {each.force.func for each in near} == {candidate.force.func}
    assert all(each.setting.items() <= each.force.keywords.items() for each in near)
    assert all(each.force.keywords.get("hardest") == known.get("hardest") for each in near)
    for name, value in candidate.setting.items():
        moved = [each.setting[name] - value for each in near]
        assert min(moved) < 0 < max(moved)
        assert max(map(abs, moved)) < abs(value) or value == 0
    assert all(each.setting != candidate.setting for each in near)


def test_a_force_that_few_feel_says_nothing():
    a, b = unit(200, 64, 1), unit(200, 64, 1)
    a[:3] = unit(1, 64, 5)
    seen = {(u.family, *u.setting.values()): u.share for u in unrest(a, b)}
    assert math.isnan(seen["softmax", 0.02])
    assert math.isnan(seen["hinge", 0.05])
    assert not math.isnan(seen["softmax", 1.0])


def run(kind: str, seed: int = 0, **settings):
    """Training and test embeddings of a small run that came to rest."""
    given = {
        "data": {"kind": "mfeat", "modalities": ("fou", "zer")},
        "encoder": {"dim": 32, "vector": {"kind": "linear"}},
        "method": {"kind": "shuffle", "batch": 128},
        "optimiser": {"lr": 5e-3, "schedule": "cosine", "weight_decay": 0.01},
        "loss": {"kind": kind, **settings},
        "steps": 300,
        "seed": seed,
    }
    recipe = Recipe.model_validate(given)
    data = load(recipe.data)
    trainer = Trainer(recipe, data, torch.device("cpu"))
    for _ in range(recipe.steps):
        trainer.advance()
    z = list(trainer.embed().values())
    return [each[data.split.train] for each in z], [each[data.split.test] for each in z]


@pytest.mark.parametrize(
    ("kind", "settings", "family", "name", "value"),
    [
        ("clip", {"temperature": 0.12}, "softmax", "temperature", 0.12),
        ("ranking", {"margin": 0.11}, "hinge", "margin", 0.11),
        ("siglip", {"temperature": 0.2, "bias": -5}, "logistic", "bias", -5),
    ],
)
def test_a_run_at_rest_names_its_family_and_its_knob_and_held_out_items_are_never_wrong(
    kind, settings, family, name, value
):
    train, test = run(kind, **settings)
    found = guess(*train)
    assert found.family == family
    low, high = found.between[name]
    assert low <= value <= high
    assert abs(found.setting[name] - value) <= 0.2 * abs(value)
    assert found.tried[0].family == family
    assert guess(*test).family in (family, None)


def test_what_cannot_be_told_is_not_sure_and_says_why(monkeypatch):
    """Half of pull and push does not cancel in pairs that nobody trained: a few batches show it."""
    monkeypatch.setattr(guessing, "SEEN", 512)
    z = unit(200, 8, 1)
    cases = {
        "too few": (z[:20], z[:20]),
        "one point": (F.normalize(z + 30 * z[:1], dim=1), z),
        "no better than by chance": (z, unit(200, 8, 2)),
    }
    for why, (a, b) in cases.items():
        found = guess(a, b)
        assert (found.family, found.setting, found.between, found.tried) == (None, {}, {}, ())
        assert why in found.evidence[-1]
    other = F.normalize(z + 0.7 * unit(200, 8, 2), dim=1)
    noisy, longer = guess(z, other), guess(*(each * torch.linspace(0.5, 3, 200)[:, None] for each in (z, other)))
    assert [each.share for each in longer.tried] == pytest.approx([each.share for each in noisy.tried], rel=1e-3)
    assert "length 1" in noisy.evidence[0]
    assert "lengths from 0.5 to 3" in longer.evidence[0]
    assert noisy.family is None
    assert noisy.tried
    with pytest.raises(ValueError, match="row by row"):
        guess(z, z[1:])


def test_a_family_has_to_be_at_rest_and_ahead_of_the_others():
    def word(softmax: float = math.nan, hinge: float = math.nan) -> str | None:
        found = (Unrest("softmax", {"temperature": 0.1}, softmax), Unrest("hinge", {"margin": 0.2}, hinge))
        return guessing._weighed([], found).family

    rest, ahead = guessing.AT_REST, guessing.AHEAD
    assert word(softmax=rest, hinge=0.5) == "softmax"
    assert word(softmax=math.nextafter(rest, 1), hinge=0.5) is None
    assert word(softmax=0.02, hinge=0.02 * ahead) == "softmax"
    assert word(softmax=0.02, hinge=0.0199 * ahead) is None
    assert word(softmax=math.nan, hinge=0.05) == "hinge"
    assert word(softmax=math.nan) is None
    assert word() is None
