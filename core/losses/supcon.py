"""SupCon: NT-Xent in which every item of the same class is a positive."""

from typing import Literal

from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.log_sums import log_sum_and_mean
from core.losses.registry import Claims, loss
from core.losses.scores import less_margin, twice
from core.losses.two_views import all_pairs
from core.paid import Paid, Role, Term
from core.params import Params


class SupCon(Params):
    kind: Literal["supcon"] = "supcon"
    temperature: float = temperature(0.1)
    margin: float = lead()


@loss(
    SupCon,
    title="SupCon (supervised)",
    source="Khosla et al. 2020, arXiv:2004.11362, eq. 2 (L_out)",
    family="softmax",
    formula=r"\frac{-1}{|P(i)|}\sum_{q\in P(i)}"
    r"\log\frac{e^{(s_{iq}-m)/\tau}}{\sum_{k\neq i}e^{(s_{ik}-m[k\in P(i)])/\tau}}",
    relations={"nt_xent": "with every item of the same class as a positive"},
    variants=({}, {"temperature": 0.5, "margin": 0.2}),
    claims=Claims(
        pulls="a positive that already leads the others of its class shares the softmax with them and is pushed"
    ),
    work="Both views of N items are anchors among both: (2N)² scores.",
)
def supcon(
    a: Tensor, b: Tensor, labels: Tensor, p: SupCon, *, margin: Tensor | None = None, exclude: Tensor | None = None
) -> Paid:
    """Pulls all items of a class together and pushes the other classes away.

    Args:
        a: (B, D) first view of each item.
        b: (B, D) second view.
        labels: (B,) class of each item.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to all positives of both views of item i.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b; one (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, labels, exclude)
    positive = pairs.role == Role.POSITIVE
    asked = less_margin(pairs.scores, positive, twice(p.margin if margin is None else margin))
    every, own = log_sum_and_mean(asked, pairs.role != Role.EXCLUDED, positive, p.temperature)
    return Paid({"": Term(every - own / p.temperature)}, (pairs,))
