"""The family map: what is one loss by theory is one spot by measure, and nothing but behaviour decides a place."""

import dataclasses
import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics import family_map as fm
from core.diagnostics.family_map import GRID, PROBE, SAME, Apart, FamilyMap, Measured, Sample
from core.diagnostics.loss_lens import cosines, moving, sample
from core.diagnostics.synthetic import synthetic
from core.losses.registry import LOSSES, LossEntry
from core.paid import Paid, Term
from core.runs.family import family
from core.streams import stream
from tests.core.diagnostics.clouds import unit

FEW = ("alignment", "clip", "core_tuning", "dcl", "info_nce", "moco", "nt_xent", "pairwise_clip", "supcon", "triplet")
SINGLE = "each pair a class of its own"


def measured(key: str, grid=GRID, **given) -> Measured:
    """A loss at the common temperature with some fields changed; `SINGLE` among them is no field."""
    entry, single = LOSSES[key], bool(given.pop(SINGLE, False))
    p = fm.settings(entry, "alike").model_copy(update=given)
    return fm.measure(entry, p, grid, single=single)


def apart_by(one: Measured, other: Measured) -> float:
    return float(fm.distances(one.vector[None], other.vector[None]))


def mutant(key: str, **how) -> LossEntry:
    """A loss that is not registered: another one with its call replaced."""
    return dataclasses.replace(LOSSES[key], **how)


def scaled(key: str, factor: float) -> LossEntry:
    call = LOSSES[key].call
    return mutant(
        key, call=lambda a, b, p: Paid({n: Term(factor * t.per, t.axis) for n, t in call(a, b, p).terms.items()})
    )


@pytest.fixture(scope="module")
def few() -> FamilyMap:
    return fm.family_map({key: measured(key) for key in FEW}, {"rerank_cl": fm.NO_EMBEDDINGS})


@pytest.fixture(scope="module")
def whole() -> FamilyMap:
    return family("alike")


EQUAL = [
    (("clip", {}), ("pairwise_clip", {})),
    (("clip", {"margin": 0.3}), ("pairwise_clip", {"margin": 0.3})),
    (("sample4geo", {"smoothing": 0}), ("clip", {})),
    (("angular", {"margin": 0}), ("info_nce", {})),
    (("hard_contrastive", {"hardest": 1}), ("info_nce", {})),
    (("mv_pwe", {}), ("nt_xent", {})),
    (("mv_pvc", {"temperature": 0.5}), ("nt_xent", {"temperature": 0.5})),
    (("pot_gcl", {"margin": 0.2}), ("nt_xent", {"margin": 0.2})),
    (("csgcl", {"team_up": 0}), ("nt_xent", {})),
    (("supcon", {SINGLE: True}), ("nt_xent", {})),
    (("local_global", {SINGLE: True}), ("nt_xent", {})),
    (("contrastive", {"margin": 0}), ("alignment", {})),
    (("ts_moco", {}), ("moco", {})),
    (("interclr", {"inter": 0}), ("moco", {})),
    (("hiclr", {"follow": 0}), ("moco", {})),
    (("mochi", {"pairs": 0, "own": 0}), ("moco", {})),
    (("feature_transform", {"positives": "none", "negatives": False}), ("moco", {})),
    (("m3col", {"chance": 0}), ("clip", {})),
    (("n_pair", {"l2": 0}), ("info_nce", {"temperature": 1})),
    (("debiased", {"tau_plus": 0}), ("nt_xent", {})),
    (("hcl", {"beta": 0}), ("debiased", {})),
    (("align_uniform", {"uniformity": 0}), ("alignment", {})),
    (("arcface", {"margin": 0}), ("cosface", {"margin": 0})),
    (("byol", {}), ("simsiam", {})),
    (("byol", {"standardise": False}), ("alignment", {})),
]
UNEQUAL = [
    (("clip", {}), ("info_nce", {})),
    (("clip", {"margin": 0.3}), ("pairwise_clip", {})),
    (("nt_xent", {}), ("info_nce", {})),
    (("mv_infonce", {}), ("nt_xent", {})),
    (("dcl", {}), ("nt_xent", {})),
    (("nt_xent", {}), ("nt_xent", {"temperature": 0.11})),
    (("supcon", {}), ("nt_xent", {})),
    (("csgcl", {"team_up": 0.1}), ("nt_xent", {})),
    (("contrastive", {}), ("alignment", {})),
    (("moco", {}), ("info_nce", {})),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=lambda each: each[0])
