"""Every registered loss under the contract, from the moment it is registered."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.losses.registry import LOSSES, Claims, LossEntry
from core.vocabulary import SMALL
from tests.core.losses.batches import batches, legal
from tests.core.losses.contract import CHECKS, Check, Variant, check_margin, check_pulls, check_pushes, compare
from tests.core.losses.references import REFERENCES
from tests.core.losses.twins import MUTATIONS, spoil

CASES = [
    pytest.param(entry, variant, id=f"{entry.key}-{number}")
    for entry in LOSSES
    for number, variant in enumerate(entry.variants)
]
TWINS = [
    pytest.param(entry, name, id=f"{entry.key}-{name}")
    for entry in LOSSES
    for name, mutation in MUTATIONS.items()
    if mutation.fits(entry)
]
CLAIM = {check_pulls: "pulls", check_pushes: "pushes", check_margin: "margin"}
LEAST = {"K": 1, "M": 1, "N": 2, "Q": 1, "V": 2}
REASONS_GIVEN = 123


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize(("entry", "variant"), CASES)
def test_keeps_the_contract(entry: LossEntry, variant: Variant, check: Check):
    check(entry, variant)


def test_every_loss_has_a_reference_and_every_reference_a_loss():
    assert sorted(REFERENCES) == sorted(LOSSES.keys())


@pytest.mark.parametrize("entry", list(LOSSES), ids=lambda entry: entry.key)
def test_the_defaults_come_first_among_the_variants(entry: LossEntry):
    assert entry.params(**entry.variants[0]) == entry.params()


def test_each_claim_that_is_absent_has_a_reason_and_the_reasons_are_counted():
    names = [field.name for field in dataclasses.fields(Claims)]
    absent = [claim for entry in LOSSES for name in names if (claim := getattr(entry.claims, name)) is not True]
    assert all(isinstance(reason, str) and len(reason.split()) > 3 for reason in absent)
    assert len(absent) == REASONS_GIVEN


@pytest.mark.parametrize(("entry", "name"), TWINS)
def test_a_wrong_twin_is_caught(entry: LossEntry, name: str):
    mutation = MUTATIONS[name]
    twin = spoil(entry, mutation)
    named = [check for check in mutation.caught_by if CLAIM.get(check) is None or claims(entry, check)]
    assert named
    for check in named:
        assert any(fails(check, twin, variant) for variant in entry.variants), f"{check.__name__} passes the twin"


def claims(entry: LossEntry, check: Check) -> bool:
    return getattr(entry.claims, CLAIM[check]) is True


def fails(check: Check, entry: LossEntry, variant: Variant) -> bool:
    try:
        check(entry, variant)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("entry", list(LOSSES), ids=lambda entry: entry.key)
def test_every_loss_faces_at_least_four_twins(entry: LossEntry):
    assert sum(mutation.fits(entry) for mutation in MUTATIONS.values()) >= 4


@pytest.mark.parametrize("entry", list(LOSSES), ids=lambda entry: entry.key)
@settings(derandomize=True, deadline=None, max_examples=30, database=None)
@given(data=st.data())
def test_equals_its_reference_at_any_size_and_legal_params(entry: LossEntry, data: st.DataObject):
    size, dimensions = data.draw(st.integers(2, 7), label="B"), data.draw(st.integers(1, 6), label="D")
    few = {symbol: data.draw(st.integers(least, 4), label=symbol) for symbol, least in LEAST.items()}
    sizes = {**SMALL, "A": size, "B": size, "D": dimensions, **few}
    offered = list(batches(entry, data.draw(st.integers(0, 1000), label="seed"), sizes=sizes))
    p = data.draw(legal(entry), label="params")
    compare(entry, p, data.draw(st.sampled_from(offered), label="inputs"))
