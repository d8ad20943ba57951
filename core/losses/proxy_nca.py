"""Proxy-NCA: items are compared with one learned proxy of each class, and never with each other."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.centres import CENTRES, centre_roles
from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class ProxyNCA(Params):
    kind: Literal["proxy_nca"] = "proxy_nca"
    temperature: float = temperature(1)
    below: bool = Field(
        False,
        title="Positive below",
        description="Count the own proxy in the denominator as well, as Proxy-NCA++ does (with τ = 1/9).",
    )


@loss(
    ProxyNCA,
    title="Proxy-NCA (and Proxy-NCA++)",
    source="Movshovitz-Attias et al. 2017, arXiv:1703.07464, eq. 4; with the positive below Teh et al. 2020, "
    "arXiv:2004.01113, eq. 6",
    family="softmax",
    formula=r"-\log\frac{e^{-d_{iy_i}/\tau}}{\sum_{c\neq y_i}e^{-d_{ic}/\tau}},\quad "
    r"d_{ic}=\lVert z_i-p_c\rVert^2=2-2s_{ic}",
    relations={"cosface": "without a margin, at half the temperature and without the positive in the denominator"},
    claims=Claims(margin="it takes no margin of its own"),
    variants=({}, {"below": True, "temperature": 1 / 9}),
    companion=CENTRES,
)
def proxy_nca(a: Tensor, labels: Tensor, proxies: Tensor, p: ProxyNCA) -> Paid:
    """Moves each item to the proxy of its class and away from the proxies of the other classes.

    Args:
        a: (B, D) unit embedding of each item.
        labels: (B,) class of each item, from 0 to P - 1.
        proxies: (P, D) unit proxy of each class, whether it is in the batch or not, P >= 2.
        p: temperature, and whether the positive stands in the denominator.

    Returns:
        One term per item, (B,); one (B, P) matrix of pairs of items and proxies.
    """
    scores, roles = similarity(a, proxies), centre_roles(labels, len(proxies))
    if p.below:
        paid = F.cross_entropy(2 * scores / p.temperature, labels, reduction="none")
    else:
        own = scores.gather(1, labels[:, None])[:, 0]
        paid = log_sum(2 * scores, roles == Role.NEGATIVE, p.temperature) - 2 * own / p.temperature
    return Paid({"": Term(paid)}, (Pairs(scores, roles),))
