"""SimLAP: any two classes may be positives of each other, seen through a gate that belongs to the pair of classes."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn

from core.losses.fields import lead, temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Companion, loss
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
    fuse: bool = Field(
        True, title="Fuse the pair", description="One gate from the mean of both classes, else the product of two."
    )


def _plan(given: Mapping[str, Tensor], p: HydraSimLAP, g: Generator) -> dict[str, Tensor]:
    labels = given["labels"]
    if p.partner == "identical":
        return {"partner_labels": labels.clone()}
    if p.partner == "arbitrary":
        return {"partner_labels": labels[torch.randperm(len(labels), generator=g).to(labels.device)]}
    classes, place = labels.unique(return_inverse=True)
    step = 1 + torch.randint(max(len(classes) - 1, 1), (len(labels),), generator=g).to(labels.device)
    return {"partner_labels": classes[(place + step) % len(classes)]}


class Gates(nn.Module):
    """A gate for each pair of classes, whichever comes first, from a learned embedding of each class.

    It is as wide against the D dimensions of the gate as in the released code: 2 D, then 4 D. Both layers are
    normalised over the batch, always over the one at hand.
    """

    def __init__(self, classes: int, dimensions: int, fuse: bool) -> None:
        super().__init__()
        width, self.fuse = 2 * dimensions, fuse
        self.classes = nn.Embedding(classes, width)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.BatchNorm1d(width, track_running_stats=False),
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.BatchNorm1d(2 * width, track_running_stats=False),
            nn.Linear(2 * width, dimensions),
        )

    def forward(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`gate` (B, D), of `labels` (B,) with `partner_labels` (B,)."""
        own, other = self.classes(given["labels"]), self.classes(given["partner_labels"])
        if self.fuse:
            return {"gate": torch.sigmoid(self.layers((own + other) / 2))}
        return {"gate": torch.sigmoid(self.layers(own)) * torch.sigmoid(self.layers(other))}


def _gates(p: HydraSimLAP, sizes: Mapping[str, int]) -> nn.Module:
    return Gates(sizes["P"], sizes["D"], p.fuse)


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
    variants=({}, {"temperature": 0.5, "margin": 0.2, "partner": "identical"}, {"fuse": False}),
    plan=_plan,
    planned=("partner_labels",),
    companion=Companion(_gates, makes=("gate",), eats=("labels", "partner_labels")),
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
        p: temperature, margin, how partners are drawn, and how their gate is made in a run.
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
