"""LCO-Emb: InfoNCE with hard negatives, in which every anchor also meets the hard negatives of all others."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.registry import loss
from core.losses.scores import less_margin, similarity, without
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params


class LCOEmb(Params):
    kind: Literal["lco_emb"] = "lco_emb"
    temperature: float = temperature(0.03)
    margin: float = lead()


@loss(
    LCOEmb,
    title="LCO-Emb (hard negatives of all)",
    source="Xiao et al. 2025, arXiv:2510.11693, the contrastive refinement of the released code",
    origin="code",
    papers=("lco_emb",),
    family="softmax",
    formula=r"-\log\frac{e^{(s_{ii}-m)/\tau}}{e^{(s_{ii}-m)/\tau}+\sum_{j\neq i}e^{s_{ij}/\tau}"
    r"+\sum_{j,k}e^{\langle a_i,n_{jk}\rangle/\tau}}",
    relations={"info_nce": "with the hard negatives of all anchors among the candidates"},
    variants=({}, {"temperature": 0.5, "margin": 0.3}),
    work="N anchors meet N positives and the K hard negatives of all: N x N(1 + K) scores.",
)
def lco_emb(
    a: Tensor, b: Tensor, negatives: Tensor, p: LCOEmb, *, margin: Tensor | None = None, exclude: Tensor | None = None
) -> Paid:
    """Picks out each anchor's positive among the positives and the hard negatives of everyone, one way.

    Args:
        a: (B, D) anchors.
        b: (B, D) their positives.
        negatives: (B, K, D) hard negatives of each anchor.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive and the hard negatives always do.

    Returns:
        One term per anchor; one (B, B + BK) matrix of pairs: first the positives, then the negatives item by item.
    """
    scores = similarity(a, torch.cat([b, negatives.flatten(0, 1)]))
    extra = scores.shape[1] - len(b)
    role = barred(
        diagonal_roles(*scores.shape, a.device), None if exclude is None else F.pad(exclude, (0, extra), value=False)
    )
    positive = role == Role.POSITIVE
    logits = less_margin(scores, positive, p.margin if margin is None else margin) / p.temperature
    left_out = None if exclude is None else role == Role.EXCLUDED
    paid = -F.log_softmax(without(logits, left_out), dim=1).diagonal()
    return Paid({"": Term(paid)}, (Pairs(scores, role),))
