"""Proxy-Anchor: each class's proxy is an anchor, and gathers and drives off the items of the whole batch."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.centres import CENTRES, centre_roles
from core.losses.classes import share_of
from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class ProxyAnchor(Params):
    kind: Literal["proxy_anchor"] = "proxy_anchor"
    temperature: float = temperature(1 / 32)
    margin: float = Field(
        0.1, ge=0, le=1, title="Margin m", description="Taken off the positives and added to the negatives."
    )


@loss(
    ProxyAnchor,
    title="Proxy-Anchor",
    source="Kim et al. 2020, arXiv:2003.13911, eq. 4; α = 1/τ and δ = m",
    family="softmax",
    formula=r"\begin{aligned}&\frac1{|P^+|}\sum_{c\in P^+}\log\Big(1+\sum_{y_i=c}e^{-(s_{ic}-m)/\tau}\Big)\\"
    r"&+\frac1{P}\sum_c\log\Big(1+\sum_{y_i\neq c}e^{(s_{ic}+m)/\tau}\Big)\end{aligned}",
    relations={"proxy_nca": "with the proxies as anchors, so that the hardest items of the batch weigh most"},
    variants=({}, {"temperature": 0.3, "margin": 0}),
    companion=CENTRES,
)
def proxy_anchor(a: Tensor, labels: Tensor, proxies: Tensor, p: ProxyAnchor, *, margin: Tensor | None = None) -> Paid:
    """Lets each proxy pull the items of its class that are far from it and push the others that are near.

    Args:
        a: (B, D) unit embedding of each item.
        labels: (B,) class of each item, from 0 to P - 1.
        proxies: (P, D) unit proxy of each class, whether it is in the batch or not.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to item i against all proxies.

    Returns:
        Terms "pull", the mean over the classes that are in the batch, and "push", over all; each (P,). One (B, P)
        matrix of pairs of items and proxies.
    """
    scores, roles = similarity(a, proxies), centre_roles(labels, len(proxies))
    lead = p.margin if margin is None else margin.reshape(-1, 1).to(scores.dtype)
    own = (roles == Role.POSITIVE).T
    pull = F.softplus(log_sum((lead - scores).T, own, p.temperature))
    push = F.softplus(log_sum((lead + scores).T, ~own, p.temperature))
    there = share_of(own.any(dim=1), scores.dtype)
    return Paid({"pull": Term(pull, "class", there), "push": Term(push, "class")}, (Pairs(scores, roles),))
