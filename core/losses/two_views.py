"""What the losses over both views of a batch share: one score matrix among all 2B embeddings."""

from collections.abc import Callable

import torch
from torch import Tensor

from core.losses.scores import similarity
from core.paid import Pairs, Role, barred


def all_pairs(
    a: Tensor,
    b: Tensor,
    labels: Tensor | None = None,
    exclude: Tensor | None = None,
    compare: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Pairs:
    """(2B, 2B) scores of both views with each other, an embedding never being a candidate of its own.

    The positive of an embedding is its other view or, with `labels` (B,), every embedding of its class. `exclude`
    (B, B) names pairs (a_i, b_j) that take no part, whichever of the two is the anchor; a positive always does.
    `compare` makes the scores of (2B, D) and (2B, D), larger for closer; inner products without it.
    """
    z = torch.cat([a, b])
    role = _other_view_roles(z) if labels is None else _same_class_roles(torch.cat([labels, labels]))
    return Pairs((compare or similarity)(z, z), role if exclude is None else barred(role, _in_both_places(exclude)))


def _other_view_roles(z: Tensor) -> Tensor:
    role = torch.full((len(z), len(z)), Role.NEGATIVE, dtype=torch.int8, device=z.device)
    for place in (len(z) // 2, -(len(z) // 2)):
        role.diagonal(place).fill_(Role.POSITIVE)
    return role.fill_diagonal_(Role.EXCLUDED)


def _same_class_roles(labels: Tensor) -> Tensor:
    same = labels[:, None] == labels[None, :]
    return (Role.NEGATIVE - same.to(torch.int8)).fill_diagonal_(Role.EXCLUDED)


def _in_both_places(exclude: Tensor) -> Tensor:
    within = torch.zeros_like(exclude)
    return torch.cat([torch.cat([within, exclude], dim=1), torch.cat([exclude.T, within], dim=1)])


def views_of_item(matrix: Tensor, count: int) -> Tensor:
    """(V, V, B) of a matrix (VB, VB), view by view: what the `count` views of an item have with each other."""
    return matrix.unflatten(0, (count, -1)).unflatten(2, (count, -1)).diagonal(dim1=1, dim2=3)


def other_view(matrix: Tensor) -> Tensor:
    """(2B,) the entry of each row that belongs to its other view."""
    place = torch.arange(len(matrix), device=matrix.device).roll(len(matrix) // 2)
    return matrix.gather(1, place[:, None]).squeeze(1)
