"""Sample4Geo: symmetric InfoNCE with smoothed labels; its batches are made of neighbours (`neighbour_batches`)."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import temperature
from core.losses.learned_scale import learned, learned_temperature
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.params import Params


class Sample4Geo(Params):
    kind: Literal["sample4geo"] = "sample4geo"
    temperature: float = temperature(0.07)
    smoothing: float = Field(
        0.1, ge=0, le=1, title="Label smoothing ε", description="Share of the target that all candidates have alike."
    )
    learned: bool = learned()


@loss(
    Sample4Geo,
    title="Sample4Geo (smoothed symmetric InfoNCE)",
    source="Deuser et al. 2023, arXiv:2303.11851, with the label smoothing of the released training scripts",
    origin="code",
    papers=("sample4geo",),
    family="none",
    formula=r"-\tfrac12\Big((1-\varepsilon)\log p_{ii}+\tfrac\varepsilon B\sum_j\log p_{ij}"
    r"+(1-\varepsilon)\log q_{ii}+\tfrac\varepsilon B\sum_j\log q_{ji}\Big),\quad "
    r"p_{ij}=\frac{e^{s_{ij}/\tau}}{\sum_ke^{s_{ik}/\tau}},\ q_{ji}=\frac{e^{s_{ji}/\tau}}{\sum_ke^{s_{ki}/\tau}}",
    relations={"clip": "with smoothed labels; without smoothing it is the same"},
    learned=learned_temperature,
    variants=({}, {"temperature": 0.5, "smoothing": 0.3}, {"learned": True}),
    claims=Claims(
        pulls="a positive is pushed once it has more than the share that smoothing leaves it",
        pushes="smoothing pulls a negative whose share of the softmax is below its target",
        margin="it takes no margin: beyond the smoothed target, a larger lead would be cheaper",
    ),
)
def sample4geo(a: Tensor, b: Tensor, p: Sample4Geo, *, temperature: Tensor | None = None) -> Paid:
    """Matches a to b and b to a as CLIP does, and stops short of certainty.

    Args:
        a: (B, D) items in one view.
        b: (B, D) the same items in the other.
        p: temperature, label smoothing, whether the temperature is learned.
        temperature: () learned temperature, instead of `p.temperature`.

    Returns:
        Two terms per anchor, each worth half of its mean; one (B, B) matrix of pairs.
    """
    scores = similarity(a, b)
    logits = scores / (p.temperature if temperature is None else temperature)

    def paid(dim: int) -> Tensor:
        share = F.log_softmax(logits, dim=dim)
        return -(1 - p.smoothing) * share.diagonal() - p.smoothing * share.mean(dim=dim)

    half = 0.5 / len(a)
    return Paid(
        {"a_to_b": Term(paid(1), weight=half), "b_to_a": Term(paid(0), weight=half)},
        (Pairs(scores, diagonal_roles(len(a), len(b), a.device)),),
    )
