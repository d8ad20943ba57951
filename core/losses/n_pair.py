"""N-pair: the positive against all others in one softmax of plain inner products, with the lengths held short."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.candidates import exact, pairs_of
from core.losses.fields import lead
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.paid import Paid, Role, Term
from core.params import Params


class NPair(Params):
    kind: Literal["n_pair"] = "n_pair"
    l2: float = Field(
        0.002, ge=0, le=1, title="Length λ", description="Weight of the squared lengths; constant for unit vectors."
    )
    margin: float = lead()


@loss(
    NPair,
    title="N-pair (multi-class, (N+1)-tuplet)",
    source="Sohn 2016, Improved deep metric learning with multi-class N-pair loss objective, NIPS; the margin is added",
    origin="recalled",
    family="softmax",
    formula=r"\log\Big(1+\sum_{j\neq i}e^{s_{ij}-s_{ii}+m}\Big)"
    r"+\lambda\left(\lVert a_i\rVert^2+\lVert b_i\rVert^2\right)",
    relations={
        "info_nce": "at temperature 1, with the lengths held short in place of unit vectors",
        "bpr": "against all negatives in one logarithm, not each in its own",
    },
    variants=({}, {"l2": 0.1, "margin": 0.3}, {"l2": 0}),
)
def n_pair(
    a: Tensor,
    b: Tensor,
    p: NPair,
    *,
    negatives: Tensor | None = None,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Asks each anchor to be closer to its positive than to those of all other pairs at once.

    Sohn draws N pairs of N classes. Where two pairs are of one class, `exclude` keeps them apart.

    Args:
        a: (B, D) anchors, of any length.
        b: (B, D) positives.
        p: weight of the lengths, margin.
        negatives: (B, K, D) each anchor's own negatives, the (N+1)-tuplet; without them, the other items' positives.
        margin: () or (B,), instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does, and own negatives are not touched.

    Returns:
        Two terms per anchor: "tuplet", and "length", the squared lengths of anchor and positive; one matrix of pairs,
        (B, B) or (B, 1 + K).
    """
    pairs, positive = pairs_of(a, b, negatives, exclude)
    asked = positive - (p.margin if margin is None else margin)
    paid = F.softplus(log_sum(pairs.scores, pairs.role == Role.NEGATIVE) - asked)
    length = exact(a).square().sum(dim=1) + exact(b).square().sum(dim=1)
    return Paid({"tuplet": Term(paid), "length": Term(length).scaled(p.l2)}, (pairs,))