def test_what_is_one_by_theory_has_one_behaviour(one, other):
    assert apart_by(measured(one[0], **one[1]), measured(other[0], **other[1])) < SAME


@pytest.mark.parametrize(("one", "other"), UNEQUAL, ids=lambda each: each[0])
def test_what_is_not_one_is_told_apart(one, other):
    assert apart_by(measured(one[0], **one[1]), measured(other[0], **other[1])) > 100 * SAME


def points_of(s: Sample) -> Tensor:
    made = synthetic(s.n, s.dim, s.closeness, s.spread, stream(s.seed, "pairs"))
    return torch.cat([made.a, made.b])


@pytest.mark.parametrize(("key", "moved"), [("info_nce", ("a", "b")), ("moco", ("a",)), ("core_tuning", ("a",))])
def test_a_behaviour_is_what_a_small_step_does_to_every_two_points(key: str, moved: tuple[str, ...]):
    """The step is made: what moves goes along its gradient, and all cosines are compared before and after."""
    entry, p, s = LOSSES[key], fm.settings(LOSSES[key], "alike"), GRID[0]
    made = synthetic(s.n, s.dim, s.closeness, s.spread, stream(s.seed, "pairs"))
    z = torch.cat([made.a, made.b])
    if entry.needed == ["a", "labels"]:
        given = {"a": z, "labels": made.labels.repeat(2)}
    else:
        given = sample(entry, s)
        assert torch.equal(torch.cat([given[name] for name in entry.needed[:2]]), z)
    inputs = moving(given)
    total = entry.pay(inputs, p, stream(s.seed, "lens", "plan")).total()
    slopes = torch.cat(torch.autograd.grad(total, [inputs[name] for name in moved]))
    step = 1e-6 * F.pad(slopes, (0, 0, 0, len(z) - len(slopes)))
    change = cosines(z - step, z - step) - cosines(z + step, z + step)
    i, j = torch.triu_indices(len(z), len(z), 1)
    found = measured(key, (s,)).vector
    torch.testing.assert_close(found, F.normalize(change[i, j], dim=0), rtol=1e-4, atol=1e-6)


def test_permuting_the_losses_changes_nothing(few):
    order = random.Random(0).sample(FEW, len(FEW))
    assert order != list(FEW)
    again = fm.family_map({key: measured(key) for key in order}, few.apart)
    assert again.keys == few.keys == tuple(sorted(FEW))
    for name in ("vectors", "places", "active", "distances"):
        assert torch.equal(getattr(again, name), getattr(few, name)), name
    assert (again.stress, again.trust) == (few.stress, few.trust)


def test_what_is_one_by_theory_lands_on_one_spot(whole):
    where = dict(zip(whole.keys, whole.places, strict=True))
    far = float(torch.cdist(whole.places, whole.places).max())
    for one, other in (("clip", "pairwise_clip"), ("nt_xent", "mv_pwe"), ("nt_xent", "pot_gcl"), ("moco", "ts_moco")):
        assert float((where[one] - where[other]).norm()) < SAME * far
    assert float((where["clip"] - where["info_nce"]).norm()) > 0.01 * far


