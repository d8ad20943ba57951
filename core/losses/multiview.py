"""Losses over any number of views of each item: all at once, or pair by pair."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.fields import temperature
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.registry import Claims, loss
from core.losses.scores import similarity, without
from core.paid import Paid, Pairs, Role, Term, joined
from core.params import Params

_SOURCE = "Koromilas et al. 2025, arXiv:2507.06979"
_NO_MARGIN = Claims(margin="it takes no margin of its own")


class MVInfoNCE(Params):
    kind: Literal["mv_infonce"] = "mv_infonce"
    temperature: float = temperature(0.5)


class MVDHEL(Params):
    kind: Literal["mv_dhel"] = "mv_dhel"
    temperature: float = temperature(0.5)


class MVPVC(Params):
    kind: Literal["mv_pvc"] = "mv_pvc"
    temperature: float = temperature(0.5)


class MVPWE(Params):
    kind: Literal["mv_pwe"] = "mv_pwe"
    temperature: float = temperature(0.5)


class MVAvg(Params):
    kind: Literal["mv_avg"] = "mv_avg"
    temperature: float = temperature(0.5)


@loss(
    MVInfoNCE,
    title="MV-InfoNCE (all views at once)",
    source=f"{_SOURCE}; the released code, whose denominator has the pairs within a view as well",
    origin="code",
    papers=("multiview",),
    family="softmax",
    formula=r"-\log\frac{\sum_{l\neq l'}e^{\langle u_{il},u_{il'}\rangle/\tau}}"
    r"{\sum_l\sum_{(j,m)\neq(i,l)}e^{\langle u_{il},u_{jm}\rangle/\tau}}",
    claims=_NO_MARGIN,
    relations={"mv_pwe": "with one logarithm for all pairs of views", "nt_xent": "of all views of an item together"},
    variants=({}, {"temperature": 0.1}),
)
def mv_infonce(views: Tensor, p: MVInfoNCE) -> Paid:
    """Picks out all pairs of views of an item at once among all pairs that its views are in.

    Args:
        views: (V, B, D) V >= 2 views of each item.
        p: temperature.

    Returns:
        One term per item, (B,); one (VB, VB) matrix of pairs, view by view.
    """
    pairs = _all_views(views)
    logits = pairs.scores / p.temperature
    own = _of_item(without(logits, pairs.role != Role.POSITIVE), views)
    every = _of_item(without(logits, pairs.role == Role.EXCLUDED), views)
    return Paid({"": Term(every - own, "item")}, (pairs,))


@loss(
    MVDHEL,
    title="MV-DHEL (decoupled, all views at once)",
    source=f"{_SOURCE}; the released code, whose denominator leaves the anchor out and whose numerator has each pair "
    "of views once",
    origin="code",
    papers=("multiview",),
    family="softmax",
    formula=r"-\log\sum_{l<l'}e^{\langle u_{il},u_{il'}\rangle/\tau}"
    r"+\sum_l\log\sum_{j\neq i}e^{\langle u_{il},u_{jl}\rangle/\tau}",
    claims=_NO_MARGIN,
    relations={
        "mv_infonce": "with negatives of the anchor's own view only, and no positive among them",
        "dcl": "of any number of views, with negatives of the anchor's own view only",
    },
    variants=({}, {"temperature": 0.1}),
)
def mv_dhel(views: Tensor, p: MVDHEL) -> Paid:
    """Pulls all views of an item together and spreads the items out within each view.

    Args:
        views: (V, B, D) V >= 2 views of each of B >= 2 items.
        p: temperature.

    Returns:
        One term per item, (B,), may be negative; one (VB, VB) matrix of pairs, view by view, in which different items
        in different views take no part.
    """
    every = _all_views(views)
    view = torch.arange(len(views), device=views.device).repeat_interleave(views.shape[1])
    apart = (view[:, None] != view[None, :]) & (every.role == Role.NEGATIVE)
    pairs = Pairs(every.scores, every.role.masked_fill(apart, Role.EXCLUDED))
    logits = pairs.scores / p.temperature
    pull = _of_item(without(logits, pairs.role != Role.POSITIVE), views) - math.log(2)
    others = torch.logsumexp(without(logits, pairs.role != Role.NEGATIVE), dim=1)
    return Paid({"": Term(others.unflatten(0, views.shape[:2]).sum(dim=0) - pull, "item")}, (pairs,))


@loss(
    MVPVC,
    title="PVC (each pair against all views)",
    source=f"{_SOURCE}, a baseline; Poly-View Contrastive, Shidani et al. 2024, arXiv:2403.05490, geometric",
    origin="code",
    papers=("multiview",),
    family="softmax",
    formula=r"-\frac1{V-1}\sum_{l'\neq l}\log\frac{e^{\langle u_{il},u_{il'}\rangle/\tau}}"
    r"{e^{\langle u_{il},u_{il'}\rangle/\tau}+\sum_m\sum_{j\neq i}e^{\langle u_{il},u_{jm}\rangle/\tau}}",
    claims=_NO_MARGIN,
    relations={"mv_pwe": "with the negatives of all views in each pair's softmax"},
    variants=({}, {"temperature": 0.1}),
)
def mv_pvc(views: Tensor, p: MVPVC) -> Paid:
    """Picks out each other view of an anchor in turn among the other items in all views.

    Args:
        views: (V, B, D) V >= 2 views of each item.
        p: temperature.

    Returns:
        One term per anchor, (VB,), view by view; one (VB, VB) matrix of pairs.
    """
    pairs = _all_views(views)
    logits = pairs.scores / p.temperature
    far = torch.logsumexp(without(logits, pairs.role != Role.NEGATIVE), dim=1, keepdim=True)
    return Paid({"": Term(_over_positives(F.softplus(far - logits), pairs.role))}, (pairs,))


@loss(
    MVPWE,
    title="PWE (NT-Xent of each pair of views)",
    source=f"{_SOURCE}, a baseline; the pairs as in Tian et al. 2020, arXiv:1906.05849, the full graph",
    origin="code",
    papers=("multiview",),
    family="softmax",
    formula=r"-\frac1{V-1}\sum_{l'\neq l}\log\frac{e^{\langle u_{il},u_{il'}\rangle/\tau}}"
    r"{e^{\langle u_{il},u_{il'}\rangle/\tau}+\sum_{m\in\{l,l'\}}\sum_{j\neq i}e^{\langle u_{il},u_{jm}\rangle/\tau}}",
    claims=_NO_MARGIN,
    relations={"nt_xent": "the mean over all pairs of views"},
    variants=({}, {"temperature": 0.1}),
)
def mv_pwe(views: Tensor, p: MVPWE) -> Paid:
    """Takes NT-Xent of every pair of views and averages.

    Args:
        views: (V, B, D) V >= 2 views of each item.
        p: temperature.

    Returns:
        One term per anchor, (VB,), view by view; one (VB, VB) matrix of pairs.
    """
    pairs, (count, size) = _all_views(views), views.shape[:2]
    logits = pairs.scores / p.temperature
    by_view = without(logits, pairs.role != Role.NEGATIVE).unflatten(1, (count, size)).logsumexp(dim=2)
    own = by_view.gather(1, torch.arange(count, device=views.device).repeat_interleave(size)[:, None])
    far = torch.logaddexp(by_view, own).repeat_interleave(size, dim=1)
    return Paid({"": Term(_over_positives(F.softplus(far - logits), pairs.role))}, (pairs,))


@loss(
    MVAvg,
    title="AVG (each view against the mean of the others)",
    source=f"{_SOURCE}, a baseline; the mean of unit vectors is not made a unit vector again",
    origin="code",
    papers=("multiview",),
    family="softmax",
    formula=r"\tfrac1V\sum_l\mathrm{NTXent}\Big(u_l,\;\tfrac1{V-1}\sum_{l'\neq l}u_{l'}\Big)",
    claims=_NO_MARGIN,
    relations={"nt_xent": "of each view with the mean of the others", "mv_pwe": "with the others averaged beforehand"},
    variants=({}, {"temperature": 0.1}),
)
def mv_avg(views: Tensor, p: MVAvg) -> Paid:
    """Takes NT-Xent of every view with the mean of the other views.

    Args:
        views: (V, B, D) V >= 2 views of each item.
        p: temperature.

    Returns:
        A term for each view, named by its place: (2B,), first the view's anchors, then the means'. A (2B, 2B) matrix
        of pairs for each.
    """
    exact = views if views.dtype == torch.float64 else views.float()
    count, asks = len(views), NTXent(temperature=p.temperature)
    rest = (exact.sum(dim=0) - exact) / (count - 1)
    each = (nt_xent(view, other, asks).scaled(1 / count) for view, other in zip(exact, rest, strict=True))
    return joined((str(place), paid) for place, paid in enumerate(each))


def _all_views(views: Tensor) -> Pairs:
    """(VB, VB) scores among all views, view by view: other views of an item are its positives, itself takes no part."""
    z = views.flatten(0, 1)
    item = torch.arange(views.shape[1], device=views.device).repeat(len(views))
    same = item[:, None] == item[None, :]
    return Pairs(similarity(z, z), (Role.NEGATIVE - same.to(torch.int8)).fill_diagonal_(Role.EXCLUDED))


def _of_item(logits: Tensor, views: Tensor) -> Tensor:
    """(B,) log of the summed exponentials in all rows (VB, C) of an item."""
    return logits.unflatten(0, views.shape[:2]).transpose(0, 1).flatten(1).logsumexp(dim=1)


def _over_positives(cost: Tensor, role: Tensor) -> Tensor:
    """(A,) mean of the cost (A, C) over the positives of each anchor."""
    positive = role == Role.POSITIVE
    return cost.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
