"""Families of emoji: near-copies land together, whatever the rule that says so."""

import re

import pytest

from core.data.emoji import Emoji, records
from core.data.families import bare, family, singular
from core.data.loading import load

PEOPLE = re.compile(r"\b(man|men|woman|women|person|people)\b")


def kin(record):
    return family(record["en"], record["subgroup"])


def coded(low, high):
    return [r for r in records() if low <= int(r["codepoints"].split("-")[0], 16) <= high]


def genders():
    """Name without its gender -> the records that differ in nothing else."""
    groups = {}
    for record in records():
        if record["group"] == 1:
            plain = " ".join(PEOPLE.sub(" ", record["en"].replace(": facing right", "")).split())
            groups.setdefault(plain, []).append(record)
    return {name: group for name, group in groups.items() if len(group) > 1}


def test_gender_variants_are_one_family():
    found = genders()
    assert len(found) > 60
    assert {name: len({kin(r) for r in group}) for name, group in found.items()} == dict.fromkeys(found, 1)


@pytest.mark.parametrize(
    ("low", "high", "count"),
    [
        (0x1F550, 0x1F567, 24),
        (0x1F311, 0x1F31D, 13),
    ],
    ids=["clock faces", "moons"],
)
def test_a_run_of_codepoints_is_one_family(low, high, count):
    run = coded(low, high)
    assert len(run) == count
    assert len({kin(r) for r in run}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("keycap: 0", "keycap: 9", "keycap: #"),
        ("red circle", "blue circle", "white circle"),
        ("red square", "white medium-small square"),
        ("large orange diamond", "small blue diamond"),
        ("red heart", "light blue heart", "heart with arrow"),
        ("merman", "mermaid", "merperson"),
        ("prince", "princess"),
        ("man: red hair", "woman: bald", "old man", "girl"),
        ("tiger face", "tiger"),
        ("grinning face", "grinning face with big eyes"),
        ("cloud with rain", "cloud with snow"),
        ("1st place medal", "sports medal"),
        ("thumbs up", "thumbs down"),
        ("Santa Claus", "Mrs. Claus", "Mx Claus"),
        ("red apple", "green apple"),
        ("right arrow", "down-left arrow", "up-down arrow"),
    ],
    ids=lambda names: names[0],
)
def test_near_copies_are_one_family(names):
    found = {r["en"]: kin(r) for r in records() if r["en"] in names}
    assert len(found) == len(names)
    assert len(set(found.values())) == 1


def test_different_things_are_different_families():
    things = ("dog", "wolf", "pizza", "rocket", "red heart", "violin", "zebra", "twelve o’clock", "crescent moon")
    moods = (
        "grinning cat",
        "crying cat",
        "grinning face",
        "crying face",
        "broken heart",
        "growing heart",
        "Aries",
        "Leo",
    )
    wanted = (*things, *moods)
    found = {r["en"]: kin(r) for r in records() if r["en"] in wanted}
    assert len(set(found.values())) == len(wanted)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_family_is_on_two_sides_of_the_split(seed):
    split = load(Emoji(split_seed=seed)).split
    sides = {}
    for side, part in enumerate((split.train, split.validation, split.test)):
        for item in part.tolist():
            sides.setdefault(kin(records()[item]), set()).add(side)
    assert {name for name, on in sides.items() if len(on) > 1} == set()
    assert [len(part) for part in (split.train, split.validation, split.test)] == [1144, 150, 300]


def test_the_random_split_does_divide_families():
    split = load(Emoji(split="random")).split
    train, test = ({kin(records()[item]) for item in part.tolist()} for part in (split.train, split.test))
    assert len(train & test) > 50


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sun behind rain cloud", ("sun",)),
        ("person in motorized wheelchair: facing right", ("motorized", "wheelchair")),
        ("red apple", ("apple",)),
        ("man", ("man",)),
        ("strawberries", ("strawberry",)),
    ],
)
def test_the_bare_name_says_what_it_is(name, words):
    assert bare(name) == words


def test_singular():
    plural = ("cherries", "glasses", "torches", "boxes", "dogs", "dress", "bus", "pies")
    assert [singular(word) for word in plural] == ["cherry", "glass", "torch", "box", "dog", "dress", "bus", "pie"]
