"""HCL: debiased InfoNCE whose negatives count the more the harder they are."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.debiased import prior, true_negatives
from core.losses.fields import lead, temperature
from core.losses.registry import Claims, loss
from core.losses.scores import twice
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Term
from core.params import Params


class HCL(Params):
    kind: Literal["hcl"] = "hcl"
    temperature: float = temperature(0.5)
    beta: float = Field(1, ge=0, le=5, title="Hardness β", description="Larger counts hard negatives more; 0 is equal.")
    tau_plus: float = prior(0.1)
    margin: float = lead()


@loss(
    HCL,
    title="Hard-negative contrastive (HCL, InfoNCE)",
    source="Robinson et al. 2021, arXiv:2010.04592, sec. 3; the gradient of the weights as in the released "
    "code; the margin is taken off the positive",
    origin="code",
    family="softmax",
    formula=r"\begin{aligned}&-\log\frac{e^{(s_{i,i'}-m)/\tau}}{e^{(s_{i,i'}-m)/\tau}+N g_i},\\"
    r"&g_i=\max\Big\{\tfrac1{1-\tau^+}\Big(\frac{\sum_k e^{(1+\beta)s_{ik}/\tau}}{\sum_k e^{\beta s_{ik}/\tau}}"
    r"-\tau^+e^{s_{i,i'}/\tau}\Big),\,e^{-1/\tau}\Big\}\end{aligned}",
    claims=Claims(pushes="the weights carry a gradient, which can pull a negative that is easier than the others"),
    relations={
        "debiased": "with negatives weighed by hardness",
        "nt_xent": "with negatives weighed by hardness, and the share of false ones taken off",
        "hard_contrastive": "weighs every negative by its hardness, where that one drops all but the hardest",
    },
    variants=({}, {"beta": 3, "temperature": 0.2, "margin": 0.3}, {"tau_plus": 0, "beta": 0.5}),
    work="Both views of N items are anchors among both: (2N)² scores, summed with two weights.",
)
def hcl(a: Tensor, b: Tensor, p: HCL, *, margin: Tensor | None = None, exclude: Tensor | None = None) -> Paid:
    """Picks out the other view of an item among negatives that count the more the nearer they are to it.

    Args:
        a: (B, D) first view of each item, unit vectors.
        b: (B, D) second view.
        p: temperature, hardness, class prior, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to both views of item i.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b; one (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, None, exclude)
    asked = (other_view(pairs.scores) - twice(p.margin if margin is None else margin)) / p.temperature
    others = true_negatives(pairs, p.temperature, p.tau_plus, p.beta)
    return Paid({"": Term(F.softplus(others - asked))}, (pairs,))
