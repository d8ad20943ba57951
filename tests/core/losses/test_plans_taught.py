"""What the losses that soften their targets by a teacher plan, and what they are equal to."""

import pytest
import torch
from torch.testing import assert_close

from core.diagnostics.forces import forces
from core.losses.clip import Clip, clip
from core.losses.msd_momentum import MSDMomentum, msd_momentum
from core.losses.registry import LOSSES
from core.losses.tcl import TCL, tcl
from core.streams import stream
from tests.core.losses.batches import example

SIDES = ("a", "b", "teacher", "other_teacher")


def sides() -> dict[str, torch.Tensor]:
    return {name: example(name, 0) for name in SIDES}


def with_parts() -> dict[str, torch.Tensor]:
    return sides() | {name: example(name, 0) for name in ("parts", "other_parts", "part_mask", "target_temperature")}


def test_a_teacher_that_is_the_student_and_softens_nothing_leaves_clip():
    a, b = example("a", 0), example("b", 0)
    found = msd_momentum(a, b, a, b, MSDMomentum(temperature=0.3, distillation=0))
    assert_close(found.total(), clip(a, b, Clip(temperature=0.3)).total())


def test_who_is_taught_by_itself_alone_has_nothing_to_learn():
    a, b = example("a", 0).requires_grad_(), example("b", 0).requires_grad_()
    alone = msd_momentum(a, b, a.detach(), b.detach(), MSDMomentum(distillation=1))
    assert all(force.abs().max() < 1e-12 for force in forces(alone))
    half = msd_momentum(a, b, a.detach(), b.detach(), MSDMomentum(distillation=0.5))
    assert all(force.abs().max() > 1e-3 for force in forces(half))


@pytest.mark.parametrize(("bank", "dearer", "same"), [("bank", "b_to_a", "a_to_b"), ("other_bank", "a_to_b", "b_to_a")])
def test_further_keys_are_met_by_the_other_side_alone(bank: str, dearer: str, same: str):
    p = MSDMomentum(distillation=0)
    plain, more = (msd_momentum(**sides(), p=p, **kept) for kept in ({}, {bank: example(bank, 0)}))
    assert (more.terms[dearer].per > plain.terms[dearer].per).all()
    assert_close(more.terms[same].per, plain.terms[same].per)


def test_across_modalities_alone_tcl_is_a_third_of_momentum_self_distillation():
    p = TCL(temperature=0.2, within=0, local=0)
    given = with_parts() | {"target_temperature": torch.tensor(0.2, dtype=torch.float64)}
    plain = msd_momentum(**sides(), p=MSDMomentum(temperature=0.2))
    assert_close(tcl(**given, p=p).total(), plain.total() / 3)


def test_what_is_absent_from_a_text_changes_nothing():
    given = with_parts()
    assert not given["part_mask"].all()
    other = given["other_parts"].masked_fill(~given["part_mask"][..., None], 3.0)
    moved = given["other_parts"] / 2
    plain, padded, present = (tcl(**given | {"other_parts": z}, p=TCL()) for z in (given["other_parts"], other, moved))
    assert_close(padded.total(), plain.total(), rtol=0, atol=0)
    assert (present.total() - plain.total()).abs() > 1e-3


def test_an_items_other_parts_are_no_negatives_of_its_own():
    """With one item there is nothing to be told from, however many parts it has."""
    given = {name: value[:1] if value.ndim else value for name, value in with_parts().items()}
    paid = tcl(**given, p=TCL())
    assert paid.terms["a.local"].per.eq(0).all()
    assert paid.terms["b.local"].per.eq(0).all()


def test_the_targets_are_as_sharp_as_the_student_is_now():
    entry, given = LOSSES["tcl"], sides() | {name: example(name, 0) for name in ("parts", "other_parts", "part_mask")}
    fixed = entry.complete(given, TCL(temperature=0.3), stream(0, "plan"))["target_temperature"]
    assert_close(fixed, torch.tensor(0.3, dtype=torch.float64))
    tau = torch.tensor(0.2, requires_grad=True)
    now = entry.complete(given | {"temperature": tau}, TCL(learned=True), stream(0, "plan"))["target_temperature"]
    assert_close(now, torch.tensor(0.2))
    assert not now.requires_grad
