"""A companion is the trainer's: made from an address of its own, learned along, kept, resumed, and paid with."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from core.data.loading import load
from core.losses.registry import LOSSES
from core.recipe import Recipe
from core.runs.companion import build_companion
from core.runs.fit import Unfit, check_fit
from core.runs.payment import Embedded, pay_all
from core.runs.replay import moment
from core.runs.trainer import Trainer
from core.runs.worker import _take_over, prepare, state_at, work
from tests.core.runs.conftest import small

WITH = [entry.key for entry in LOSSES if entry.companion]
CPU = torch.device("cpu")


def trainer(recipe: Recipe, device: torch.device = CPU) -> Trainer:
    return Trainer(recipe, load(recipe.data), device)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def fitted(key: str, **more: str) -> Recipe:
    """A recipe in which a loss with a companion has all that it needs, of a teacher if there is no other way."""
    taught = set(LOSSES[key].needed_of_a_run) & {"teacher", "other_teacher", "bank"}
    return small(**{"loss__kind": key} | ({"method__kind": "queue", "method__size": "32"} if taught else {}) | more)


def recipe_needs(recipe: Recipe) -> list[str]:
    return LOSSES.of(recipe.loss).needed_of_a_run


def test_a_class_has_a_centre_and_every_step_is_paid_to_it():
    ours = trainer(small(loss__kind="cosface", loss__temperature="0.2"))
    classes = len(ours.data.classes)
    assert ours.companion.directions.shape == (classes, 3)
    paying = ours.payment()
    centres = F.normalize(ours.companion.directions, dim=1)
    by_hand = []
    for z in paying.batch.z.values():
        own = F.one_hot(paying.batch.labels, classes)
        by_hand.append(F.cross_entropy((z @ centres.T - 0.35 * own) / 0.2, paying.batch.labels))
    torch.testing.assert_close(paying.paid.total(), torch.stack(by_hand).mean())


@pytest.mark.parametrize("key", WITH)
def test_a_companion_learns_and_goes_on_after_a_restart_to_the_last_bit(key: str):
    straight, broken, resumed = (trainer(fitted(key)) for _ in range(3))
    before = build_companion(straight.recipe, straight.data)
    assert same(before, straight.companion)
    losses = [straight.advance()["loss"] for _ in range(6)]
    moved = zip(before.parameters(), straight.companion.parameters(), strict=True)
    assert all(not torch.equal(*pair) for pair in moved)
    for _ in range(2):
        broken.advance()
    resumed.restore(broken.state())
    assert [float(resumed.advance()["loss"]) for _ in range(4)] == [float(loss) for loss in losses[2:]]
    assert same(resumed.companion, straight.companion)


@pytest.mark.parametrize("mixing", ["none", "dmm"])
@pytest.mark.parametrize("key", WITH)
def test_a_step_with_a_companion_runs_on_the_meta_device_and_mixed_or_is_refused(key: str, mixing: str):
    recipe = fitted(key, mixing__kind=mixing)
    if mixing == "dmm" and set(recipe_needs(recipe)) & {"teacher", "bank"}:
        with pytest.raises(Unfit, match="choose mixing none"):
            check_fit(recipe, load(recipe.data))
        return
    on_meta = trainer(recipe, torch.device("meta"))
    columns = on_meta.record(on_meta.payment())
    columns["loss"].backward()
    learned = [*on_meta.model.parameters(), *on_meta.companion.parameters()]
    assert all(p.grad is not None and p.grad.is_meta for p in learned)
    assert trainer(recipe).advance()["loss"].isfinite()


def test_the_companion_draws_from_an_address_of_its_own():
    """Neither the networks nor the order of the batches know of it, and it depends on the seed alone."""
    plain, with_one = trainer(small(loss__kind="clip")), trainer(small(loss__kind="cosface"))
    assert same(plain.model, with_one.model)
    seen = [t.payment().batch for t in (plain, with_one)]
    assert all(torch.equal(seen[0].z[name], seen[1].z[name]) for name in seen[0].z)
    assert same(with_one.companion, trainer(small(loss__kind="arcface")).companion)
    assert not same(with_one.companion, trainer(small(loss__kind="cosface", seed="1")).companion)


@pytest.mark.parametrize("key", WITH)
def test_a_recorded_step_is_paid_with_the_companion_of_that_step(key: str):
    ours = trainer(fitted(key))
    for _ in range(4):
        ours.advance()
    arrays = ours.snapshot()
    again = moment(ours.recipe, ours.data, ours.step, arrays)
    z = {name: torch.from_numpy(arrays[f"z.{name}"]) for name in ours.inputs}
    batch = Embedded(z, ours.labels[ours.probe()], {}, step=ours.step, companion=ours.companion.eval())
    if ours.teacher:
        batch = ours.teacher.teach(batch, {n: x[ours.probe()] for n, x in ours.inputs.items()}, ours.probe())
    assert torch.equal(again.clean.total(), pay_all(ours.recipe, batch).total())
    fresh = dataclasses.replace(batch, companion=build_companion(ours.recipe, ours.data).eval())
    assert not torch.equal(again.clean.total(), pay_all(ours.recipe, fresh).total())


@pytest.mark.parametrize("turns", [True, False])
def test_networks_and_augmenters_learn_in_turn_where_they_are_asked_to(turns: bool):
    ours = trainer(small(loss__kind="mclrec", loss__turns="on" if turns else "off"))
    for step in range(4):
        sides = (ours.model, ours.companion)
        before = [[weights.clone() for weights in side.parameters()] for side in sides]
        ours.advance()
        moved = [
            any(not torch.equal(*pair) for pair in zip(kept, side.parameters(), strict=True))
            for kept, side in zip(before, sides, strict=True)
        ]
        assert moved == ([step % 2 == 0, step % 2 == 1] if turns else [True, True])


def branch_of(parent: Trainer, key: str) -> Trainer:
    """A trainer of another loss that begins where the parent stands."""
    child = trainer(parent.recipe.model_copy(update={"loss": LOSSES[key].params()}))
    _take_over(child, parent)
    return child


def test_a_branch_keeps_the_centres_where_it_has_the_same_and_begins_its_own_where_not():
    parent = trainer(small(loss__kind="cosface"))
    for _ in range(5):
        parent.advance()
    kept, plain = branch_of(parent, "arcface"), branch_of(parent, "clip")
    assert same(kept.companion, parent.companion)
    assert kept.optimiser.state_dict()["state"].keys() == parent.optimiser.state_dict()["state"].keys()
    assert plain.companion is None
    assert not plain.optimiser.state_dict()["state"]
    assert same(kept.model, plain.model)
    assert same(kept.model, parent.model)
    for child in (kept, plain):
        assert child.advance()["loss"].isfinite()


def test_a_branch_that_brings_a_companion_starts_it_and_shows_the_steps_before_with_it():
    parent = trainer(small(loss__kind="clip"))
    arrays = parent.snapshot()
    parent.advance()
    child = branch_of(parent, "cosface")
    start = build_companion(child.recipe, child.data)
    assert same(child.companion, start)
    z = {name: torch.from_numpy(arrays[f"z.{name}"]) for name in child.inputs}
    batch = Embedded(z, child.labels[child.probe()], {}, companion=start)
    first = moment(child.recipe, child.data, 0, arrays)
    assert torch.equal(first.clean.total(), pay_all(child.recipe, batch).total())


def test_a_run_on_disk_stops_and_goes_on_and_a_branch_of_it_brings_another_loss():
    recipe = small(loss__kind="proxy_anchor")
    straight = trainer(recipe)
    for _ in range(recipe.steps):
        straight.advance()
    folder = prepare(recipe)
    work(folder, checkpoint_seconds=0, progress=lambda step: folder.ask_to_stop() if step == 12 else None)
    assert folder.status().state == "cancelled"
    work(folder)
    assert same(state_at(folder, recipe.steps, CPU).companion, straight.companion)
    changes = {"parent": folder.id, "from_step": 20, "loss": LOSSES["arcface"].params()}
    child = prepare(recipe.model_copy(update=changes))
    work(child)
    assert child.status().state == "done"
    assert set(child.snapshot(0)) >= {"companion.directions"}


def test_labels_that_a_method_makes_have_centres_of_their_own():
    recipe = small(loss__kind="cosface", method__kind="pseudo_labels", method__clusters="5")
    ours = trainer(recipe)
    assert ours.companion.directions.shape == (5, 3)
    assert ours.advance()["loss"].isfinite()


def test_a_single_class_is_refused_where_classes_are_told_apart():
    recipe = small(loss__kind="proxy_nca")
    data = load(recipe.data)
    one = dataclasses.replace(data, classes=data.classes[:1])
    with pytest.raises(Unfit, match=r"tells classes apart, and there is 1; choose"):
        check_fit(recipe, one)
