"""Emoji: 1,594 of them, drawn in three styles and named in five languages."""

import gzip
import json
from collections import defaultdict
from functools import cache
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Generator, Tensor

from core.data.digest import digested
from core.data.distortions import moved
from core.data.families import family
from core.data.registry import DataSet, Modality, Split, data
from core.data.splits import at_random, by_family
from core.environment import ROOT
from core.params import Params
from core.streams import stream

FOLDER = ROOT / "assets" / "data"
STYLES = ("noto", "fluent", "twemoji")
GROUPS = {
    0: "smileys",
    1: "people",
    3: "animals and nature",
    4: "food and drink",
    5: "travel and places",
    6: "activities",
    7: "objects",
    8: "symbols",
    9: "flags",
}
EVERYDAY = (3, 4, 5, 7, 6)
VALIDATION, TEST = 150, 300


class Emoji(Params):
    kind: Literal["emoji"] = "emoji"
    modalities: tuple[Literal["noto", "fluent", "twemoji", "en", "de", "fr", "ja", "zh"], ...] = Field(
        ("noto", "en"),
        min_length=2,
        max_length=8,
        title="Modalities",
        description="Drawings (Noto, Fluent, Twemoji) and names with keywords in five languages.",
    )
    items: int = Field(
        0, ge=0, le=1000, title="Training items", description="That many everyday emoji to train on; 0 takes all."
    )
    split: Literal["family", "random"] = Field(
        "family",
        title="Split",
        description="Keep families (clock faces, genders) on one side, or split at random, which inflates.",
    )
    split_seed: int = Field(0, ge=0, le=999, title="Split seed", description="Another number, another split.")

    @field_validator("modalities")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"{', '.join(names)} names a modality twice; name each once")
        return names


@cache
def records() -> tuple[dict[str, Any], ...]:
    """One record per emoji: codepoints, group, subgroup, and name and keywords in each language."""
    with gzip.open(FOLDER / "emoji_text.json.gz", "rt", encoding="utf-8") as file:
        return tuple(json.load(file))


@cache
def drawings(style: str) -> np.ndarray:
    """(N, 32, 32, 4) uint8 pictures of one style, with soft edges; read-only, since all data sets share them."""
    with np.load(FOLDER / "emoji_images.npz", allow_pickle=False) as arrays:
        pictures = arrays[style]
    pictures.setflags(write=False)
    return pictures


def on_white(pictures: np.ndarray) -> Tensor:
    """(N, 3, H, W) float32 between 0 and 1, from (N, H, W, 4) uint8."""
    rgba = torch.tensor(pictures).permute(0, 3, 1, 2).float() / 255
    colour, cover = rgba[:, :3], rgba[:, 3:]
    return colour * cover + (1 - cover)


def colourfulness(pictures: np.ndarray) -> np.ndarray:
    """(N,) int64: sum over the pixels of (strongest - weakest channel) * cover, of (N, H, W, 4) uint8 pictures."""
    whole = pictures.astype(np.int64)
    return ((whole[..., :3].max(-1) - whole[..., :3].min(-1)) * whole[..., 3]).sum((1, 2))


@cache
def _colours() -> np.ndarray:
    """(N,) how colourful Noto draws each emoji."""
    return colourfulness(drawings("noto"))


def everyday(train: list[int], kin: list[str]) -> list[int]:
    """The training items in the order in which a small set takes them.

    First one item of each family out of the groups of things, the groups in turn: of each family the shortest name,
    and of each group the names of fewest words first, the more colourful first among them. Then all others in the
    order of their rows.
    """
    known, colour = records(), _colours()
    chosen: dict[str, int] = {}
    for item in sorted(train, key=lambda item: (len(known[item]["en"]), item)):
        chosen.setdefault(kin[item], item)
    by_group: dict[int, list[int]] = defaultdict(list)
    for item in sorted(chosen.values(), key=lambda item: (len(known[item]["en"].split()), -colour[item])):
        by_group[known[item]["group"]].append(item)
    turns = zip_longest(*(by_group[group] for group in EVERYDAY))
    first = [item for turn in turns for item in turn if item is not None]
    return first + sorted(set(train) - set(first))


def augment(modality: str, values: Tensor, g: Generator) -> Tensor:
    """Pictures (n, 3, H, W) shifted and zoomed a little, on white; anything else as it is."""
    return moved(values, shift=0.06, zoom=0.1, fill=1, g=g) if values.ndim == 4 else values


def _split(p: Emoji, kin: list[str]) -> Split:
    g = stream(p.split_seed, "emoji", p.split)
    if p.split == "random":
        return at_random(len(kin), VALIDATION, TEST, g)
    return by_family(kin, VALIDATION, TEST, g, largest=TEST // 25)


@cache
def _modality(name: str) -> Modality:
    """One of the modalities, shared by all data sets that have it."""
    if name in STYLES:
        return Modality(name, "image", on_white(drawings(name)), tower=name)
    texts = tuple(", ".join((record[name], *record[f"{name}_keywords"])) for record in records())
    return Modality(name, "text", texts, tower=name)


@data(
    Emoji,
    title="Emoji",
    source="Noto Emoji (Google), Fluent Emoji (Microsoft), Twemoji (Twitter and contributors), emojibase",
    forms=("image", "text"),
    origin="code",
)
def emoji(p: Emoji) -> DataSet:
    """1,594 emoji in two to eight of three drawing styles and five languages, split so that no family is divided.

    Rows stand in the order of the vendored file, also where `p.items` trains on fewer: the others then belong to no
    part, and the test part stays the same. Labels are the groups of Unicode.
    """
    known = records()
    kin = [family(record["en"], record["subgroup"]) for record in known]
    split = _split(p, kin)
    if p.items:
        few = everyday(split.train.tolist(), kin)[: p.items]
        split = Split(torch.tensor(sorted(few)), split.validation, split.test)
    groups = list(GROUPS)
    return digested(
        DataSet(
            title="Emoji",
            modalities=tuple(_modality(name) for name in p.modalities),
            labels=torch.tensor([groups.index(record["group"]) for record in known]),
            classes=tuple(GROUPS.values()),
            split=split,
            names=tuple(record["en"] for record in known),
            digest="",
            thumbnails=drawings(next((name for name in p.modalities if name in STYLES), "noto")),
            note="Random split: near-copies stand on both sides, so every test figure is inflated."
            if p.split == "random"
            else "",
            augment=augment,
        )
    )
