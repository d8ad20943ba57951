"""PCL-SR: feature maps of a restored image against sharp ones and blurred ones, and the critic that makes them."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.banks import exactly
from core.losses.fields import temperature
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Role, Term
from core.params import Params

SHORTEST = 1e-2


class PCLSR(Params):
    kind: Literal["pcl_sr"] = "pcl_sr"
    temperature: float = temperature(1.0)
    decoupled: bool = Field(False, title="Decoupled", description="Leaves the positive out of the denominator.")


@loss(
    PCLSR,
    title="PCL-SR (contrast of feature maps)",
    source="Wu, Jiang & Liu 2023, arXiv:2111.13924; with the gradient that the released update cuts off",
    origin="code",
    papers=("pcl_sr",),
    family="softmax",
    formula=r"\frac1P\sum_p-\log\frac{e^{s_{ip}/\tau}}{e^{s_{ip}/\tau}+\sum_q e^{s_{iq}/\tau}},\quad "
    r"s=\mathrm{mean}_{hw}\cos(x_{hw},y_{hw})",
    relations={"info_nce": "of whole maps, each positive alone against the item's own negatives"},
    claims=Claims(margin="it takes no margin of its own"),
    variants=({}, {"decoupled": True, "temperature": 0.5}),
)
def pcl_sr(maps: Tensor, near_maps: Tensor, far_maps: Tensor, p: PCLSR) -> Paid:
    """Draws the feature map of a restored image to sharp versions of it and away from blurred ones.

    Args:
        maps: (B, C, H, W) features of each restored image.
        near_maps: (N, B, C, H, W) features of its sharp versions.
        far_maps: (K, B, C, H, W) features of its blurred versions.
        p: temperature, 1 in the paper, and whether the positive stays out of the denominator.

    Returns:
        One term per item, (B,); (B, N + K) pairs, the sharp ones first.
    """
    x, near, far = (F.normalize(exactly(z), dim=-3, eps=SHORTEST) for z in (maps, near_maps, far_maps))
    scores = torch.cat([(x * z).sum(dim=-3).mean(dim=(-2, -1)).T for z in (near, far)], dim=1)
    asked = scores / p.temperature
    positive, negative = asked.split([len(near), len(far)], dim=1)
    rest = torch.logsumexp(negative, dim=1, keepdim=True)
    paid = (rest - positive) if p.decoupled else F.softplus(rest - positive)
    role = torch.full(scores.shape, Role.NEGATIVE, dtype=torch.int8, device=scores.device)
    role[:, : len(near)] = Role.POSITIVE
    return Paid({"": Term(paid.mean(dim=1))}, (Pairs(scores, role),))


class DualContrast(Params):
    kind: Literal["dual_contrast"] = "dual_contrast"


@loss(
    DualContrast,
    title="Dual contrast (of a critic)",
    source="Yu et al. 2021, arXiv:2103.16748; as Wu, Jiang & Liu 2023, arXiv:2111.13924, train their critic",
    origin="code",
    papers=("pcl_sr",),
    family="logistic",
    formula=r"-\log\frac{e^{r_i}}{e^{r_i}+\sum_je^{f_j}}\quad\text{and}\quad "
    r"-\log\frac{e^{-f_j}}{e^{-f_j}+\sum_ie^{-r_i}}",
    relations={"bpr": "against all others at once, and from both sides"},
    claims=Claims(
        pulls="every pair is of a real and a made item, and none belongs together",
        margin="it takes no margin of its own",
    ),
)
def dual_contrast(real_logits: Tensor, made_logits: Tensor, p: DualContrast) -> Paid:
    """Lets a critic tell every real item from all made ones, and every made item from all real ones.

    Args:
        real_logits: (A,) the critic's logits r of sharp images, or of patches of them.
        made_logits: (K,) its logits f of restored and blurred ones.
        p: nothing to set.

    Returns:
        Two terms: "real" (A,) and "made" (K,), the mean of each; (A, K) pairs f_j - r_i, all negative.
    """
    scores = exactly(made_logits)[None, :] - exactly(real_logits)[:, None]
    role = torch.full(scores.shape, Role.NEGATIVE, dtype=torch.int8, device=scores.device)
    real, made = (F.softplus(torch.logsumexp(scores, dim=dim)) for dim in (1, 0))
    return Paid({"real": Term(real), "made": Term(made, "pair")}, (Pairs(scores, role),))