def test_no_scale_counts_and_the_other_sign_is_the_far_end(few):
    spot = few.places[few.keys.index("clip")]
    p = fm.settings(LOSSES["clip"], "alike")
    tenfold, against = fm.place(scaled("clip", 10), p, few), fm.place(scaled("clip", -1), p, few)
    assert float(tenfold.distances.min()) < 1e-12
    assert torch.equal(tenfold.place, spot)
    assert float(against.distances.max()) == pytest.approx(2)
    assert few.keys[int(against.distances.argmax())] in ("clip", "pairwise_clip")
    assert float((against.place - spot).norm()) > float((few.places - spot).norm(dim=1).max())


def test_a_loss_is_placed_where_it_stands_and_moves_nobody(few):
    before = few.places.clone()
    for key in few.keys:
        found = fm.place(LOSSES[key], fm.settings(LOSSES[key], "alike"), few)
        assert torch.equal(found.place, few.places[few.keys.index(key)]) or key in ("clip", "pairwise_clip")
        torch.testing.assert_close(found.distances, few.distances[few.keys.index(key)], rtol=0, atol=1e-12)
    newcomer = fm.place(LOSSES["dclw"], LOSSES["dclw"].params(), few)
    assert torch.equal(few.places, before)

    def stress(y: Tensor) -> float:
        return float(((y - before).norm(dim=1) - newcomer.distances).square().sum())

    least = stress(newcomer.place)
    for angle in torch.linspace(0, 6, 12):
        assert stress(newcomer.place + 0.01 * torch.stack([angle.cos(), angle.sin()])) > least


def test_a_function_of_a_and_b_is_placed_like_an_entry(few):
    def mine(a: Tensor, b: Tensor) -> Tensor:
        return F.cross_entropy(7 * (a @ b.T) / 0.7, torch.arange(len(a)), reduction="sum")

    found = fm.place(mine, None, few)
    assert few.twins("info_nce")[0].keys[0] != "info_nce"
    (nearest, *_) = fm.nearest(few, found.distances)
    assert nearest.keys == ("info_nce",)
    assert nearest.distance < 1e-12
    assert torch.equal(found.place, few.places[few.keys.index("info_nce")])


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda a, b: (a @ b.T).detach().sum(), fm.AT_REST),
        (lambda a, b: 3 * a.square().sum() + b.norm(dim=1).sum(), fm.AT_REST),
        (lambda a, b: 0 * (a @ b.T).sum(), fm.AT_REST),
        (lambda a, b: ((a @ b.T) - 2).sqrt().sum(), "its motion is not finite on 8 pairs at closeness 0.2"),
    ],
    ids=["detached", "lengths alone", "nothing", "not finite"],
)
def test_what_moves_nothing_has_no_place_by_noise(call, why: str, few):
    with pytest.raises(Apart) as refused:
        fm.place(call, None, few)
    assert str(refused.value) == why


def test_a_hinge_that_is_silent_on_some_batches_counts_by_the_others():
    close = Sample(8, 0.99, 0, 32, 0)
    grid = (close, PROBE[1])
    found = measured("ranking", grid, margin=0)
    assert found.active == 1
    assert not found.vector[:120].any()
    assert float(found.vector.norm()) == pytest.approx(1)
    assert apart_by(found, measured("clip", grid)) > 1 - 0.5**0.5
    with pytest.raises(Apart, match=fm.AT_REST):
        measured("ranking", (close,), margin=0)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("rerank_cl", fm.NO_EMBEDDINGS),
        ("dpo", fm.NO_EMBEDDINGS),
        ("autotcl", fm.NO_ITEMS),
        ("secla", fm.NO_ITEMS),
        ("vclub", fm.NO_PAIRS),
    ],
)
def test_what_cannot_be_compared_says_why(key: str, why: str, whole):
    assert whole.apart[key] == why
    assert key not in whole.keys


