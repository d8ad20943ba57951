"""A queue and its teacher: who follows whom, what the bank holds, and what does not fit."""

import pytest
import torch

from core.data.loading import load
from core.losses.moco import MoCo, moco
from core.losses.msd_momentum import MSDMomentum, msd_momentum
from core.runs.fit import Unfit, check_fit
from core.runs.replay import moment
from core.runs.trainer import Trainer
from tests.core.runs.conftest import small

QUEUE = {"method__kind": "queue", "method__batch": "16", "method__size": "40", "method__momentum": "0.9"}


def trainer(**more: str) -> Trainer:
    recipe = small(**{"loss__kind": "moco"} | QUEUE | more)
    return Trainer(recipe, load(recipe.data), torch.device("cpu"))


def test_the_teacher_starts_as_the_networks_and_moves_a_tenth_of_the_way_after_each_step():
    ours = trainer()
    before = [p.clone() for p in ours.teacher.networks.parameters()]
    for mine, theirs in zip(before, ours.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    ours.advance()
    moved = 0.0
    for old, mine, theirs in zip(before, ours.teacher.networks.parameters(), ours.model.parameters(), strict=True):
        torch.testing.assert_close(mine, 0.9 * old + 0.1 * theirs)
        moved += float((mine - old).abs().sum())
        assert not mine.requires_grad
    assert moved > 0


def test_the_bank_holds_each_item_once_at_first_and_then_the_newest_in_front():
    ours = trainer()
    assert ours.teacher.bank.shape == (2, 40, 3)
    assert len(torch.unique(ours.teacher.bank[0], dim=0)) == 40
    old, classes = ours.teacher.bank.clone(), ours.teacher.labels.clone()
    seen = ours.payment().batch
    ours.advance()
    for place, name in enumerate(ours.inputs):
        torch.testing.assert_close(ours.teacher.bank[place, :16], seen.teacher[name])
        assert torch.equal(ours.teacher.bank[place, 16:], old[place, :24])
    assert torch.equal(ours.teacher.labels, torch.cat([seen.labels, classes[:24]]))


def test_a_step_pays_moco_of_each_side_against_the_teachers_other():
    ours = trainer(loss__temperature="0.3")
    paying = ours.payment()
    (first, second), batch = list(ours.inputs), paying.batch
    there = moco(batch.z[first], batch.teacher[second], ours.teacher.bank[1], MoCo(temperature=0.3))
    back = moco(batch.z[second], batch.teacher[first], ours.teacher.bank[0], MoCo(temperature=0.3))
    torch.testing.assert_close(paying.paid.total(), (there.total() + back.total()) / 2)


def test_a_loss_with_a_teacher_of_either_side_is_handed_each_modality_of_it_and_its_own_bank():
    ours = trainer(loss__kind="msd_momentum")
    paying = ours.payment()
    (first, second), batch = list(ours.inputs), paying.batch
    sides = [z[name] for z in (batch.z, batch.teacher) for name in (first, second)]
    one, other = ours.teacher.bank
    by_hand = msd_momentum(*sides, MSDMomentum(), bank=one, other_bank=other).total()
    torch.testing.assert_close(paying.paid.total(), by_hand)
    paying.paid.total().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in ours.model.parameters())


def test_a_resumed_run_with_a_teacher_is_the_same_to_the_last_bit():
    straight, broken = trainer(), trainer()
    losses = [straight.advance()["loss"] for _ in range(8)]
    for _ in range(3):
        broken.advance()
    resumed = trainer()
    resumed.restore(broken.state())
    assert [float(resumed.advance()["loss"]) for _ in range(5)] == [float(loss) for loss in losses[3:]]
    for mine, theirs in zip(resumed.teacher.state_dict().values(), straight.teacher.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_snapshot_keeps_what_the_step_is_paid_by():
    ours = trainer()
    for _ in range(3):
        ours.advance()
    arrays = ours.snapshot()
    again = moment(ours.recipe, ours.data, ours.step, arrays)
    one, other = ours.inputs
    by_hand = [
        moco(*(torch.from_numpy(arrays[name]) for name in (f"z.{m}", f"teacher.{n}", f"bank.{n}")), ours.recipe.loss)
        for m, n in ((one, other), (other, one))
    ]
    torch.testing.assert_close(again.clean.total(), (by_hand[0].total() + by_hand[1].total()) / 2)
    assert again.clean.pairs[0].scores.shape == (len(arrays["items"]), 41)


def test_a_loss_without_a_bank_trains_as_it_does_without_a_queue():
    plain = small(loss__kind="clip")
    other = Trainer(plain, load(plain.data), torch.device("cpu"))
    with_queue = trainer(loss__kind="clip")
    for _ in range(3):
        assert torch.equal(other.advance()["loss"], with_queue.advance()["loss"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method__kind": "shuffle", "method__size": None, "method__momentum": None}, "choose method queue"),
        ({"method__size": "4096"}, "the bank has room for 4096"),
        ({"mixing__kind": "dmm"}, "meets a bank and mixing is dmm"),
    ],
)
def test_what_does_not_fit_a_bank_is_refused_in_a_sentence(changes, said):
    link = {name: value for name, value in ({"loss__kind": "moco"} | QUEUE | changes).items() if value is not None}
    recipe = small(**link)
    with pytest.raises(Unfit, match=said):
        check_fit(recipe, load(recipe.data))


@pytest.mark.parametrize("loss", ["moco", "core_tuning"])
def test_a_loss_of_one_side_trains_the_network_of_every_modality(loss):
    own = {"data__kind": "mfeat", "data__modalities": "fou,zer", "loss__kind": loss}
    ours = trainer(**own)
    ours.payment().paid.total().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in ours.model.parameters())
