"""Who takes the push: negatives by how hard they are for their anchor, and by their rank in the batch."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from core.diagnostics.registry import diagnostic
from core.paid import Pairs, Role

BOUNDS = (0.01, 0.05, 0.20, 0.50, 1.0)
_UNITS = 2**40


class Hardness(IntEnum):
    """What a negative is to its anchor, by its lead over the anchor's hardest positive."""

    NONE = 0
    EASY = 1
    SEMI_HARD = 2
    HARD = 3


@dataclass(frozen=True)
class ByHardness:
    """Shares of the push on negatives, and of the negatives themselves; each adds up to exactly 1.

    Where nothing is pushed `silent` is True and the three shares of the push are 0.
    """

    easy: float
    semi_hard: float
    hard: float
    easy_pairs: float
    semi_hard_pairs: float
    hard_pairs: float
    silent: bool


@dataclass(frozen=True)
class ByRank:
    """Shares of the push taken by the hardest negatives, bucket by bucket.

    `share[k]` is what the negatives between the bounds k - 1 and k take, the hardest first; `equal[k]` is their share
    of the pairs, what they would take of an equal push. `share` adds up to exactly 1, or is all 0 where `silent`.
    """

    bounds: tuple[float, ...]
    share: tuple[float, ...]
    equal: tuple[float, ...]
    silent: bool


def _is_negative(pairs: Pairs) -> Tensor:
    """(A, C) whether the pair is a negative of any kind: those are the last roles."""
    return pairs.role >= Role.NEGATIVE


def _hardest_positive(pairs: Pairs, dim: int) -> Tensor:
    return pairs.scores.detach().masked_fill(pairs.role != Role.POSITIVE, torch.inf).amin(dim=dim)


def gaps(pairs: Pairs) -> Tensor:
    """(A,) lead of each anchor's hardest positive over its hardest negative, in units of the score.

    Infinite where an anchor has no positive or no negative.
    """
    hardest = pairs.scores.detach().masked_fill(~_is_negative(pairs), -torch.inf).amax(dim=1)
    return _hardest_positive(pairs, 1) - hardest


def active_share(force: Tensor, pairs: Pairs) -> float:
    """Share of the negatives with a force other than exactly 0; 0 where there is no negative."""
    negative = _is_negative(pairs)
    return int(((force != 0) & negative).sum()) / max(int(negative.sum()), 1)


def hardness(pairs: Pairs, margin: float | Tensor, *, both: bool = False) -> Tensor:
    """How hard each negative is for its anchor, against the anchor's hardest (lowest) positive.

    Hard: scores above the positive. Semi-hard: within the margin below it, s_pos - margin < s <= s_pos. Easy: further
    below; the rounding is that of a hinge, so the hinge of an easy pair is exactly 0.

    Args:
        pairs: scores and roles, (A, C).
        margin: a number or (A,), in units of the score.
        both: for a square matrix that is paid along its rows and its columns (ranking, CLIP): a negative then counts
            as the harder of what it is to its row and to its column, entry j of the margin belonging to column j.

    Returns:
        (A, C) int8 of `Hardness`; NONE for what is no negative, or where there is no positive to compare with.
    """
    scores = pairs.scores.detach()
    found = torch.zeros(scores.shape, dtype=torch.int8, device=scores.device)
    for dim in (1, 0) if both else (1,):
        positive = _hardest_positive(pairs, dim)
        asked = (positive - margin).unsqueeze(dim)
        positive = positive.unsqueeze(dim)
        level = 1 + (scores > asked).to(torch.int8) + (scores > positive).to(torch.int8)
        found = torch.maximum(found, torch.where(torch.isinf(positive), 0, level).to(torch.int8))
    return found * _is_negative(pairs)


def _sum(push: Tensor, mask: Tensor) -> float:
    """Sum of the push (n,) where the mask (n,) holds: a product takes half the time of a selection."""
    return float(torch.dot(push, mask.to(push.dtype)))


