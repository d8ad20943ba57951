"""SimLAP: any two classes may be positives of each other, seen through a gate that belongs to the pair of classes."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.fields import lead, temperature
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import less_margin
from core.paid import Paid, Pairs, Role, Term
from core.params import Params

SMALLEST = 1e-24


class HydraSimLAP(Params):
    kind: Literal["hydra_simlap"] = "hydra_simlap"
    temperature: float = temperature(0.1)
    margin: float = lead()
    partner: Literal["arbitrary", "identical", "distinct"] = Field(
        "arbitrary", title="Partner class", description="Of a random item, the own one, or a random other class."
    )


def _plan(given: Mapping[str, Tensor], p: HydraSimLAP, g: Generator) -> dict[str, Tensor]:
    labels = given["labels"]
    order = torch.randperm(len(labels), generator=g).to(labels.device)
    classes, place = labels.unique(return_inverse=True)
    step = 1 + torch.randint(max(len(classes) - 1, 1), (len(labels),), generator=g).to(labels.device)
    paired = {"arbitrary": labels[order], "identical": labels, "distinct": classes[(place + step) % len(classes)]}
    return {"partner_labels": paired[p.partner].clone()}


@loss(
    HydraSimLAP,
    title="SimLAP (arbitrary pairs, gated)",
    source="Wu et al. 2024, arXiv:2410.18200, and the released code",
    origin="code",
    papers=("hydra_simlap",),
    family="softmax",
    formula=r"\frac{1}{\sum_i|P_i|}\sum_i\sum_{j\in P_i}"
    r"\log\frac{e^{(c_{ij}-m)/\tau}+\sum_{n\in N_i}e^{c_{in}/\tau}}{e^{(c_{ij}-m)/\tau}},\quad "
    r"c_{ij}=\cos(z_i\odot g_i,z_j\odot g_i)",
    relations={"supcon": "between any two classes, by the dimensions that a gate of the pair lets through"},
    variants=({}, {"temperature": 0.5, "margin": 0.2, "partner": "identical"}),
    plan=_plan,
    planned=("partner_labels",),
)
def hydra_simlap(
    labels: Tensor, partner_labels: Tensor, a: Tensor, gate: Tensor, p: HydraSimLAP, *, margin: Tensor | None = None
) -> Paid:
    """Pulls each item to all of a partner class, in the dimensions that the two classes' gate lets through.

    Neither the other positives nor the items of the anchor's own class stand in a denominator. An item whose partner
    is its own class is a positive of itself.

    Args:
        labels: (B,) class of each item.
        partner_labels: (B,) class that each item is paired with.
        a: (B, D) embedding of each item, of any length.
        gate: (B, D) the gate of each item's pair of classes, between 0 and 1; it is applied to every candidate.
        p: temperature, margin, and how partners are drawn.
        margin: () or (B,), instead of `p.margin`.

    Returns:
        What each anchor pays for all its positives, (B,), over the count of positive pairs; (B, B) pairs.
    """
    same, partner = labels[:, None] == labels[None, :], partner_labels[:, None] == labels[None, :]
    role = torch.full(same.shape, Role.NEGATIVE, dtype=torch.int8, device=a.device)
    role.masked_fill_(same, Role.EXCLUDED).masked_fill_(partner, Role.POSITIVE)
    scores = _gated_cosine(a, gate)
    asked = less_margin(scores, partner, p.margin if margin is None else margin)
    others = log_sum(scores, role == Role.NEGATIVE, p.temperature)
    paid = torch.where(partner, F.softplus(others[:, None] - asked / p.temperature), 0).sum(dim=1)
    count = partner.sum(dtype=paid.dtype).clamp_min(1)
    return Paid({"": Term(paid, weight=1 / count)}, (Pairs(scores, role),))


def _gated_cosine(a: Tensor, gate: Tensor) -> Tensor:
    """(B, B) cosine of i and j, both through the gate of i."""
    exact = a.dtype if a.dtype == torch.float64 else torch.float32
    a, open_ = a.to(exact), gate.to(exact).square()
    length = torch.rsqrt((open_ @ a.square().T).clamp_min(SMALLEST))
    return (a * open_) @ a.T * length * length.diagonal()[:, None]
