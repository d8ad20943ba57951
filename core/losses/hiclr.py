"""HiCLR: views of growing strength, each of which follows the next weaker one's distribution over key and bank."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import beside, log_share
from core.losses.fields import lead, temperature, weight
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params

_SOFT = "a stronger view is to match the weaker one's distribution, not to win"


class HiCLR(Params):
    kind: Literal["hiclr"] = "hiclr"
    temperature: float = temperature(0.07)
    margin: float = lead()
    follow: float = weight(0.5, "Following", "the stronger views' terms")
    nearest: int = Field(
        0, ge=0, le=16, title="Mined neighbours", description="Nearest of the bank to each view, taken as positives."
    )


def _plan(given: Mapping[str, Tensor], p: HiCLR, g: Generator) -> dict[str, Tensor]:
    views, bank = given["views"], given["bank"]
    near = similarity(views.flatten(0, 1), bank).topk(min(p.nearest, len(bank)), dim=1).indices
    places = near.unflatten(0, views.shape[:2]).transpose(0, 1).flatten(1)
    mined = torch.zeros(views.shape[1], len(bank), dtype=torch.bool, device=bank.device)
    return {"fixed_views": views, "neighbours": mined.scatter(1, places, True)}


@loss(
    HiCLR,
    title="HiCLR (hierarchy of views)",
    source="Zhang et al. 2023, arXiv:2211.13466; the released code",
    origin="code",
    papers=("hiclr",),
    family="softmax",
    formula=r"-\log P(k\mid v_0)-\tfrac12\sum_{u\ge1}\sum_{c}\mathrm{sg}\,P(c\mid v_{u-1})\log P(c\mid v_u),\quad "
    r"P(c\mid v)\propto e^{\langle v,c\rangle/\tau}",
    claims=Claims(pulls=_SOFT, pushes=_SOFT),
    relations={"moco": "and each stronger view follows the next weaker one"},
    variants=({}, {"temperature": 0.3, "margin": 0.2, "follow": 1.0, "nearest": 1}),
    plan=_plan,
    planned=("fixed_views", "neighbours"),
)
def hiclr(
    views: Tensor,
    teacher: Tensor,
    bank: Tensor,
    fixed_views: Tensor,
    neighbours: Tensor,
    p: HiCLR,
    *,
    margin: Tensor | None = None,
) -> Paid:
    """Pulls the weakest view to its key and lets each stronger view imitate the next weaker one.

    Args:
        views: (V, B, D) views of each item, from the weakest to the strongest.
        teacher: (B, D) the key of each item, without gradient.
        bank: (K, D) keys of earlier batches, without gradient.
        fixed_views: (V, B, D) the views as they stand, without gradient: what a stronger one follows.
        neighbours: (B, K) entries of the bank that are positives of the weakest view beside its key.
        p: temperature, margin, weight of the following, mined neighbours.
        margin: () or (B,), instead of `p.margin`; asked of the weakest view alone.

    Returns:
        "info" (B,) of the weakest view, "follow.1", ... (B,) of the stronger ones; (B, 1 + K) pairs of each view.
    """
    seen = [beside(view, teacher, bank) for view in views]
    weakest = Pairs(seen[0].scores, _with_mined(seen[0].role, neighbours))
    positive = weakest.role == Role.POSITIVE
    share = log_share(weakest, p.temperature, p.margin if margin is None else margin)
    terms = {"info": Term(-share.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1))}
    for number, (stronger, weaker) in enumerate(zip(seen[1:], fixed_views, strict=False), start=1):
        target = log_share(beside(weaker, teacher, bank), p.temperature).exp()
        cost = -(target * log_share(stronger, p.temperature)).sum(dim=1)
        terms[f"follow.{number}"] = Term(cost).scaled(p.follow)
    return Paid(terms, (weakest, *seen[1:]))


def _with_mined(role: Tensor, neighbours: Tensor) -> Tensor:
    own = torch.zeros_like(neighbours[:, :1])
    return role.masked_fill(torch.cat([own, neighbours], dim=1), Role.POSITIVE)