def _exact_shares(amounts: Sequence[float]) -> tuple[float, ...]:
    """The amounts as shares that add up to exactly 1 in any order.

    They are whole multiples of 2^-40, which floats hold without rounding; the largest takes the remainder. All are 0
    where nothing is there to share, and NaN where the amounts are not finite.
    """
    total = sum(amounts)
    if total == 0 or not math.isfinite(total):
        return (0.0 if total == 0 else math.nan,) * len(amounts)
    units = [round(amount / total * _UNITS) for amount in amounts]
    units[max(range(len(units)), key=units.__getitem__)] += _UNITS - sum(units)
    return tuple(unit / _UNITS for unit in units)


@diagnostic(
    "share_by_hardness",
    title="Push by hardness",
    source="Schroff et al. 2015, arXiv:1503.03832, sec. 3.2, for the words hard and semi-hard",
    values="three shares that add up to exactly 1; all 0 where nothing is pushed",
    chance="the shares of the pairs, which an equal push would give",
)
def share_by_hardness(force: Tensor, pairs: Pairs, margin: float | Tensor, *, both: bool = False) -> ByHardness:
    """How the push on negatives is shared among easy, semi-hard and hard ones.

    Args:
        force: (A, C) from `forces`; the push on a negative is its force above 0.
        pairs: scores and roles, (A, C).
        margin: as for `hardness`.
        both: as for `hardness`.
    """
    level = hardness(pairs, margin, both=both)
    push = force.detach().flatten().clamp(min=0)
    masks = [level.flatten() == h for h in (Hardness.EASY, Hardness.SEMI_HARD, Hardness.HARD)]
    taken = _exact_shares([_sum(push, mask) for mask in masks])
    equal = _exact_shares([int(mask.sum()) for mask in masks])
    return ByHardness(*taken, *equal, silent=not any(taken))


@diagnostic(
    "share_of_hardest",
    title="Push on the hardest pairs",
    source="Lorenz 1905: the share of the total that the largest take, here the hardest",
    origin="designed",
    values="shares that add up to exactly 1; all 0 where nothing is pushed",
    chance="the share of the pairs, which an equal push would give",
)
def share_of_hardest(force: Tensor, pairs: Pairs, bounds: Sequence[float] = BOUNDS) -> ByRank:
    """How the push on negatives is shared among the hardest 1 %, the next ones, ..., the easiest half of the *pairs*.

    Negatives are ranked by their score over the whole batch; those with one score share their push equally, and a
    bound that falls inside a pair cuts its push in proportion.

    Args:
        force: (A, C) from `forces`; the push on a negative is its force above 0.
        pairs: scores and roles, (A, C).
        bounds: rising shares of the pairs, the last one 1.

    Raises:
        ValueError: if the bounds do not rise from above 0 to 1.
    """
    edges = (0.0, *bounds)
    if edges[-1] != 1 or any(low >= high for low, high in itertools.pairwise(edges)):
        raise ValueError(f"got the bounds {tuple(bounds)}; expected shares that rise from above 0 to 1: order them")
    equal = tuple(high - low for low, high in itertools.pairwise(edges))
    negative = _is_negative(pairs).flatten()
    push = torch.where(negative, force.detach().flatten().clamp(min=0), 0)
    if not bool(push.any()):
        return ByRank(tuple(bounds), (0.0,) * len(bounds), equal, silent=True)
    score = pairs.scores.detach().flatten().masked_fill(~negative, -torch.inf)
    ordered = np.sort(score.cpu().numpy())
    n, taken = int(negative.sum()), [0.0]
    for bound in bounds:
        edge = float(ordered[-1 - min(int(bound * n), n - 1)])
        above, level = score > edge, score == edge
        cut = (bound * n - int(above.sum())) / max(int(level.sum()), 1)
        taken.append(_sum(push, above) + cut * _sum(push, level))
    return ByRank(
        tuple(bounds),
        _exact_shares([max(high - low, 0.0) for low, high in itertools.pairwise(taken)]),
        equal,
        silent=False,
    )
