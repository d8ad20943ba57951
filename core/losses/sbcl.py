"""SBCL: SupCon at two grains, within subclasses of about equal size and, more softly, within classes."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.classes import mean_over
from core.losses.fields import temperature, weight
from core.losses.log_sums import log_sum_and_mean
from core.losses.registry import Claims, loss
from core.losses.two_views import all_pairs
from core.paid import Paid, Role, Term
from core.params import Params


class SBCL(Params):
    kind: Literal["sbcl"] = "sbcl"
    temperature: float = temperature(0.1)
    base_temperature: float = Field(
        0.07, ge=0.01, le=5, title="Base temperature", description="The subclass term is scaled by τ over this."
    )
    gamma: float = weight(0.25, "Weight of the class γ", "the term over classes")
    form: Literal["rank", "plain"] = Field(
        "rank",
        title="Form of the class term",
        description="rank: other subclasses only, with the class's temperature; plain: SupCon over the class.",
    )


@loss(
    SBCL,
    title="SBCL (subclass-balancing)",
    source="Hou et al. 2023, arXiv:2306.15925, and the released code",
    origin="code",
    papers=("sbcl",),
    family="softmax",
    formula=r"-\frac{\tau}{\tau_b|S_i|}\sum_{q\in S_i}\log\frac{e^{s_{iq}/\tau}}{\sum_{k\neq i}e^{s_{ik}/\tau}}"
    r"-\frac{\gamma}{|C_i|}\sum_{q\in C_i}"
    r"\log\frac{e^{s_{iq}/\tau_c}}{\sum_{k\notin S_i\setminus i'}e^{s_{ik}/\tau_c}}",
    relations={"supcon": "first within subclasses, then within classes"},
    claims=Claims(
        pulls="a positive that already leads the others of its class shares the softmax with them and is pushed",
        margin="it takes no margin of its own",
    ),
    variants=({}, {"form": "plain", "temperature": 0.5, "gamma": 1.0}),
    work="Both views of N items are anchors among both, (2N)² scores, in two softmaxes.",
)
def sbcl(
    a: Tensor, b: Tensor, labels: Tensor, clusters: Tensor, p: SBCL, *, item_temperature: Tensor | None = None
) -> Paid:
    """Pulls subclasses together, so that large classes do not outweigh small ones, and classes more weakly.

    Args:
        a: (B, D) first view of each item.
        b: (B, D) second view.
        labels: (B,) class of each item.
        clusters: (B,) cluster of each item; a subclass is what shares both class and cluster.
        p: temperatures, weight and form of the class term.
        item_temperature: (B,) temperature of each item's class, without gradient, instead of `p.temperature` in the
            class term of the form "rank".

    Returns:
        Terms "subclass" and "class", (2B,) each: first all of a, then all of b. One (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, labels)
    place = torch.arange(len(a), device=a.device).repeat(2)
    group, inner = labels.repeat(2), clusters.repeat(2)
    itself = pairs.role == Role.EXCLUDED
    own = (place[:, None] == place[None, :]) & ~itself
    same = (group[:, None] == group[None, :]) & ~itself
    sub = same & (inner[:, None] == inner[None, :])
    every, pull = log_sum_and_mean(pairs.scores, ~itself, sub, p.temperature)
    fine = every - pull / p.temperature
    if p.form == "plain":
        coarse = every - mean_over(pairs.scores, same) / p.temperature
    else:
        tau = p.temperature if item_temperature is None else item_temperature.to(every.dtype).repeat(2)
        hidden = itself | (sub & ~own)
        every, pull = log_sum_and_mean(pairs.scores, ~hidden, same & ~hidden, tau)
        coarse = every - pull / tau
    terms = {
        "subclass": Term(fine).scaled(p.temperature / p.base_temperature),
        "class": Term(coarse).scaled(p.gamma),
    }
    return Paid(terms, (pairs,))
