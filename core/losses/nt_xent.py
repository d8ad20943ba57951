"""NT-Xent: each view picks out its other view among all other views of the batch."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import twice
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Role, Term
from core.params import Params


class NTXent(Params):
    kind: Literal["nt_xent"] = "nt_xent"
    temperature: float = temperature(0.5)
    margin: float = lead()


@loss(
    NTXent,
    title="NT-Xent (SimCLR)",
    source="Chen et al. 2020, arXiv:2002.05709, eq. 1",
    family="softmax",
    formula=r"-\log\frac{e^{(s_{i,i'}-m)/\tau}}{e^{(s_{i,i'}-m)/\tau}+\sum_{k\neq i,i'}e^{s_{ik}/\tau}}",
    relations={
        "info_nce": "with the other items' own views among the negatives",
        "dcl": "with the positive in the denominator",
        "supcon": "without labels: each item is a class of its own",
    },
    variants=({}, {"temperature": 0.1, "margin": 0.3}),
    work="Both views of N items are anchors among both: (2N)² scores.",
)
def nt_xent(a: Tensor, b: Tensor, p: NTXent, *, margin: Tensor | None = None, exclude: Tensor | None = None) -> Paid:
    """Picks out the other view of an item among both views of all items.

    Args:
        a: (B, D) first view of each item.
        b: (B, D) second view.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to both views of item i.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b; one (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, None, exclude)
    asked = (other_view(pairs.scores) - twice(p.margin if margin is None else margin)) / p.temperature
    others = log_sum(pairs.scores, pairs.role == Role.NEGATIVE, p.temperature)
    return Paid({"": Term(F.softplus(others - asked))}, (pairs,))
