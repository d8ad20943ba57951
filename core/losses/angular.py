"""Angular InfoNCE: the positive has to win although its angle is counted larger than it is."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import temperature
from core.losses.registry import loss
from core.losses.scores import similarity, without
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params

EDGE = 1e-6  # a cosine counts as at least this far from 1 and -1, where the angle has an infinite slope


class Angular(Params):
    kind: Literal["angular"] = "angular"
    temperature: float = temperature(0.1)
    margin: float = Field(
        0.2, ge=0, le=1, title="Margin m", description="Added to the angle of the positive, in radians."
    )


def widened(cosine: Tensor, margin: Tensor | float) -> Tensor:
    """The cosine of an angle that is `margin` radians wider; past a straight angle -2 - cos, so that it still falls.

    It is the cosine itself plus the change, so that a margin of 0 changes nothing and the slope is finite everywhere.
    """
    angle = torch.acos(cosine.clamp(-1 + EDGE, 1 - EDGE))
    wide = angle + margin
    return cosine + torch.where(wide > math.pi, -2 - torch.cos(wide), torch.cos(wide)) - torch.cos(angle)


@loss(
    Angular,
    title="Angular InfoNCE (ArcFace margin)",
    source="Deng et al. 2019 (ArcFace), arXiv:1801.07698, eq. 3, over the batch in place of class centres; past a "
    "straight angle as Liu et al. 2017 (SphereFace), arXiv:1704.08063",
    family="angular",
    formula=r"-\log\frac{e^{\cos(\theta_{ii}+m)/\tau}}{e^{\cos(\theta_{ii}+m)/\tau}+\sum_{j\neq i}e^{s_{ij}/\tau}}",
    relations={"info_nce": "with the margin on the angle of the positive"},
    variants=({}, {"temperature": 0.5, "margin": 1}),
)
def angular(a: Tensor, b: Tensor, p: Angular, *, margin: Tensor | None = None, exclude: Tensor | None = None) -> Paid:
    """Picks out each anchor's positive among all items, with the angle to the positive widened by the margin.

    Args:
        a: (B, D) unit anchors.
        b: (B, D) unit candidates; the positive of anchor i is candidate i.
        p: temperature, margin in radians.
        margin: () or (B,) radians, instead of `p.margin`.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does.

    Returns:
        One term per anchor; one (B, B) matrix of pairs.
    """
    scores = similarity(a, b)
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    own = scores.diagonal()
    asked = scores + torch.diag(widened(own, p.margin if margin is None else margin) - own)
    logits = without(asked / p.temperature, None if exclude is None else role == Role.EXCLUDED)
    return Paid({"": Term(-F.log_softmax(logits, dim=1).diagonal())}, (Pairs(scores, role),))
