"""One level of a hierarchy of pairs: ranked across its two sides, and kept apart within each."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.ranking import Ranking, ranking
from core.paid import Paid, Pairs, Role, Term

UNSCALED = Ranking(normalise=False)


class Level(NamedTuple):
    """What each pair pays across the sides and within them, (N,) each, the pairs across, and () how many there are."""

    across: Tensor
    within: Tensor
    pairs: Pairs
    count: Tensor

    def terms(self, name: str, size: int, align: float, cluster: float) -> dict[str, Term]:
        """`align.<name>` and `cluster.<name>` at their weights, over the square of the count, for each of B items."""
        each = {"align": (self.across, align), "cluster": (self.within, cluster)}
        return {
            f"{kind}.{name}": Term(per.unflatten(0, (size, -1)).sum(dim=1), weight=weight / self.count.square())
            for kind, (per, weight) in each.items()
        }


def level(
    x: Tensor,
    y: Tensor,
    own: float,
    margin: Tensor | None,
    *,
    present: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Level:
    """Max-margin ranking of x against y, and, for half as much each, of x and of y against themselves.

    Args:
        x: (N, D) one side.
        y: (N, D) the other, row by row.
        own: the loss's margin.
        margin: () or (N,), instead of it.
        present: (N,) rows that count; an absent one neither pays nor is a rival. Without it, all count.
        exclude: (N, N) pairs (x_i, y_j) that take no part.
    """
    absent = None if present is None else ~(present[:, None] & present[None, :])
    out = exclude if absent is None or exclude is None else absent | exclude
    p = UNSCALED.model_copy(update={"margin": own})
    across = ranking(x, y, p, margin=margin, exclude=absent if out is None else out)
    within = [_sum(ranking(z, z, p, margin=margin, exclude=absent)) for z in (x, y)]
    (pairs,) = across.pairs
    shown = pairs if absent is None else Pairs(pairs.scores, pairs.role.masked_fill(absent, Role.EXCLUDED))
    count = pairs.scores.new_full((), len(x)) if present is None else present.sum().to(pairs.scores.dtype)
    return Level(_sum(across), (within[0] + within[1]) / 2, shown, count)


def level_of_members(
    x: Tensor, y: Tensor, own: float, margin: Tensor | None, present: Tensor | None, exclude: Tensor | None
) -> Level:
    """As `level`, for all members (B, n, D) of all items, of length 1; margins and left-out pairs are their items'.

    `margin` is () or (B,), `present` (B, n), `exclude` (B, B).
    """
    n = x.shape[1]
    return level(
        _unit(x.flatten(0, 1)),
        _unit(y.flatten(0, 1)),
        own,
        margin if margin is None or margin.ndim == 0 else margin.repeat_interleave(n),
        present=None if present is None else present.flatten(),
        exclude=None if exclude is None else exclude.repeat_interleave(n, 0).repeat_interleave(n, 1),
    )


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)


def _sum(paid: Paid) -> Tensor:
    return paid.terms["a_to_b"].per + paid.terms["b_to_a"].per
