"""ArcFace: a softmax over learned class centres, with the margin on the angle."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.angular import widened
from core.losses.centres import CENTRES, centre_roles
from core.losses.fields import temperature
from core.losses.registry import loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Term
from core.params import Params


class ArcFace(Params):
    kind: Literal["arcface"] = "arcface"
    temperature: float = temperature(1 / 64)
    margin: float = Field(
        0.5, ge=0, le=1, title="Margin m", description="Added to the angle to the own class, in radians."
    )


@loss(
    ArcFace,
    title="ArcFace (additive angular margin)",
    source="Deng et al. 2019, arXiv:1801.07698, eq. 3, with s = 1/τ; past a straight angle as Liu et al. 2017 "
    "(SphereFace), arXiv:1704.08063",
    family="angular",
    formula=r"-\log\frac{e^{\cos(\theta_{iy_i}+m)/\tau}}{e^{\cos(\theta_{iy_i}+m)/\tau}+"
    r"\sum_{c\neq y_i}e^{\cos\theta_{ic}/\tau}}",
    relations={
        "cosface": "with the margin on the angle",
        "angular": "against learned centres of the classes in place of the other items",
    },
    variants=({}, {"temperature": 0.5, "margin": 1}),
    companion=CENTRES,
)
def arcface(a: Tensor, labels: Tensor, proxies: Tensor, p: ArcFace, *, margin: Tensor | None = None) -> Paid:
    """Picks out each item's class among the centres of all classes, although its own angle is counted wider.

    Args:
        a: (B, D) unit embedding of each item.
        labels: (B,) class of each item, from 0 to P - 1.
        proxies: (P, D) unit centre of each class, whether it is in the batch or not.
        p: temperature, margin in radians.
        margin: () or (B,) radians, instead of `p.margin`.

    Returns:
        One term per item, (B,); one (B, P) matrix of pairs of items and centres.
    """
    scores, place = similarity(a, proxies), labels[:, None]
    wide = p.margin if margin is None else margin.reshape(-1, 1).to(scores.dtype)
    asked = scores.scatter(1, place, widened(scores.gather(1, place), wide))
    paid = F.cross_entropy(asked / p.temperature, labels, reduction="none")
    return Paid({"": Term(paid)}, (Pairs(scores, centre_roles(labels, len(proxies))),))
