"""What a registered loss says about itself."""

import pytest

from core.losses.registry import LOSSES, LossEntry

EVERY = pytest.mark.parametrize("entry", list(LOSSES), ids=lambda entry: entry.key)


def test_the_first_seven_losses_are_there():
    assert {"info_nce", "nt_xent", "clip", "dcl", "supcon", "ranking", "triplet"} <= set(LOSSES.keys())


@EVERY
def test_says_title_source_formula_and_a_sentence(entry: LossEntry):
    assert entry.title
    assert entry.source
    assert entry.formula
    assert entry.summary.endswith(".")


@EVERY
def test_its_relatives_are_registered_and_others(entry: LossEntry):
    assert set(entry.relations) <= set(LOSSES.keys()) - {entry.key}


@EVERY
def test_its_file_is_named_after_it(entry: LossEntry):
    assert entry.call.__module__ == f"core.losses.{entry.key}"


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
