"""AMCL: several heads, each pair under each head with a temperature of its own, against the nearest negative."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from core.losses.fields import weight
from core.losses.registry import Claims, Companion, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term, diagonal_roles
from core.params import Params


class AMCL(Params):
    kind: Literal["amcl"] = "amcl"
    beta: float = weight(0.1, "Regulariser β", "what holds the temperatures")
    count: int = Field(3, ge=1, le=8, title="Heads C", description="How many heads a run makes and learns.")
    low: float = Field(0.05, ge=0.05, le=0.5, title="Least τ", description="The heads' temperatures stay above it.")
    high: float = Field(2, ge=0.5, le=5, title="Largest τ", description="The heads' temperatures stay below it.")
    soft: bool = Field(
        False, title="All negatives", description="Log-sum-exp over the negatives instead of the nearest alone."
    )


class Heads(nn.Module):
    """Heads for both sides, and the temperature of every pair under every head, from what the head makes of both.

    A head and the network of the temperatures, which all heads share, have one hidden layer, D wide.
    """

    def __init__(self, count: int, dimensions: int, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(dimensions, dimensions), nn.ReLU(), nn.Linear(dimensions, dimensions))
            for _ in range(count)
        )
        self.own, self.other = (nn.Linear(dimensions, dimensions, bias=bias) for bias in (True, False))
        self.last = nn.Linear(dimensions, 1)

    def forward(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`heads` and `other_heads` (C, B, D) of `a` and `b` (B, D), and `pair_temperatures` (C, B, B)."""
        a, b = (torch.stack([F.normalize(head(given[side]), dim=1) for head in self.heads]) for side in ("a", "b"))
        hidden = torch.relu(self.own(a)[:, :, None] + self.other(b)[:, None, :])
        share = torch.sigmoid(self.last(hidden)[..., 0])
        temperatures = self.low + (self.high - self.low) * share
        return {"heads": a, "other_heads": b, "pair_temperatures": temperatures}


def _heads(p: AMCL, sizes: Mapping[str, int]) -> nn.Module:
    return Heads(p.count, sizes["D"], p.low, p.high)


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
    companion=Companion(_heads, makes=("heads", "other_heads", "pair_temperatures"), eats=("a", "b")),
)
def amcl(heads: Tensor, other_heads: Tensor, pair_temperatures: Tensor, p: AMCL) -> Paid:
    """Pulls pairs together under every head, as far as each pair's own temperature asks, and pushes the nearest.

    Nothing below bounds it: as a negative's temperature goes to 0, so may what is paid to minus infinity. The
    temperatures that a run makes are therefore 0.05 or more; the released code allows 0.00001.

    Args:
        heads: (C, B, D) embedding of each anchor under each head, B >= 2.
        other_heads: (C, B, D) embedding of each anchor's positive under the same heads.
        pair_temperatures: (C, B, B) temperature of each anchor with each candidate, above 0.
        p: weight of the regulariser, which negatives take part, and how many heads a run has, with which temperatures.

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
