"""POT: NT-Xent over the nodes of a graph, with a regulariser that asks every node to be compact."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.banks import exactly
from core.losses.fields import lead, temperature
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.registry import loss
from core.paid import Paid, Term
from core.params import Params


class POTGCL(Params):
    kind: Literal["pot_gcl"] = "pot_gcl"
    temperature: float = temperature(0.7)
    regulariser: float = Field(0.4, ge=0, le=1, title="Regulariser κ", description="Share of the part on compactness.")
    margin: float = lead()


@loss(
    POTGCL,
    title="POT (provable training)",
    source="Yu et al. 2023, arXiv:2309.13944; the base loss is GRACE, Zhu et al. 2020, which is NT-Xent",
    origin="code",
    papers=("pot_gcl",),
    family="softmax",
    formula=r"-(1-\kappa)\log\frac{e^{(s_{i,i'}-m)/\tau}}{e^{(s_{i,i'}-m)/\tau}+\sum_{k\neq i,i'}e^{s_{ik}/\tau}}"
    r"+\kappa\log(1+e^{-c_i})",
    relations={"nt_xent": "with a second part that asks every node for compactness"},
    variants=({}, {"temperature": 0.3, "regulariser": 0.8, "margin": 0.2}),
    work="Both views of N items are anchors among both: (2N)² scores.",
)
def pot_gcl(
    a: Tensor,
    b: Tensor,
    compactness: Tensor,
    p: POTGCL,
    *,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Tells the nodes of two views of a graph apart, and asks for compactness of every single node.

    Args:
        a: (B, D) embedding of each node in one view.
        b: (B, D) embedding of each node in the other.
        compactness: (2, B) bound of each node's compactness in either view, as the procedure of this name makes it.
        p: temperature, share of the regulariser, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to both views of node i.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        "contrast" and "compactness", (2B,) each: first all of a, then all of b; one (2B, 2B) matrix of pairs.
    """
    asks = NTXent(temperature=p.temperature, margin=p.margin)
    told = nt_xent(a, b, asks, margin=margin, exclude=exclude)
    exact = exactly(compactness)
    terms = {
        "contrast": told.terms[""].scaled(1 - p.regulariser),
        "compactness": Term(F.softplus(-exact).flatten()).scaled(p.regulariser),
    }
    return Paid(terms, told.pairs)
