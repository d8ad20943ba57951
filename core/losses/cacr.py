"""CACR: among the positives the far ones pull harder, among the negatives the near ones push harder."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.fields import temperature, weight
from core.losses.registry import Claims, loss
from core.losses.scores import distance, similarity, without
from core.losses.two_views import views_of_item
from core.paid import Paid, Pairs, Role, Term
from core.params import Params

_SOURCE = "Zheng et al. 2023, arXiv:2105.03746"
_MOVING = "its weights carry a gradient, which can turn the force on a pair round"


def _sharpness(default: float, title: str, which: str) -> Any:
    return Field(
        default, ge=0, le=5, title=title, description=f"Larger weighs {which} more, by squared distance; 0 is equal."
    )


class CACR(Params):
    kind: Literal["cacr"] = "cacr"
    attraction: float = weight(1, "Attraction α", "the pull between the views of an item")
    repulsion: float = weight(1, "Repulsion β", "the push between items")
    positive: float = _sharpness(1, "Positive sharpness t⁺", "far positives")
    negative: float = _sharpness(0.9, "Negative sharpness t⁻", "near negatives")
    held: bool = Field(
        False,
        title="Hold the weights",
        description="Take the weights without gradient, as the released MoCo form does.",
    )


class CACRMoCo(Params):
    kind: Literal["cacr_moco"] = "cacr_moco"
    temperature: float = temperature(1)
    cost: Literal["rbf", "euclidean"] = Field(
        "rbf",
        title="Cost",
        description="Cross-entropy of a Gaussian kernel, or one less the cosine, with weighted negatives.",
    )
    as_released: bool = Field(
        False, title="As released", description="Sum the Euclidean form over the batch, where the other is a mean."
    )


def _plan(given: Mapping[str, Tensor], p: CACR | CACRMoCo, g: Generator) -> dict[str, Tensor]:
    return {"fixed_views": given["views"]}


@loss(
    CACR,
    title="CACR (contrastive attraction and repulsion)",
    source=f"{_SOURCE}; the released small-scale code, in which a view repels the later views alone",
    origin="code",
    papers=("cacr",),
    family="contrastive",
    formula=r"\alpha\sum_{k\neq x}w_kd(z_{xi},z_{ki})^2"
    r"-\frac{2\beta}{V-1}\sum_{y>x}\sum_{j\neq i}v_jd(z_{xi},z_{yj})^2,\quad w_k\propto e^{t^+d(z_{xi},z_{ki})^2},"
    r"\;v_j\propto e^{-t^-d(z_{xi},z_{yj})^2}",
    claims=Claims(pulls=_MOVING, pushes=_MOVING, margin="it takes no margin of its own"),
    relations={
        "contrastive": "with weights in place of a margin, on any number of views",
        "alignment": "with far positives weighing more, and a push between items",
    },
    variants=({}, {"positive": 2, "negative": 0.5, "repulsion": 0.5, "held": True}),
    plan=_plan,
    planned=("fixed_views",),
    work="Every view of N items meets all V: (VN)² distances.",
)
def cacr(views: Tensor, fixed_views: Tensor, p: CACR) -> Paid:
    """Pulls the views of an item together, the farthest hardest, and pushes items apart, the nearest hardest.

    With both sharpnesses at 0 it is the mean squared distance of positives less that of negatives.

    Args:
        views: (V, B, D) V >= 2 views of each of B >= 2 items.
        fixed_views: (V, B, D) the views as they stand, without gradient; read where the weights are held.
        p: weights of the two parts, sharpness of each, whether the weights are held.

    Returns:
        Two terms per anchor, (VB,), view by view: "attraction", and "repulsion", below 0 and of the later views only.
        One (VB, VB) matrix of pairs, whose scores are minus the squared distances.
    """
    count, size = views.shape[:2]
    scores = _nearness(views)
    judged = _nearness(fixed_views) if p.held else scores
    own, judged_own = (views_of_item(x, count) for x in (scores, judged))
    itself = torch.eye(count, dtype=torch.bool, device=views.device)[:, :, None]
    toward = F.softmax(without(-p.positive * judged_own, itself), dim=1)
    attraction = -(toward * own).sum(dim=1).flatten()

    by_view, judged_by_view = (x.unflatten(1, (count, size)).unflatten(0, (count, size)) for x in (scores, judged))
    same = torch.eye(size, dtype=torch.bool, device=views.device)[:, None, :]
    role = torch.zeros(by_view.shape, dtype=torch.int8, device=views.device)
    role.diagonal(dim1=1, dim2=3).copy_(torch.where(itself, Role.EXCLUDED, Role.POSITIVE))
    repulsion = [scores.new_zeros(size)] * count
    for x in range(count - 1):
        away = F.softmax(without(p.negative * judged_by_view[x, :, x + 1 :], same), dim=2)
        repulsion[x] = (away * by_view[x, :, x + 1 :]).sum(dim=(1, 2))
        role[x, :, x + 1 :].masked_fill_(~same, Role.NEGATIVE)
    terms = {
        "attraction": Term(attraction).scaled(p.attraction),
        "repulsion": Term(torch.cat(repulsion), weight=p.repulsion * 2 / (count * (count - 1) * size)),
    }
    return Paid(terms, (Pairs(scores, role.view_as(scores)),))


@loss(
    CACRMoCo,
    title="CACR with a momentum encoder",
    source=f"{_SOURCE}; the released large-scale code",
    origin="code",
    papers=("cacr",),
    family="softmax",
    formula=r"-2\tau\sum_q\mathrm{sg}(w_{qi})"
    r"\log\frac{e^{\langle q_i,k_i\rangle/\tau}}{\sum_je^{\langle q_i,k_j\rangle/\tau}},"
    r"\quad w_{qi}=\mathrm{softmax}_q\frac{d(q_i,k_i)^2}{\tau}",
    claims=Claims(margin="it takes no margin of its own"),
    relations={"cacr": "against a teacher's keys, with weights that are held", "info_nce": "weighted over the views"},
    variants=({}, {"temperature": 0.5, "cost": "euclidean"}, {"cost": "euclidean", "as_released": True}),
    plan=_plan,
    planned=("fixed_views",),
)
def cacr_moco(views: Tensor, teacher: Tensor, fixed_views: Tensor, p: CACRMoCo) -> Paid:
    """Picks out each item's key from every view of it, and minds the view that is farthest from the key most.

    Args:
        views: (V, B, D) V views of each of B >= 2 items, the queries.
        teacher: (B, D) the key of each item, without gradient.
        fixed_views: (V, B, D) the views as they stand, without gradient: what the weights are read from.
        p: temperature, the cost, as released or not.

    Returns:
        One term per anchor, (VB,), view by view, to be summed over the views; one (VB, B) matrix of pairs.
    """
    size = len(teacher)
    keys = teacher if teacher.dtype == torch.float64 else teacher.float()
    scores, judged = (similarity(z.flatten(0, 1), keys) for z in (views, fixed_views))
    own = torch.eye(size, dtype=torch.bool, device=views.device).repeat(len(views), 1)
    far = (fixed_views.to(keys.dtype) - keys).square().sum(dim=2)
    share = F.softmax(far / p.temperature, dim=0).flatten()
    if p.cost == "rbf":
        cost = -2 * p.temperature * _own(F.log_softmax(scores / p.temperature, dim=1), own)
    else:
        near = F.softmax(without(judged / p.temperature, own), dim=1)
        cost = 1 - _own(scores, own) + (near * (scores - 1)).sum(dim=1)
    summed = p.as_released and p.cost == "euclidean"
    role = torch.where(own, int(Role.POSITIVE), int(Role.NEGATIVE)).to(torch.int8)
    return Paid({"": Term(share * cost, weight=1.0 if summed else 1 / size)}, (Pairs(scores, role),))


def _nearness(views: Tensor) -> Tensor:
    """(VB, VB) minus the squared distances among all views, view by view."""
    z = views.flatten(0, 1)
    return -distance(z, z, squared=True)


def _own(table: Tensor, own: Tensor) -> Tensor:
    """(A,) the entry of each row at its own key."""
    return table.masked_fill(~own, 0).sum(dim=1)