def test_every_registered_loss_has_a_place_or_a_reason(whole):
    assert sorted([*whole.keys, *whole.apart]) == sorted(LOSSES.keys())
    assert set(whole.apart.values()) <= {fm.NO_EMBEDDINGS, fm.NO_ITEMS, fm.NO_PAIRS, fm.AT_REST}
    assert whole.vectors.norm(dim=1).tolist() == pytest.approx([1] * len(whole.keys))
    assert bool(torch.isfinite(whole.places).all())
    assert 1 <= int(whole.active.min()) <= int(whole.active.max()) == len(GRID)
    assert 0 < whole.stress < 0.3
    assert whole.trust > 0.8


def test_distances_run_from_none_to_two_and_are_one_by_chance():
    z = unit(60, 400, 0, torch.float64)
    found = fm.distances(z)
    assert found.diagonal().abs().max() < 1e-12
    others = found[~torch.eye(60, dtype=torch.bool)]
    assert float(others.mean()) == pytest.approx(1, abs=0.01)
    assert fm.distances(z, -z).diagonal().tolist() == pytest.approx([2] * 60)


def test_twins_of_one_behaviour_are_one(few):
    first, second = few.twins("info_nce", 2)
    assert first.keys == ("clip", "pairwise_clip")
    assert len(second.keys) == 1
    assert first.distance < second.distance
    (same, *_) = few.twins("clip")
    assert (same.keys, same.distance < SAME) == (("pairwise_clip",), True)


@pytest.mark.parametrize(
    ("key", "other", "change"),
    [
        ("info_nce", "angular", ("angular", "margin", 0)),
        ("hard_contrastive", "info_nce", ("hard_contrastive", "hardest", 1)),
        ("sample4geo", "clip", ("sample4geo", "smoothing", 0)),
        ("supcon", "nt_xent", ("supcon", "", None)),
        ("alignment", "contrastive", ("contrastive", "margin", 0)),
    ],
)
def test_the_change_that_makes_one_of_two_is_found(key: str, other: str, change: tuple):
    bridge = fm.bridges(key, [other], "alike")[other]
    assert bridge is not None
    assert tuple(bridge.change) == change
    assert bridge.before == pytest.approx(apart_by(measured(key), measured(other)))
    assert bridge.after < SAME < bridge.before


def test_a_change_that_only_helps_is_told_with_what_it_leaves_and_none_is_said_where_none_helps():
    told: list[tuple[int, int]] = []
    found = fm.bridges("dclw", ["dcl"], "alike", lambda count, of: told.append((count, of)))["dcl"]
    assert found is not None
    assert found.change == ("dclw", "sigma", 5)
    assert SAME < found.after < found.before
    assert found.after == pytest.approx(apart_by(measured("dclw", sigma=5), measured("dcl")))
    assert told == [(0, 2), (1, 2)]
    assert fm.bridges("clip", ["pairwise_clip"], "alike")["pairwise_clip"] is None


def test_each_change_is_of_one_setting_and_legal():
    for key in ("dclw", "triplet", "supcon", "whitenedcse", "directpred"):
        entry, p = LOSSES[key], fm.settings(LOSSES[key], "alike")
        every = list(fm.changes(entry, p))
        assert len(every) == len(set(every)) > 1
        for change in every:
            assert not change.field or getattr(p, change.field) != change.value
            entry.params.model_validate({change.field: change.value} if change.field else {})
    assert fm.Change("supcon", "", None) in list(fm.changes(LOSSES["supcon"], LOSSES["supcon"].params()))


def test_at_one_temperature_or_at_its_own():
    assert fm.settings(LOSSES["clip"], "alike").temperature == fm.TEMPERATURE
    assert fm.settings(LOSSES["clip"], "own") == LOSSES["clip"].params()
    assert fm.settings(LOSSES["triplet"], "alike") == LOSSES["triplet"].params()


def test_the_further_settings_of_a_loss_have_places_too(few):
    found = fm.variants(LOSSES["angular"], few)
    assert [p for p, _ in found] == [LOSSES["angular"].params(temperature=0.5, margin=1)]
    assert 0 < float(found[0][1].distances.min()) < 1
    assert fm.variants(LOSSES["alignment"], few) == []
