"""The three tasks: a recipe for each data set, arms over it, and what is measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from core.addresses import Refused, read
from core.data.loading import load
from core.experiments.arms import GMCS, PAIRED, Arm, Link
from core.experiments.measures import (
    Alive,
    Numbers,
    blind,
    check_several,
    embed,
    missing_numbers,
    retrieval_numbers,
)
from core.experiments.settings import Experiment
from core.params import Params
from core.recipe import Recipe
from core.refusal import Refusal

Part = Literal["validation", "test"]
PARTS: tuple[Part, ...] = ("validation", "test")


@dataclass(frozen=True)
class Task:
    """A claim and how it is tested.

    `primary`: the measure that tuning, best control and verdict go by. `titles`: measure -> its name, where the key
    alone does not say it; `lower`: measures for which less is better. `links`: data -> link over `base`; `mixed`: what
    every mixed arm sets besides. `run`: train a recipe and measure the parts asked for; without "test" among them it is
    given no test part. `digest`, `sizes`, `note`: of a recipe's data.
    """

    key: str
    title: str
    base: Params
    links: Mapping[str, Link]
    arms: tuple[Arm, ...]
    primary: str
    titles: Mapping[str, str]
    run: Callable[[Any, tuple[Part, ...], Alive], dict[Part, Numbers]]
    digest: Callable[[Any], str]
    sizes: Callable[[Any], dict[str, int]]
    note: Callable[[Any], str]
    lower: frozenset[str] = field(default_factory=frozenset)
    mixed: Link = field(default_factory=dict)

    def recipe(self, asked: Experiment, link: Link, seed: int) -> Any:
        """The recipe of an arm.

        Raises:
            Refusal: if the link does not fit the schema, with the first reason.
        """
        if asked.data not in self.links:
            raise Refusal(f"{self.key} has no data '{asked.data}'; expected one of {', '.join(self.links)}")
        steps = {"steps": str(asked.steps)} if asked.steps else {}
        mixed = self.mixed if "mixing.kind" in link else {}
        flat = {**self.links[asked.data], **self._own(asked), **steps, **mixed, **link, "seed": str(seed)}
        recipe, refused = read(flat, self.base)
        if refused:
            raise Refusal(_first(refused))
        return recipe

    def _own(self, asked: Experiment) -> Link:
        return {"ratings": asked.ratings, "split": asked.split} if asked.data == "ratings" else {}

    def chosen(self, asked: Experiment) -> tuple[Arm, ...]:
        """The arms asked for, in the task's order.

        Raises:
            Refusal: if one is not an arm of this task.
        """
        known = {arm.key: arm for arm in self.arms}
        if unknown := [key for key in asked.arms if key not in known]:
            raise Refusal(f"{self.key} has no arm '{unknown[0]}'; expected some of {', '.join(known)}")
        return tuple(arm for arm in self.arms if not asked.arms or arm.key in asked.arms)


def _first(refused: list[Refused]) -> str:
    return f"the setting {refused[0]} does not fit"


def _aligned(numbers: Callable[..., Numbers]) -> Callable[[Recipe, tuple[Part, ...], Alive], dict[Part, Numbers]]:
    """Train on aligned modalities, and measure the parts asked for."""

    def run(recipe: Recipe, parts: tuple[Part, ...], alive: Alive) -> dict[Part, Numbers]:
        check_several(recipe)
        whole = load(recipe.data)
        data = whole if "test" in parts else blind(whole)
        z = embed(recipe, data, alive)
        return {part: numbers(z, data, getattr(data.split, part)) for part in parts}

    return run


def _sizes(recipe: Recipe) -> dict[str, int]:
    split = load(recipe.data).split
    return {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}


def _digest(recipe: Recipe) -> str:
    return load(recipe.data).digest


def _note(recipe: Recipe) -> str:
    return load(recipe.data).note


VECTORS: dict[str, str] = {"encoder.vector.width": "128", "encoder.dim": "32", "optimiser.schedule": "cosine"}
# A small network on small pictures, so that five seeds of every arm stay within half an hour on two cores.
EMOJI: dict[str, str] = {
    "data.kind": "emoji",
    "encoder.image.width": "24",
    "encoder.image.resolution": "16",
    "optimiser.schedule": "cosine",
    "method.batch": "128",
}

RETRIEVAL = Task(
    key="retrieval",
    title="Retrieval across modalities",
    base=Recipe(),
    links={
        "mfeat": VECTORS | {"data.kind": "mfeat", "data.modalities": "fou,kar", "method.batch": "64", "steps": "900"},
        "emoji": EMOJI | {"data.modalities": "noto,en", "steps": "400"},
    },
    arms=PAIRED,
    primary="r1",
    titles={"r1": "R@1", "r5": "R@5", "r10": "R@10", "median_rank": "median rank"},
    run=_aligned(retrieval_numbers),
    digest=_digest,
    sizes=_sizes,
    note=_note,
    lower=frozenset({"median_rank"}),
)
MISSING = Task(
    key="missing",
    title="Missing modalities",
    base=Recipe(),
    links={
        "mfeat": VECTORS | {"data.kind": "mfeat", "data.modalities": "fou,zer,mor", "steps": "280"},
        "emoji": EMOJI | {"data.modalities": "noto,twemoji,en,de", "steps": "200"},
    },
    arms=PAIRED + GMCS,
    primary="mean",
    titles={"mean": "accuracy over all subsets"},
    run=_aligned(missing_numbers),
    digest=_digest,
    sizes=_sizes,
    note=_note,
    mixed={"mixing.half": "12"},
)


@cache
def tasks() -> dict[str, Task]:
    """Every task by its key."""
    from core.experiments.recommending import RECOMMENDER

    return {task.key: task for task in (RETRIEVAL, RECOMMENDER, MISSING)}
