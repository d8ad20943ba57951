"""How far classes lie apart, which of them are not found, and what labels dealt at random would give."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, class_of, share, unit_rows
from core.diagnostics.probes import nearest_rows, vote
from core.diagnostics.registry import diagnostic
from core.streams import stream

DRAWS = 8
Near = Annotated[int, Field(ge=1, le=1000, title="Neighbours k", description="How many training items vote.")]


@dataclass(frozen=True)
class Found:
    """One class: its label, how many of its `n` test items were found, all shares, and how often it was named."""

    label: int
    recall: float
    n: int
    named: int


def _apart(z: Tensor, group: Tensor, classes: int) -> Tensor:
    """(N,) silhouette of each row by cosine distance, from the sums of the classes; 0 for an only child."""
    counts = torch.bincount(group, minlength=classes)
    sums = z.new_zeros(classes, z.shape[1]).index_add_(0, group, z)
    found = []
    for part, own in zip(z.split(CHUNK), group.split(CHUNK), strict=True):
        towards = part @ sums.T
        mean = 1 - towards / counts
        others = (counts[own] - 1).clamp(min=1)
        mine = towards.gather(1, own[:, None]).squeeze(1) - part.square().sum(dim=1)
        inside = 1 - mine / others
        outside = mean.scatter(1, own[:, None], torch.inf).min(dim=1).values
        value = (outside - inside) / torch.maximum(inside, outside).clamp(min=torch.finfo(z.dtype).eps)
        found.append(torch.where(counts[own] > 1, value, 0))
    return torch.cat(found)


def _groups(z: Array, labels: Array) -> tuple[Tensor, Tensor, int]:
    x = unit_rows(z)
    names, group = class_of(labels, x).unique(return_inverse=True)
    if not 2 <= len(names) < len(x):
        raise ValueError(
            f"got {len(names)} classes among {len(x)} items; give at least two classes, and one of them two items"
        )
    return x.double(), group, len(names)


@diagnostic(
    "separation",
    title="Class separation",
    source="Rousseeuw 1987: the silhouette, of cosine distances, averaged over items",
    values="-1 (nearer to another class) through 0 (as near to another as to its own) to 1 (tight and far apart)",
    chance="by simulation: the labels shuffled, at or a little below 0",
)
def separation(z: Array, labels: Array) -> float:
    """Mean silhouette: how much nearer an item is to its own class than to the nearest other one.

    Exact without a matrix of all pairs, since a mean of cosines is the cosine with a mean.

    Args:
        z: (N, D) unit rows.
        labels: (N,) classes, at least two and fewer than N.

    Raises:
        ValueError: if rows are not of length 1, or the labels do not allow it.
    """
    return float(_apart(*_groups(z, labels)).mean())


def chance_separation(z: Array, labels: Array, seed: int = 0) -> tuple[float, ...]:
    """The silhouettes of 8 seeded shufflings of the labels among the same rows, ascending; arguments as above."""
    x, group, classes = _groups(z, labels)
    orders = (torch.randperm(len(x), generator=stream(seed, "shuffled labels", draw)) for draw in range(DRAWS))
    return tuple(sorted(float(_apart(x, group[order.to(x.device)], classes).mean()) for order in orders))


def found_by_class(named: Tensor, wanted: Tensor) -> tuple[Found, ...]:
    """Each class of the test items, the least found first; where equal, the larger class first.

    Args:
        named: (M,) int64 class that was answered for each test item.
        wanted: (M,) int64 its class.
    """
    each = [
        Found(int(c), share(named[wanted == c] == c), int((wanted == c).sum()), int((named == c).sum()))
        for c in wanted.unique()
    ]
    return tuple(sorted(each, key=lambda one: (one.recall, -one.n, one.label)))


@diagnostic(
    "weakest_classes",
    title="Weakest classes",
    source="recall of each class under the vote of the nearest training items, as for nearest neighbours",
    values="recalls 0 to 1",
    chance="1 / classes",
)
def weakest_classes(z: Array, labels: Array, test: Array, test_labels: Array, *, k: Near = 5) -> tuple[Found, ...]:
    """How many of each class's test items are named rightly by most of their k nearest training items.

    Args:
        z: (N, D) unit training rows.
        labels: (N,) their classes.
        test: (M, D) unit rows.
        test_labels: (M,) their classes.
        k: neighbours; a tied vote goes to the tied class whose nearest member is nearer.

    Returns:
        Each class of the test items with its count, the weakest first.

    Raises:
        ValueError: if rows are not of length 1, or labels and rows differ in number.
    """
    x, y = unit_rows(z), unit_rows(test)
    truth, wanted = class_of(labels, x), class_of(test_labels, y)
    return found_by_class(vote(truth[nearest_rows(x, y, k)]), wanted)


def shuffled_knn(near: Tensor, labels: Tensor, wanted: Tensor, seed: int = 0) -> float:
    """Accuracy of the vote when the training labels are shuffled, the mean of 8 seeded draws: chance on these items.

    Args:
        near: (M, k) the nearest training items of each test item.
        labels: (N,) int64 classes of the training items.
        wanted: (M,) int64 classes of the test items.
        seed: address of the draws.
    """
    right = []
    for draw in range(DRAWS):
        order = torch.randperm(len(labels), generator=stream(seed, "shuffled labels", draw)).to(labels.device)
        right.append(share(vote(labels[order][near]) == wanted))
    return sum(right) / DRAWS
