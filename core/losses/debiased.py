"""Debiased InfoNCE: the negatives are a mixture with a known share of positives, and that share is taken off."""

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import twice
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


def prior(default: float) -> Any:
    """A field for the chance that a negative is a positive."""
    return Field(
        default,
        ge=0,
        le=0.9,
        title="Class prior τ⁺",
        description="Share of the negatives that are of the anchor's class.",
    )


class Debiased(Params):
    kind: Literal["debiased"] = "debiased"
    temperature: float = temperature(0.5)
    tau_plus: float = prior(0.1)
    margin: float = lead()


def true_negatives(pairs: Pairs, temperature: float, tau_plus: float, beta: float = 0) -> Tensor:
    """What the negatives of each anchor would weigh in its softmax if none of them were of its class.

    The mean of e^(s/τ) over all negatives, weighed by e^(βs/τ), less τ⁺ times that of the positive, over 1 - τ⁺, times
    the number of negatives. No mean can lie below e^(-1/τ), the least of unit vectors; one that does is raised to it.

    Args:
        pairs: (A, A) scores of two views of A/2 items, as `all_pairs` makes them.
        temperature: τ.
        tau_plus: share of the negatives that are of the anchor's class, from 0 to below 1.
        beta: how much harder negatives count more, from 0.

    Returns:
        (A,) the logarithm of it; minus infinity for an anchor without negatives.
    """
    negative = pairs.role == Role.NEGATIVE
    count = negative.sum(dim=1, dtype=pairs.scores.dtype).log()
    seen = log_sum(pairs.scores, negative, temperature / (1 + beta))
    if beta:
        weights = log_sum(pairs.scores, negative, temperature / beta)
        seen = seen - (weights - count).masked_fill(count.isinf(), 0)
    if tau_plus:
        false = other_view(pairs.scores) / temperature + count + math.log(tau_plus) - seen
        left = false < 0
        rest = seen + torch.log(-torch.expm1(torch.where(left, false, -1)))
        seen = torch.where(left, rest, -torch.inf) - math.log1p(-tau_plus)
    return torch.maximum(seen, count - 1 / temperature)


@loss(
    Debiased,
    title="Debiased contrastive (InfoNCE)",
    source="Chuang et al. 2020, arXiv:2007.00224, eq. 8, with one positive; the margin is taken off the positive",
    family="softmax",
    formula=r"\begin{aligned}&-\log\frac{e^{(s_{i,i'}-m)/\tau}}{e^{(s_{i,i'}-m)/\tau}+N g_i},\\"
    r"&g_i=\max\Big\{\tfrac1{1-\tau^+}\Big(\tfrac1N\sum_{k\neq i,i'}e^{s_{ik}/\tau}-\tau^+e^{s_{i,i'}/\tau}\Big),"
    r"\,e^{-1/\tau}\Big\}\end{aligned}",
    relations={
        "nt_xent": "with the share of false negatives taken off what the negatives weigh; without it the same",
        "hcl": "with all negatives worth the same",
    },
    variants=({}, {"temperature": 0.1, "margin": 0.3}, {"tau_plus": 0.4}),
    work="Both views of N items are anchors among both: (2N)² scores.",
)
def debiased(a: Tensor, b: Tensor, p: Debiased, *, margin: Tensor | None = None, exclude: Tensor | None = None) -> Paid:
    """Picks out the other view of an item as NT-Xent does, and allows for negatives that are of its own class.

    Args:
        a: (B, D) first view of each item, unit vectors.
        b: (B, D) second view.
        p: temperature, class prior, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to both views of item i. What is taken off for false
            negatives knows no margin.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b; one (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, None, exclude)
    asked = (other_view(pairs.scores) - twice(p.margin if margin is None else margin)) / p.temperature
    return Paid({"": Term(F.softplus(true_negatives(pairs, p.temperature, p.tau_plus) - asked))}, (pairs,))
