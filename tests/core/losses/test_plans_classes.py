"""What the losses over classes plan, what they are equal to, and what their options change."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from core.losses.alignment import Alignment, alignment
from core.losses.amcl import AMCL, amcl
from core.losses.coconut import NSPT, MultiModal, coconut_mm, coconut_nspt
from core.losses.core_tuning import CoreTuning, core_tuning
from core.losses.hydra_simlap import HydraSimLAP, hydra_simlap
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.registry import LOSSES
from core.losses.sbcl import SBCL, sbcl
from core.losses.sepclr import SepCLR, sepclr
from core.losses.supcon import SupCon, supcon
from core.streams import stream
from tests.core.losses.batches import example

LABELS = torch.tensor([0, 0, 0, 4, 4, 7, 7, 7, 7, 9])


def partners(way: str, seed: int = 0, labels: Tensor = LABELS) -> Tensor:
    entry = LOSSES["hydra_simlap"]
    return entry.complete({"labels": labels}, entry.params(partner=way), stream(seed, "plan"))["partner_labels"]


def test_arbitrary_partners_are_the_classes_of_the_batch_in_another_order():
    drawn = partners("arbitrary")
    assert torch.equal(drawn.sort().values, LABELS.sort().values)
    assert torch.equal(drawn, partners("arbitrary"))
    assert not torch.equal(drawn, partners("arbitrary", 1))


def test_identical_partners_are_the_own_class_and_distinct_ones_any_other():
    assert torch.equal(partners("identical"), LABELS)
    drawn = torch.stack([partners("distinct", seed) for seed in range(40)])
    assert (drawn != LABELS).all()
    for i, own in enumerate(LABELS.tolist()):
        assert set(drawn[:, i].tolist()) == {0, 4, 7, 9} - {own}


def test_where_there_is_one_class_alone_it_is_its_own_partner():
    assert partners("distinct", labels=torch.zeros(4, dtype=torch.int64)).eq(0).all()


def test_a_closed_dimension_has_no_part_in_what_simlap_pays():
    a, gate, labels = example("a", 0), example("gate", 0), example("labels", 0)
    partner = labels.roll(1)
    gate[:, 0] = 0
    moved = a.clone()
    moved[:, 0] += torch.linspace(-2, 2, len(a))
    before, after = (hydra_simlap(labels, partner, z, gate, HydraSimLAP()).total() for z in (a, moved))
    assert_close(before, after)
    open_ = torch.ones_like(gate)
    assert (hydra_simlap(labels, partner, moved, open_, HydraSimLAP()).total() - before).abs() > 1e-3


def test_one_item_of_each_class_and_an_open_gate_make_simlap_the_softmax_without_the_item_itself():
    a, order = example("a", 0), torch.arange(6).roll(1)
    paid = hydra_simlap(torch.arange(6), order, a, torch.ones_like(a), HydraSimLAP(temperature=0.3))
    logits = (a @ a.T / 0.3).fill_diagonal_(-torch.inf)
    assert_close(paid.terms[""].per, F.cross_entropy(logits, order, reduction="none"))
    assert_close(paid.total(), F.cross_entropy(logits, order))


def test_circle_holds_what_each_pair_lacks_and_nothing_beyond():
    entry, a, b, labels = LOSSES["circle"], example("a", 1), example("b", 1), example("labels", 0)
    given = {"a": 1.3 * a, "b": b, "labels": labels}
    held = entry.complete(given, entry.params(relaxation=0.1), stream(0, "plan"))["pair_weight"]
    z, both = torch.cat([1.3 * a, b]), labels.repeat(2)
    weight, found = held.reshape(12, 12).tolist(), set()
    for i, k in itertools.permutations(range(12), 2):
        s = float(z[i] @ z[k])
        lacks = 1.1 - s if both[i] == both[k] else s + 0.1
        assert weight[i][k] == pytest.approx(max(0, lacks))
        found.add((bool(both[i] == both[k]), lacks > 0))
    assert len(found) == 4, "positives and negatives, short of where they should be and beyond"


@pytest.mark.parametrize("relaxation", [0.25, 0.4])
@pytest.mark.parametrize("turn", [0.2, 0.8, 1.3])
def test_circle_pays_as_much_on_the_whole_circle(turn: float, relaxation: float):
    """The points of equal payment: s_n² + (1 - s_p)² = 2m², of which the middle is s_n = 0, s_p = 1."""
    reach = math.sqrt(2) * relaxation
    across, along = math.acos(reach * math.cos(turn)), math.acos(1 - reach * math.sin(turn))
    turns = torch.tensor([[0, across], [along, along + across]], dtype=torch.float64)
    a, b = torch.stack([turns.cos(), turns.sin()], dim=2)
    entry = LOSSES["circle"]
    given = {"a": a, "b": b, "labels": torch.arange(2), "exclude": ~torch.eye(2, dtype=torch.bool)}
    paid = entry.pay(given, entry.params(relaxation=relaxation, gamma=30), stream(0, "plan"))
    assert paid.terms[""].per.tolist() == pytest.approx([math.log(2)] * 4)


@pytest.mark.parametrize("form", ["rank", "plain"])
def test_sbcl_with_one_cluster_is_supcon_in_its_first_term(form: str):
    a, b, labels = example("a", 0), example("b", 0), example("labels", 0)
    one = torch.zeros_like(labels)
    terms = sbcl(a, b, labels, one, SBCL(temperature=0.2, form=form)).terms
    theirs = supcon(a, b, labels, SupCon(temperature=0.2)).terms[""].per
    assert_close(terms["subclass"].per, theirs)
    if form == "plain":
        assert_close(terms["class"].per, theirs)


def test_sbcl_with_every_item_its_own_cluster_has_the_other_view_alone_in_its_subclass():
    a, b, labels = example("a", 0), example("b", 0), example("labels", 0)
    terms = sbcl(a, b, labels, torch.arange(6), SBCL(temperature=0.2)).terms
    assert_close(terms["subclass"].per, supcon(a, b, torch.arange(6), SupCon(temperature=0.2)).terms[""].per)
    assert_close(terms["class"].per, supcon(a, b, labels, SupCon(temperature=0.2)).terms[""].per)


def test_the_temperature_of_a_class_touches_the_rank_form_alone():
    a, b, labels, clusters = (example(name, 0) for name in ("a", "b", "labels", "clusters"))
    tau = torch.full((6,), 0.1, dtype=torch.float64)
    for form in ("rank", "plain"):
        own, same, other = (
            sbcl(a, b, labels, clusters, SBCL(form=form), item_temperature=given).total()
            for given in (None, tau, 3 * tau)
        )
        assert_close(own, same)
        assert torch.equal(same, other) == (form == "plain")


def test_focal_supcon_weighs_each_positive_by_what_its_share_lacks():
    a, labels = example("a", 0), example("labels", 0)
    focal = core_tuning(a, labels, CoreTuning(temperature=0.5)).terms[""].per
    logits = (a @ a.T / 0.5).fill_diagonal_(-torch.inf)
    mate = (labels[:, None] == labels[None, :]).fill_diagonal_(False).int().argmax(dim=1)
    plain = F.cross_entropy(logits, mate, reduction="none")
    assert_close(focal, plain * (1 - torch.exp(-plain)))


def test_as_released_focal_supcon_differs_by_the_share_of_positives_in_the_batch():
    a, labels = example("a", 0), torch.tensor([0, 0, 0, 1, 1, 2])
    ours, theirs = (core_tuning(a, labels, CoreTuning(as_released=way)).terms[""].per for way in (False, True))
    assert_close(theirs, ours * torch.tensor([2, 2, 2, 1, 1, 0]) / 6)


def test_sepclr_s_alignment_is_alignment_and_its_joint_entropy_ends_at_the_size_of_the_batch():
    a, b, far = example("a", 0), example("b", 0), 100 * example("salient", 0)
    terms = sepclr(a, b, far, far, torch.ones(6), SepCLR()).terms
    assert_close(terms["common.align"].per, alignment(a, b, Alignment()).terms[""].per)
    assert_close(terms["joint"].per, torch.full((6,), -math.log(6), dtype=torch.float64))


def test_the_background_s_salient_code_is_only_drawn_to_zero():
    given = {name: example(name, 0) for name in ("a", "b", "salient", "other_salient", "domain")}
    background = given["domain"] == 0
    s, _ = given["salient"].requires_grad_(), given["a"].requires_grad_()
    terms = sepclr(**given, p=SepCLR()).terms
    for name, term in terms.items():
        (g,) = torch.autograd.grad(term.value(), s, retain_graph=True, materialize_grads=True)
        assert g[~background if name == "information_less" else background].eq(0).all(), name
    (g,) = torch.autograd.grad(terms["information_less"].value(), s)
    assert_close(g[background], 1000 * s[background].detach() / background.sum())


def test_an_attribute_far_apart_draws_no_two_targets_together():
    given = {name: example(name, 0) for name in ("a", "b", "salient", "other_salient")}
    every = torch.ones(6)
    near, far = (
        sepclr(**given, domain=every, p=SepCLR(), targets=scale * torch.arange(6.0)).terms["supervised"].per
        for scale in (0, 1000)
    )
    assert_close(near, 2 * given["salient"].var(dim=0))
    assert far.eq(0).all()


def test_nspt_takes_its_negatives_from_the_student_alone():
    a, teacher, labels = example("a", 0), example("teacher", 0), example("labels", 0)
    t = teacher.requires_grad_()
    paid = coconut_nspt(a, t, labels, torch.ones(6, dtype=torch.bool), NSPT())
    (g,) = torch.autograd.grad(paid.total(), t)
    mate = (labels[:, None] == labels[None, :]).fill_diagonal_(False).int().argmax(dim=1)
    assert_close(g, -a[mate] / 0.1 / 6)


def test_nspt_with_the_positive_below_is_never_less_than_nothing():
    a, labels = example("a", 0), example("labels", 0)
    above, below = (
        coconut_nspt(a, a[labels.argsort().argsort()], labels, torch.ones(6), NSPT(positive_below=way)).terms[""].per
        for way in (False, True)
    )
    assert (below > 0).all()
    assert (below > above).all()


def test_only_rehearsed_items_pay():
    a, teacher, labels = example("a", 0), example("teacher", 0), example("labels", 0)
    there = torch.tensor([True, False, True, False, False, True])
    for key in ("coconut_nspt", "coconut_ntpt"):
        per = LOSSES[key].call(a, teacher, labels, there, LOSSES[key].params()).terms[""].per
        assert torch.equal(per != 0, there)


def test_across_modalities_with_every_item_a_class_of_its_own_it_is_info_nce_both_ways():
    a, b = example("a", 0), example("b", 0)
    paid = coconut_mm(a, b, torch.arange(6), MultiModal(temperature=0.2)).total()
    asks = InfoNCE(temperature=0.2)
    assert_close(paid, info_nce(a, b, asks).total() + info_nce(b, a, asks).total())


def test_amcl_with_one_temperature_is_the_lead_of_the_nearest_negative_summed_over_the_heads():
    heads, other = example("heads", 0), example("other_heads", 0)
    tau = torch.full((3, 6, 6), 0.4, dtype=torch.float64)
    scores = heads @ other.transpose(1, 2)
    own = scores.diagonal(dim1=1, dim2=2)
    nearest = scores.masked_fill(torch.eye(6, dtype=torch.bool), -torch.inf).amax(dim=2)
    paid = amcl(heads, other, tau, AMCL()).terms
    assert_close(paid["pairs"].per, ((nearest - own) / 0.4).sum(dim=0))
    assert paid["temperatures"].per.abs().max() < 1e-12


def test_amcl_over_all_negatives_is_dearer_than_over_the_nearest_by_no_more_than_their_number():
    heads, other = example("heads", 0), example("other_heads", 0)
    tau = torch.full((3, 6, 6), 0.4, dtype=torch.float64)
    hard, soft = (amcl(heads, other, tau, AMCL(soft=way)).terms["pairs"].per for way in (False, True))
    assert (soft > hard).all()
    assert (soft - hard <= 3 * math.log(5)).all()
