"""MoCo: InfoNCE whose negatives are keys kept from earlier batches, so that their number is not the batch's."""

from typing import Literal

from torch import Tensor

from core.losses.banks import beside, first_cost
from core.losses.fields import lead, temperature
from core.losses.registry import loss
from core.paid import Paid, Term
from core.params import Params


class MoCo(Params):
    kind: Literal["moco"] = "moco"
    temperature: float = temperature(0.07)
    margin: float = lead()


@loss(
    MoCo,
    title="MoCo (queue of keys)",
    source="He et al. 2020, arXiv:1911.05722, eq. 1",
    origin="recalled",
    papers=("mochi", "feature_transform", "interclr", "hiclr"),
    family="softmax",
    formula=r"-\log\frac{e^{(s_i-m)/\tau}}{e^{(s_i-m)/\tau}+\sum_{k\in Q}e^{s_{ik}/\tau}}",
    relations={"info_nce": "with kept keys in place of the rest of the batch"},
    variants=({}, {"temperature": 0.3, "margin": 0.2}),
)
def moco(a: Tensor, teacher: Tensor, bank: Tensor, p: MoCo, *, margin: Tensor | None = None) -> Paid:
    """Pulls each anchor to the teacher's view of it and pushes it from keys of earlier batches.

    Args:
        a: (B, D) embedding of each anchor.
        teacher: (B, D) its key, without gradient.
        bank: (K, D) keys of earlier batches, without gradient.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`.

    Returns:
        One term per anchor, (B,); (B, 1 + K) pairs, the key first.
    """
    pairs = beside(a, teacher, bank)
    return Paid({"": Term(first_cost(pairs, p.temperature, p.margin if margin is None else margin))}, (pairs,))
