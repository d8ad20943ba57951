"""CLIP: each item finds its other modality, in both directions, by one shared temperature."""

from collections.abc import Mapping
from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.registry import Learned, loss
from core.losses.scores import less_margin, similarity, without
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params


class Clip(Params):
    kind: Literal["clip"] = "clip"
    temperature: float = temperature(0.07)
    margin: float = lead()
    learned: bool = Field(False, title="Learn τ", description="Train the temperature along, from this start.")


def _learned(p: Clip) -> Mapping[str, Learned]:
    return {"temperature": Learned(p.temperature, low=0.01, high=5)} if p.learned else {}


@loss(
    Clip,
    title="CLIP (symmetric InfoNCE)",
    source="Radford et al. 2021, arXiv:2103.00020, fig. 3",
    family="softmax",
    formula=r"-\tfrac12\log\frac{e^{(s_{ii}-m)/\tau}}{\sum_je^{(s_{ij}-m[i=j])/\tau}}"
    r"-\tfrac12\log\frac{e^{(s_{ii}-m)/\tau}}{\sum_je^{(s_{ji}-m[i=j])/\tau}}",
    relations={"info_nce": "paid in both directions"},
    learned=_learned,
    variants=({}, {"temperature": 0.3, "margin": 0.2}, {"learned": True}),
)
def clip(
    a: Tensor,
    b: Tensor,
    p: Clip,
    *,
    margin: Tensor | None = None,
    temperature: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Matches a to b and b to a: the mean of InfoNCE along the rows and along the columns of one score matrix.

    Args:
        a: (B, D) items in one modality.
        b: (B, D) the same items in the other.
        p: temperature, margin, whether the temperature is learned.
        margin: () or (B,), instead of `p.margin`; entry i belongs to the pair i in both directions.
        temperature: () learned temperature, instead of `p.temperature`.
        exclude: (B, B) pairs (a_i, b_j) that take no part in either direction; a positive always does.

    Returns:
        Two terms per anchor, each worth half of its mean; one (B, B) matrix of pairs.
    """
    scores = similarity(a, b)
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    asked = less_margin(scores, role == Role.POSITIVE, p.margin if margin is None else margin)
    left_out = None if exclude is None else role == Role.EXCLUDED
    logits = without(asked / (p.temperature if temperature is None else temperature), left_out)
    half = 0.5 / len(a)
    return Paid(
        {
            "a_to_b": Term(-F.log_softmax(logits, dim=1).diagonal(), weight=half),
            "b_to_a": Term(-F.log_softmax(logits, dim=0).diagonal(), weight=half),
        },
        (Pairs(scores, role),),
    )
