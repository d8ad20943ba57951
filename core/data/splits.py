"""Fixed, seeded splits: train, validation and test, sorted, without a common item."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor

from core.data.registry import Split


def _split(train: Iterable[int], validation: Iterable[int], test: Iterable[int]) -> Split:
    return Split(*(torch.tensor(sorted(part), dtype=torch.int64) for part in (train, validation, test)))


def at_random(n: int, validation: int, test: int, g: Generator) -> Split:
    """A split of n items in which `validation` and `test` items are drawn without regard to anything."""
    order = torch.randperm(n, generator=g).tolist()
    return _split(order[test + validation :], order[test : test + validation], order[:test])


def stratified(labels: Tensor, validation: float, test: float, g: Generator) -> Split:
    """A split in which each class of `labels` (N,) gives the same shares, rounded to whole items.

    Args:
        labels: (N,) int64.
        validation: share of each class for validation, between 0 and 1.
        test: share of each class for the test, between 0 and 1; the rest is for training.
        g: a fresh generator.
    """
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in labels.unique():
        items = (labels == label).nonzero()[:, 0]
        items = items[torch.randperm(len(items), generator=g)].tolist()
        first, second = round(test * len(items)), round(validation * len(items))
        for part, chosen in zip(
            parts, (items[first + second :], items[first : first + second], items[:first]), strict=True
        ):
            part += chosen
    return _split(*parts)


def by_family(families: Sequence[str], validation: int, test: int, g: Generator, *, largest: int) -> Split:
    """A split that never divides a family.

    The families come in random order; each goes to the test part if it still fits there, else to the validation
    part if it fits, else to training. Large families are always for training, so that no single pattern makes up the
    test.

    Args:
        families: the family of each item.
        validation: most items of the validation part.
        test: most items of the test part.
        g: a fresh generator.
        largest: most items of a family that may leave training.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for item, name in enumerate(families):
        members[name].append(item)
    groups = list(members.values())
    train: list[int] = []
    parts: tuple[tuple[list[int], int], ...] = (([], test), ([], validation))
    for index in torch.randperm(len(groups), generator=g).tolist():
        group = groups[index]
        fitting = (part for part, room in parts if len(group) <= min(largest, room - len(part)))
        next(fitting, train).extend(group)
    return _split(train, parts[1][0], parts[0][0])
