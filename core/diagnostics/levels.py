"""Two yardsticks for a loss curve: what is paid when all embeddings are equal, and when they are spread out evenly.

Neither is a bound. Untrained embeddings are not equal and may pay more than the chance level; the floor is the loss of
one well-made configuration and is not proved to be the minimum.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.arrays import Array, integers
from core.losses.registry import LOSSES, LossEntry
from core.params import Params
from core.streams import stream
from core.vocabulary import SMALL, VOCABULARY

FLOOR_NAME = "loss of n evenly spaced, perfectly aligned points"
_EMBEDDINGS = tuple(name for name, slot in VOCABULARY.items() if slot.meaning.startswith("embedding"))


def _pay(
    p: Params,
    entry: LossEntry,
    n: int,
    labels: Tensor | None,
    embed: Callable[[tuple[int, ...]], Tensor],
    classes: int = 0,
) -> float:
    known = (n + 1) // 2 if labels is None else 1 + int(labels.max())
    sizes = dict(SMALL) | {"A": n, "B": n, "P": classes or known}
    inputs: dict[str, Any] = {}
    for name, required in entry.inputs.items():
        slot = VOCABULARY[name]
        if name == "labels" and labels is not None:
            inputs[name] = labels
        elif name in entry.planned:
            continue
        elif required and name in _EMBEDDINGS:
            inputs[name] = embed(
                tuple(sizes[symbol] if symbol in sizes else int(symbol) for symbol in slot.shape.split())
            )
        elif required:
            drawn = slot.make(stream(0, "levels", name), sizes)
            inputs[name] = drawn.flatten()[:1].expand_as(drawn) if name in entry.made else drawn
    return float(entry.pay(inputs, p, stream(0, "levels", "plan")).total())


def chance_level(p: Params, n: int, labels: Array | None = None, classes: int = 0) -> float:
    """What a batch of n items pays when all its embeddings are the same unit vector: the level of full collapse.

    What a companion makes of equal embeddings is equal as well.

    Args:
        p: params of a registered loss; for a learned temperature, the one it stands at.
        n: items in the batch, at least 2.
        labels: (n,) classes of the items, for losses that take them; without them, two items of each class or more.
        classes: how many there are in all; by default as many as the labels name.

    Returns:
        The total. For example log n for InfoNCE without a margin, the margin for triplet.
    """
    given = None if labels is None else integers(labels, torch.empty(0))
    if labels is None and classes:
        given = VOCABULARY["labels"].make(stream(0, "levels", "labels"), {"B": n}) % classes
    return _pay(p, LOSSES.of(p), n, given, _one_point, classes)


def _one_point(shape: tuple[int, ...]) -> Tensor:
    return F.one_hot(torch.zeros(shape[:-1]).long(), shape[-1]).double()


def floor_level(p: Params, n: int, dim: int, labels: Array | None = None) -> float | None:
    """The loss of evenly spaced, perfectly aligned points: every positive on its anchor, all others as far as can be.

    In at least n - 1 dimensions the points are a regular simplex, in 2 dimensions they are evenly spaced on the circle.
    For a loss that takes labels there is one point for each class. Not proved to be the minimum for every loss; a
    hinge that falls silent there pays exactly 0, which is.

    Args:
        p: params of a registered loss.
        n: items in the batch, at least 2.
        dim: dimensions of the embeddings.
        labels: (n,) classes of the items, as for `chance_level`.

    Returns:
        The total, or None where no such arrangement is known, where it would cost more than collapse, or where the loss
        needs more than a, b and labels.
    """
    entry = LOSSES.of(p)
    needed = set(entry.needed)
    if not needed <= {"a", "b", "labels"}:
        return None
    group, given = torch.arange(n), None
    if "labels" in needed:
        raw = VOCABULARY["labels"].make(stream(0, "levels", "labels"), {"B": n}) if labels is None else labels
        given = integers(raw, group)
        group = given.unique(return_inverse=True)[1]
    points = _evenly_spaced(int(group.max()) + 1, dim)
    if points is None:
        return None
    floor = _pay(p, entry, n, given, lambda shape: points[group])
    return floor if floor <= chance_level(p, n, labels) + 1e-12 else None


def _evenly_spaced(count: int, dim: int) -> Tensor | None:
    """(count, .) float64 unit vectors as they would lie in `dim` dimensions, up to a rotation."""
    if count == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if dim >= count - 1:
        return F.normalize(torch.eye(count, dtype=torch.float64) - 1 / count, dim=1)
    if dim == 2:
        angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
        return torch.stack([angle.cos(), angle.sin()], dim=1)
    return None
