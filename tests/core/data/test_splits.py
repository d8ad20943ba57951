"""Splits: nothing in two parts, the promised sizes, and the same again from the same generator."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.data.splits import at_random, by_family, stratified
from core.streams import stream


def parts(split):
    return [part.tolist() for part in (split.train, split.validation, split.test)]


def assert_partition(split, n):
    together = [item for part in parts(split) for item in part]
    assert sorted(together) == list(range(n))
    assert all(part == sorted(part) for part in parts(split))
    assert all(part.dtype == torch.int64 for part in (split.train, split.validation, split.test))


def test_at_random_has_the_sizes_asked_for():
    split = at_random(50, 8, 12, stream(0, "s"))
    assert_partition(split, 50)
    assert [len(part) for part in parts(split)] == [30, 8, 12]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_stratified_takes_the_rounded_share_of_each_class(labels):
    split = stratified(torch.tensor(labels), 0.15, 0.25, stream(0, "s"))
    assert_partition(split, len(labels))
    _, validation, test = [Counter(labels[item] for item in part) for part in parts(split)]
    for label, count in Counter(labels).items():
        assert (validation[label], test[label]) == (round(0.15 * count), round(0.25 * count))


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=80), st.integers(1, 9))
def test_by_family_divides_none_and_keeps_large_ones_in_training(families, largest):
    split = by_family(families, 10, 20, stream(0, "s"), largest=largest)
    assert_partition(split, len(families))
    train, validation, test = ({families[item] for item in part} for part in parts(split))
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(split.validation) <= 10
    assert len(split.test) <= 20
    assert all(families.count(name) <= largest for name in validation | test)


def test_by_family_fills_the_test_part_first():
    split = by_family([str(i // 2) for i in range(100)], 10, 20, stream(0, "s"), largest=2)
    assert [len(part) for part in parts(split)] == [70, 10, 20]


@pytest.mark.parametrize(
    "make",
    [
        lambda g: at_random(60, 10, 20, g),
        lambda g: stratified(torch.arange(60) % 3, 0.2, 0.3, g),
        lambda g: by_family([str(i // 3) for i in range(60)], 10, 20, g, largest=3),
    ],
    ids=["at_random", "stratified", "by_family"],
)
def test_a_split_follows_its_generator(make):
    assert parts(make(stream(0, "s"))) == parts(make(stream(0, "s")))
    assert parts(make(stream(0, "s"))) != parts(make(stream(1, "s")))
