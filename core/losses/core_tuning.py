"""Core-tuning's focal SupCon: the less sure a positive still is, the more it weighs."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.classes import same_class, share_of
from core.losses.fields import lead, temperature
from core.losses.registry import Claims, loss
from core.losses.scores import less_margin, similarity, without
from core.paid import Paid, Pairs, Role, Term, barred
from core.params import Params


class CoreTuning(Params):
    kind: Literal["core_tuning"] = "core_tuning"
    temperature: float = temperature(0.07)
    margin: float = lead()
    as_released: bool = Field(
        False, title="As released", description="Average over all items of the batch rather than over the positives."
    )


@loss(
    CoreTuning,
    title="Focal SupCon (Core-tuning)",
    source="Zhang et al. 2021, arXiv:2102.06605, and the released code",
    origin="recalled",
    papers=("core_tuning",),
    family="softmax",
    formula=r"\frac{-1}{|P(i)|}\sum_{q\in P(i)}(1-p_{iq})\log p_{iq},\quad "
    r"p_{iq}=\frac{e^{(s_{iq}-m)/\tau}}{\sum_{k\neq i}e^{(s_{ik}-m[k\in P(i)])/\tau}}",
    relations={"supcon": "of one view, each positive weighed by what it lacks of the whole softmax"},
    claims=Claims(
        pulls="a positive that already leads the others of its class shares the softmax with them and is pushed"
    ),
    variants=({}, {"as_released": True, "temperature": 0.5, "margin": 0.2}),
)
def core_tuning(
    a: Tensor, labels: Tensor, p: CoreTuning, *, margin: Tensor | None = None, exclude: Tensor | None = None
) -> Paid:
    """Pulls items of a class together, hardest where they are still far, and pushes the other classes away.

    Args:
        a: (B, D) embedding of each item.
        labels: (B,) class of each item.
        p: temperature, margin, and whether to average as the released code does.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (anchor, candidate) that take no part; a positive always does.

    Returns:
        One term per anchor, (B,), averaged over the anchors that have a positive; one (B, B) matrix of pairs.
    """
    positive, other = same_class(labels)
    kind = torch.where(positive, Role.POSITIVE, torch.where(other, Role.NEGATIVE, Role.EXCLUDED)).to(torch.int8)
    pairs = Pairs(similarity(a, a), barred(kind, exclude))
    asked = less_margin(pairs.scores, positive, p.margin if margin is None else margin) / p.temperature
    out = pairs.role == Role.EXCLUDED
    alone = out.all(dim=1, keepdim=True)
    log_share = F.log_softmax(torch.where(alone, 0, without(asked, out)), dim=1).masked_fill(~positive, 0)
    cost = (torch.expm1(log_share) * log_share).sum(dim=1)
    count = positive.sum(dim=1)
    paid = cost / (len(a) if p.as_released else count.clamp_min(1))
    return Paid({"": Term(paid, weight=share_of(count > 0, paid.dtype))}, (pairs,))
