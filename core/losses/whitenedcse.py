"""WhitenedCSE: shuffled group whitening of every view, then InfoNCE of the first view against each other."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.fields import lead, temperature
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.registry import loss
from core.paid import Paid, joined
from core.params import Params
from core.procedures.group_whitening import centred, whitening_matrix

SHORTEST = 1e-3


class WhitenedCSE(Params):
    kind: Literal["whitenedcse"] = "whitenedcse"
    temperature: float = temperature(0.05)
    margin: float = lead()
    channels: int = Field(6, ge=1, le=128, title="Channels per group", description="How many are whitened together.")
    shuffle: bool = Field(True, title="Shuffle", description="Draws the groups anew for every view and batch.")
    whiten_grad: Literal["stop", "full"] = Field(
        "stop",
        title="Gradient of the matrix",
        description="Whether the whitening matrix is held fixed, as released, or takes part in the gradient.",
    )
    floor: float = Field(
        1e-5, ge=1e-6, le=0.1, title="Floor of the variance", description="Smaller variances are treated as this large."
    )


def _plan(given: Mapping[str, Tensor], p: WhitenedCSE, g: Generator) -> dict[str, Tensor]:
    views = given["views"]
    count, _, size = views.shape
    drawn = torch.rand((count, size), generator=g).argsort(dim=-1)
    orders = (drawn if p.shuffle else torch.arange(size).expand(count, size)).to(views.device)
    return {"channel_orders": orders, "whitening": whitening_matrix(views, orders, p.channels, p.floor)}


@loss(
    WhitenedCSE,
    title="WhitenedCSE (shuffled group whitening)",
    source="Zhuo et al. 2023, arXiv:2305.17746; with a shuffle for each view, as the paper means it",
    origin="code",
    papers=("whitenedcse",),
    family="softmax",
    formula=r"\sum_{v>1}-\log\frac{e^{(s^v_{ii}-m)/\tau}}{e^{(s^v_{ii}-m)/\tau}+\sum_{j\neq i}e^{s^v_{ij}/\tau}},\quad "
    r"s^v_{ij}=\cos(W_1\bar x^1_i,W_v\bar x^v_j)",
    relations={"info_nce": "of whitened views, the first against each of the others"},
    variants=({}, {"whiten_grad": "full", "channels": 2, "margin": 0.2, "temperature": 0.5}),
    plan=_plan,
    planned=("channel_orders", "whitening"),
)
def whitenedcse(
    views: Tensor, channel_orders: Tensor, whitening: Tensor, p: WhitenedCSE, *, margin: Tensor | None = None
) -> Paid:
    """Whitens every view in groups of channels, then finds each item's other views by its first.

    Args:
        views: (V, B, D) views of each item, V >= 2, of any length; the first is the anchor.
        channel_orders: (V, D) order of the channels in which they are cut into groups.
        whitening: (V, D, D) matrices held fixed; with the full gradient they are made anew from the views.
        p: temperature, margin, channels per group, and how the matrix takes part.
        margin: () or (B,), instead of `p.margin`.

    Returns:
        A term for each view but the first, named by its place: (B,); a (B, B) matrix of pairs for each.
    """
    x = centred(views)
    full = p.whiten_grad == "full"
    matrix = whitening_matrix(views, channel_orders, p.channels, p.floor) if full else whitening.to(x.dtype)
    first, *others = F.normalize(x @ matrix, dim=-1, eps=SHORTEST)
    asks = InfoNCE(temperature=p.temperature, margin=p.margin)
    return joined((str(v), info_nce(first, other, asks, margin=margin)) for v, other in enumerate(others, 1))
