"""CosFace: a softmax over learned class centres, with the margin on the cosine."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.centres import CENTRES, centre_roles
from core.losses.fields import temperature
from core.losses.registry import loss
from core.losses.scores import less_margin, similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class CosFace(Params):
    kind: Literal["cosface"] = "cosface"
    temperature: float = temperature(1 / 64)
    margin: float = Field(0.35, ge=0, le=1, title="Margin m", description="Taken off the cosine of the own class.")


@loss(
    CosFace,
    title="CosFace (AM-Softmax)",
    source="Wang et al. 2018, arXiv:1801.09414, eq. 4 (large margin cosine), with s = 1/τ; AM-Softmax, "
    "arXiv:1801.05599, is the same; without a margin NormFace, arXiv:1704.06369, the “normalized softmax”",
    family="softmax",
    formula=r"-\log\frac{e^{(s_{iy_i}-m)/\tau}}{e^{(s_{iy_i}-m)/\tau}+\sum_{c\neq y_i}e^{s_{ic}/\tau}},\quad "
    r"s_{ic}=\cos\theta_{ic}",
    relations={"info_nce": "against learned centres of the classes in place of the other items"},
    variants=({}, {"temperature": 0.5, "margin": 0}),
    companion=CENTRES,
)
def cosface(a: Tensor, labels: Tensor, proxies: Tensor, p: CosFace, *, margin: Tensor | None = None) -> Paid:
    """Picks out each item's class among the centres of all classes, although its own cosine is counted lower.

    Args:
        a: (B, D) unit embedding of each item.
        labels: (B,) class of each item, from 0 to P - 1.
        proxies: (P, D) unit centre of each class, whether it is in the batch or not.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`.

    Returns:
        One term per item, (B,); one (B, P) matrix of pairs of items and centres.
    """
    scores, roles = similarity(a, proxies), centre_roles(labels, len(proxies))
    asked = less_margin(scores, roles == Role.POSITIVE, p.margin if margin is None else margin)
    return Paid({"": Term(F.cross_entropy(asked / p.temperature, labels, reduction="none"))}, (Pairs(scores, roles),))
