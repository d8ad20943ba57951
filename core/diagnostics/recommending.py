"""Recommendation: what of a user's held-out items stands at the top of the list made for that user.

Every number is given for each user first. nDCG averages over ties, as scikit-learn does; for the others a tie puts what
is not wanted first, so that scores that are all alike win nothing by the order of the items.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from core.diagnostics.arrays import Array, tensor
from core.diagnostics.registry import diagnostic

Without = Literal["left_out", "zero"]


@dataclass(frozen=True)
class Recommendation:
    """Means over users at one k, all between 0 and 1.

    `map` divides by the number of wanted items, at most k; `map_inside` by those found among the first k, as the
    released code of So et al. 2023 (DMM) does, and is never smaller. `users` were counted; `without` more had nothing
    to be found and were left out or counted as 0.
    """

    ndcg: float
    recall: float
    hit: float
    map: float
    map_inside: float
    k: int
    users: int
    without: int


def ndcg(scores: Tensor, wanted: Tensor, k: int) -> Tensor:
    """(U,) float64 nDCG at k with gains of 0 and 1; 0 for a user who wants nothing.

    Equal scores share the mean of their gains (McSherry and Najork 2008), as in scikit-learn's ndcg_score.

    Args:
        scores: (U, I), larger is better; minus infinity for an item that is no candidate.
        wanted: (U, I) bool.
        k: length of the list.
    """
    users, items = scores.shape
    discount = 1 / torch.arange(2, items + 2, dtype=torch.float64, device=scores.device).log2()
    discount[k:] = 0
    ordered, order = scores.sort(dim=1, descending=True)
    gain = wanted.gather(1, order).double()
    changes = torch.zeros_like(ordered, dtype=torch.int64)
    changes[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    group = changes.cumsum(dim=1)
    zero = torch.zeros(users, items, dtype=torch.float64, device=scores.device)
    size, gains = zero.scatter_add(1, group, torch.ones_like(gain)), zero.scatter_add(1, group, gain)
    weight = zero.scatter_add(1, group, discount.expand(users, items))
    found = (gains / size.clamp_min(1) * weight).sum(dim=1)
    best = torch.cat([discount.new_zeros(1), discount.cumsum(0)])[wanted.sum(dim=1)]
    return torch.where(best > 0, found / best.clamp_min(torch.finfo(best.dtype).tiny), 0.0)


def first(scores: Tensor, wanted: Tensor, k: int) -> Tensor:
    """(U, min(k, I)) bool: whether the item in each place of the list is wanted; among equals the unwanted come first.

    Arguments as for `ndcg`.
    """
    unwanted_first = wanted.to(torch.int8).argsort(dim=1, stable=True)
    order = scores.gather(1, unwanted_first).argsort(dim=1, descending=True, stable=True)
    return wanted.gather(1, unwanted_first).gather(1, order)[:, :k]


def recall(top: Tensor, wanted: Tensor) -> Tensor:
    """(U,) share of the wanted items (U, I) that is in `top` (U, k); 0 for a user who wants nothing."""
    return top.sum(dim=1).double() / wanted.sum(dim=1).clamp_min(1)


def average_precision(top: Tensor, divisor: Tensor) -> Tensor:
    """(U,) sum of the precisions at the places of the wanted items in `top` (U, k), over `divisor` (U,), 1 at least."""
    place = torch.arange(1, top.shape[1] + 1, device=top.device)
    precision = top.cumsum(dim=1).double() / place
    return (precision * top).sum(dim=1) / divisor.clamp_min(1)


def by_user(scores: Tensor, wanted: Tensor, k: int) -> dict[str, Tensor]:
    """Name of a number of `Recommendation` -> (U,) its value for each user; arguments as for `ndcg`."""
    top = first(scores, wanted, k)
    return {
        "ndcg": ndcg(scores, wanted, k),
        "recall": recall(top, wanted),
        "hit": top.any(dim=1).double(),
        "map": average_precision(top, wanted.sum(dim=1).clamp_max(k)),
        "map_inside": average_precision(top, top.sum(dim=1)),
    }


@diagnostic(
    "recommendation",
    title="Recommendation",
    source="nDCG: Järvelin and Kekäläinen 2002, ties: McSherry and Najork 2008; MAP inside the list: code of DMM",
    papers=("dmm",),
    values="0 to 1",
    chance="recall: k over the candidates; the others grow with the share of wanted items",
)
def recommendation(scores: Array, wanted: Array, *, k: int = 10, without: Without = "left_out") -> Recommendation:
    """nDCG, recall, hit rate and two forms of MAP at k, means over users.

    Args:
        scores: (U, I), larger is better; minus infinity for an item that is no candidate of that user.
        wanted: (U, I), not 0 where the user's held-out rating is positive.
        k: length of the list, at least 1.
        without: what becomes of users who want nothing: left out, or counted as 0 as in the released code of DMM.

    Raises:
        ValueError: if shapes differ, k is below 1, a score is NaN, a wanted item is no candidate, or nobody is left.
    """
    s = tensor(scores)
    y = (tensor(wanted) != 0).to(s.device)
    _check(s, y, k)
    has = y.any(dim=1)
    kept = has if without == "left_out" else torch.ones_like(has)
    if not bool(kept.any()):
        raise ValueError("got no user who wants anything; give the held-out positives of at least one user")
    means = {name: float(value.mean()) for name, value in by_user(s[kept], y[kept], k).items()}
    return Recommendation(**means, k=k, users=int(kept.sum()), without=int((~has).sum()))


def _check(scores: Tensor, wanted: Tensor, k: int) -> None:
    if scores.shape != wanted.shape or scores.ndim != 2:
        raise ValueError(
            f"got scores of shape {tuple(scores.shape)} and wanted items of shape {tuple(wanted.shape)} where "
            "(users, items) is expected of both; give one of each for every user and item"
        )
    if k < 1:
        raise ValueError(f"got k = {k} where at least 1 is expected; ask for a list of one item or more")
    if bool((scores.isnan() | scores.isposinf()).any()):
        raise ValueError("got NaN or infinity among the scores where numbers or minus infinity are expected; drop them")
    if bool((wanted & scores.isneginf()).any()):
        raise ValueError("got a wanted item that is no candidate; give it a score or take it out of the wanted ones")
