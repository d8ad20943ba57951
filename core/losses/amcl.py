"""AMCL: several heads, each pair under each head with a temperature of its own, against the nearest negative."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.losses.fields import weight
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term, diagonal_roles
from core.params import Params


class AMCL(Params):
    kind: Literal["amcl"] = "amcl"
    beta: float = weight(0.1, "Regulariser β", "what holds the temperatures")
    soft: bool = Field(
        False, title="All negatives", description="Log-sum-exp over the negatives instead of the nearest alone."
    )


@loss(
    AMCL,
    title="AMCL (adaptive heads)",
    source="Wang et al. 2024, arXiv:2310.05615, the table of losses",
    papers=("amcl",),
    family="softmax",
    formula=r"\sum_c\Big[-\frac{s^c_{ii}}{\tau^c_{ii}}+\frac{s^c_{in}}{\tau^c_{in}}"
    r"+\beta\Omega(\tau^c_{ii})-\beta\Omega(\tau^c_{in})\Big],\quad n=\arg\max_{k\neq i}s^c_{ik},\;"
    r"\Omega(\tau)=\tfrac D2\log\tau+\tfrac1\tau",
    relations={"info_nce": "under several heads, with a temperature for each pair and the nearest negative alone"},
    claims=Claims(margin="it takes no margin of its own"),
    variants=({}, {"soft": True, "beta": 0.5}),
)
def amcl(heads: Tensor, other_heads: Tensor, pair_temperatures: Tensor, p: AMCL) -> Paid:
    """Pulls pairs together under every head, as far as each pair's own temperature asks, and pushes the nearest.

    Nothing below bounds it: as a negative's temperature goes to 0, so may what is paid to minus infinity. Keep
    temperatures at 0.05 or more.

    Args:
        heads: (C, B, D) embedding of each anchor under each head, B >= 2.
        other_heads: (C, B, D) embedding of each anchor's positive under the same heads.
        pair_temperatures: (C, B, B) temperature of each anchor with each candidate, above 0.
        p: weight of the regulariser, and which negatives take part.

    Returns:
        Terms "pairs" and "temperatures", (B,) each, summed over the heads. A (B, B) matrix of pairs for each head.
    """
    exact = heads.dtype if heads.dtype == torch.float64 else torch.float32
    pairs, compared, held = [], [], []
    for a, b, temperatures in zip(heads, other_heads, pair_temperatures.to(exact), strict=True):
        scores = similarity(a, b)
        role = diagonal_roles(*scores.shape, scores.device)
        pairs.append(Pairs(scores, role))
        logits = scores / temperatures
        nearest = scores.masked_fill(role != Role.NEGATIVE, -torch.inf).argmax(dim=1, keepdim=True)
        one = logits.gather(1, nearest)[:, 0]
        far = torch.logsumexp(logits.masked_fill(role != Role.NEGATIVE, -torch.inf), dim=1) if p.soft else one
        compared.append(far - logits.diagonal())
        omega = heads.shape[-1] / 2 * temperatures.log() + 1 / temperatures
        held.append(omega.diagonal() - omega.gather(1, nearest)[:, 0])
    terms = {
        "pairs": Term(torch.stack(compared).sum(dim=0)),
        "temperatures": Term(torch.stack(held).sum(dim=0)).scaled(p.beta),
    }
    return Paid(terms, tuple(pairs))
