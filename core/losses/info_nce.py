"""InfoNCE: tell each anchor's positive from the other items of the batch."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.registry import loss
from core.losses.scores import less_margin, similarity, without
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params


class InfoNCE(Params):
    kind: Literal["info_nce"] = "info_nce"
    temperature: float = temperature(0.1)
    margin: float = lead()


@loss(
    InfoNCE,
    title="InfoNCE",
    source="van den Oord et al. 2018, arXiv:1807.03748, eq. 4; margin as in CosFace, Wang et al. 2018, eq. 4",
    papers=("understanding_cl",),
    family="softmax",
    formula=r"-\log\frac{e^{(s_{ii}-m)/\tau}}{e^{(s_{ii}-m)/\tau}+\sum_{j\neq i}e^{s_{ij}/\tau}}",
    relations={
        "clip": "paid in one direction only, from a to b",
        "nt_xent": "without the other items' own views among the negatives",
        "dcl": "with the positive in the denominator",
    },
    variants=({}, {"temperature": 0.5, "margin": 0.3}),
)
def info_nce(a: Tensor, b: Tensor, p: InfoNCE, *, margin: Tensor | None = None, exclude: Tensor | None = None) -> Paid:
    """Picks out each anchor's positive among all items of the batch, one way, from a to b.

    Args:
        a: (B, D) anchors.
        b: (B, D) candidates; the positive of anchor i is candidate i.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does.

    Returns:
        One term per anchor; one (B, B) matrix of pairs.
    """
    scores = similarity(a, b)
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    positive = role == Role.POSITIVE
    logits = less_margin(scores, positive, p.margin if margin is None else margin) / p.temperature
    left_out = None if exclude is None else role == Role.EXCLUDED
    paid = -F.log_softmax(without(logits, left_out), dim=1).diagonal()
    return Paid({"": Term(paid)}, (Pairs(scores, role),))
