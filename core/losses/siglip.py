"""SigLIP: every pair of the batch is judged on its own, pair or no pair, by a sigmoid."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.registry import Learned, loss
from core.losses.scores import less_margin, similarity, without
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params


class SigLIP(Params):
    kind: Literal["siglip"] = "siglip"
    temperature: float = temperature(0.1)
    bias: float = Field(
        -10, ge=-20, le=20, title="Bias b", description="Added to every logit; below 0 it expects few pairs."
    )
    margin: float = lead()
    learned: bool = Field(False, title="Learn τ and b", description="Train both along, from here, as the paper does.")


def _learned(p: SigLIP) -> Mapping[str, Learned]:
    found = {
        "temperature": Learned(p.temperature, low=0.01, high=5),
        "bias": Learned(p.bias, low=-20, high=20, space="linear"),
    }
    return found if p.learned else {}


@loss(
    SigLIP,
    title="SigLIP (sigmoid pairwise)",
    source="Zhai et al. 2023, arXiv:2303.15343, alg. 1; the margin is taken off the positive",
    family="logistic",
    formula=r"\log\left(1+e^{-(s_{ii}-m)/\tau-b}\right)+\sum_{j\neq i}\log\left(1+e^{s_{ij}/\tau+b}\right)",
    relations={"clip": "each pair judged alone, with no softmax over the batch"},
    learned=_learned,
    variants=({}, {"temperature": 0.5, "bias": 0, "margin": 0.3}, {"learned": True}),
)
def siglip(
    a: Tensor,
    b: Tensor,
    p: SigLIP,
    *,
    margin: Tensor | None = None,
    temperature: Tensor | None = None,
    bias: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Asks of each pair alone whether it belongs together: yes on the diagonal, no everywhere else.

    Args:
        a: (B, D) items in one modality.
        b: (B, D) the same items in the other.
        p: temperature, bias, margin, whether the first two are learned.
        margin: () or (B,), instead of `p.margin`.
        temperature: () learned temperature, instead of `p.temperature`.
        bias: () learned bias, instead of `p.bias`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does.

    Returns:
        One term per anchor: its positive and the sum over its negatives; one (B, B) matrix of pairs.
    """
    scores = similarity(a, b)
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    positive = role == Role.POSITIVE
    asked = less_margin(scores, positive, p.margin if margin is None else margin)
    logits = asked / (p.temperature if temperature is None else temperature) + (p.bias if bias is None else bias)
    doubt = without(torch.where(positive, -logits, logits), None if exclude is None else role == Role.EXCLUDED)
    return Paid({"": Term(F.softplus(doubt).sum(dim=1))}, (Pairs(scores, role),))
