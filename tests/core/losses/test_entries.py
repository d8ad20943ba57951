"""What a registered loss says about itself."""

from typing import get_args

import pytest

from core.losses.registry import LOSSES, Family, LossEntry
from core.vocabulary import VOCABULARY
from tests.bench.catalogue import MORE, sizes

EVERY = pytest.mark.parametrize("entry", list(LOSSES), ids=lambda entry: entry.key)


def test_the_losses_that_were_asked_for_are_there_and_every_family_of_margin_has_one():
    first = {"info_nce", "nt_xent", "clip", "dcl", "supcon", "ranking", "triplet"}
    of_dmm = {"siglip", "bpr", "angular", "contrastive", "gmc", "cycle", "coot"}
    assert first | of_dmm <= set(LOSSES.keys())
    assert {entry.family for entry in LOSSES} == set(get_args(Family))


def test_which_losses_need_no_more_than_pairs():
    more = {"gmc", "cycle", "coot", "moco", "symile", "mv_dhel", "sbcl", "rerank_cl", "supremix"}
    assert more <= {entry.key for entry in LOSSES if not entry.pairwise}
    assert LOSSES["supcon"].pairwise
    assert LOSSES["bpr"].pairwise


@EVERY
def test_a_negative_can_be_left_out_wherever_there_is_one(entry: LossEntry):
    assert not entry.pairwise or "exclude" in entry.inputs or entry.claims.pushes is not True


@EVERY
def test_says_title_source_formula_and_a_sentence(entry: LossEntry):
    assert entry.title
    assert entry.source
    assert entry.formula
    assert entry.summary.endswith(".")


@EVERY
def test_its_relatives_are_registered_and_others(entry: LossEntry):
    assert set(entry.relations) <= set(LOSSES.keys()) - {entry.key}


def test_the_losses_that_no_bench_holds_to_the_speed_of_one_matrix_say_what_they_need_more():
    assert {entry.key for entry in LOSSES if entry.work} == MORE


@EVERY
def test_the_bench_of_all_losses_has_a_size_for_every_axis_of_its_inputs(entry: LossEntry):
    named = {symbol for name in entry.needed for symbol in VOCABULARY[name].shape.split() if not symbol.isdigit()}
    assert named <= set(sizes(entry))


@EVERY
def test_its_file_is_named_after_it_or_its_paper(entry: LossEntry):
    assert entry.call.__module__ in {f"core.losses.{name}" for name in (entry.key, *entry.papers)}


@EVERY
def test_every_knob_has_a_title_and_a_description(entry: LossEntry):
    for name, field in entry.params.model_fields.items():
        assert name == "kind" or (field.title and field.description), name


@EVERY
def test_only_the_learned_variants_own_parameters(entry: LossEntry):
    for variant in entry.variants:
        p = entry.params(**variant)
        learned = entry.learned(p)
        assert bool(learned) == bool(variant.get("learned", False))
        for name, scalar in learned.items():
            assert scalar.low <= scalar.initial == getattr(p, name) <= scalar.high
