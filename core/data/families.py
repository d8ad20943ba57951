"""Which emoji belong to one family: one thing in several versions, so that one version gives the other away.

Versions are gender and age, direction, colour, size, hour, digit and state. The rule reads the English name and the
subgroup, nothing else:

1. Two subgroups are a family each: heads of people, and keycaps.
2. Elsewhere the name is stripped to its bare form. It ends before its first preposition ("sun behind cloud" is a
   sun); words that tell who, which way, which colour, size or state are dropped (man, woman, left, oncoming, red,
   small, open, ...), "tiger face" is a tiger, and plurals become singular.
3. A small table joins what is one pattern under several words (mermaid and merman, o'clock and thirty, all medals).

What is left apart may stand on both sides of a split: different things that share a noun (a soccer ball and a crystal
ball, a bear and a polar bear, a broken heart and a growing one), different signs in one frame (the zodiac, letters, the
buttons of a player), and faces of different expression, of people and of cats.
"""

import re
from collections.abc import Mapping

SETS: Mapping[int, str] = {23: "person", 94: "keycap"}
BEFORE_A_PLACE = (
    "with without of in on behind over at from by under to into facing showing pointing tilted getting wearing"
)
BESIDE_THE_POINT = (
    "and the a not no ok s man men woman women person people male female santa mrs mx face "
    "left right up down leftwards rightwards upwards front oncoming horizontal vertical horizontally vertically "
    "red orange yellow green blue purple brown black grey white light pink large medium small open closed 1st 2nd 3rd"
)
PREPOSITIONS = frozenset(BEFORE_A_PLACE.split())
IGNORED = frozenset(BESIDE_THE_POINT.split())
BY_LAST_WORD: Mapping[str, str] = {
    "arrival": "airplane",
    "banknote": "banknote",
    "biking": "biking",
    "clock": "clock",
    "decreasing": "chart",
    "departure": "airplane",
    "done": "hourglass",
    "feeding": "baby",
    "increasing": "chart",
    "medal": "medal",
    "mermaid": "merperson",
    "merman": "merperson",
    "moon": "moon",
    "princess": "prince",
    "speaker": "speaker",
    "suit": "suit",
    "thirty": "clock",
    "tray": "tray",
    "unlocked": "locked",
    "volume": "speaker",
    "wheelchair": "wheelchair",
}


def singular(word: str) -> str:
    """The word without a plural ending; only good enough to compare words."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def bare(name: str) -> tuple[str, ...]:
    """The words of an English name that tell what it is, at least one."""
    every = [singular(word) for word in re.findall(r"[a-z0-9]+", name.lower().split(": facing")[0])]
    words = [word for word in every if word not in IGNORED]
    end = next((i for i, word in enumerate(words) if word in PREPOSITIONS), len(words))
    return tuple(words[:end] or [word for word in words if word not in PREPOSITIONS] or every)


def family(name: str, subgroup: int) -> str:
    """The family of an emoji, from its English name and its subgroup as emojibase numbers it."""
    words = bare(name)
    return SETS.get(subgroup) or BY_LAST_WORD.get(words[-1]) or " ".join(words)
