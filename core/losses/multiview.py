"""Losses over any number of views of each item: all at once, or pair by pair."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.registry import Claims, loss
from core.losses.scores import similarity, without
from core.losses.two_views import views_of_item
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
    work="Every view of N items is an anchor among all V: (VN)² scores.",
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
    own = _together(pairs, views, p.temperature)
    every = log_sum(pairs.scores, pairs.role != Role.EXCLUDED, p.temperature).unflatten(0, views.shape[:2])
    return Paid({"": Term(every.logsumexp(dim=0) - own, "item")}, (pairs,))


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
    work="Every view of N items is an anchor among all V: (VN)² scores.",
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
    pull = _together(pairs, views, p.temperature) - math.log(2)
    others = log_sum(pairs.scores, pairs.role == Role.NEGATIVE, p.temperature)
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
    work="Every view of N items is an anchor among all V: (VN)² scores.",
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
    far = log_sum(pairs.scores, pairs.role == Role.NEGATIVE, p.temperature).unflatten(0, views.shape[:2])
    return Paid({"": Term(_each(far[:, None], pairs, views, p.temperature))}, (pairs,))


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
    work="Every view of N items is an anchor among all V: (VN)² scores.",
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
    scores, negative = (x.reshape(-1, size) for x in (pairs.scores, pairs.role == Role.NEGATIVE))
    by_view = log_sum(scores, negative, p.temperature).unflatten(0, (count, size, count)).transpose(1, 2)
    far = torch.logaddexp(by_view, by_view.diagonal().T[:, None])
    return Paid({"": Term(_each(far, pairs, views, p.temperature))}, (pairs,))


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
    work="NT-Xent for each of V views: V times (2N)² scores.",
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
    role = torch.full((len(z), len(z)), Role.NEGATIVE, dtype=torch.int8, device=z.device)
    views_of_item(role, len(views)).fill_(Role.POSITIVE)
    return Pairs(similarity(z, z), role.fill_diagonal_(Role.EXCLUDED))


def _itself(views: Tensor) -> Tensor:
    return torch.eye(len(views), dtype=torch.bool, device=views.device)[:, :, None]


def _together(pairs: Pairs, views: Tensor, temperature: float) -> Tensor:
    """(B,) log of the summed exponentials of all pairs of views of an item, both ways round."""
    own = views_of_item(pairs.scores, len(views)) / temperature
    return without(own, _itself(views)).logsumexp(dim=(0, 1))


def _each(far: Tensor, pairs: Pairs, views: Tensor, temperature: float) -> Tensor:
    """(VB,) mean over the other views of what each pays against the negatives' log-sum-exp `far`, (V, V or 1, B)."""
    cost = F.softplus(far - views_of_item(pairs.scores, len(views)) / temperature)
    return cost.masked_fill(_itself(views), 0).sum(dim=1).flatten() / (len(views) - 1)
