"""SECLA: a bag of faces and the bag of names in its caption are to be found from each other, item by item."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import temperature, weight
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.params import Params


class SECLA(Params):
    kind: Literal["secla"] = "secla"
    temperature: float = temperature(1)
    alpha: float = weight(0.15, "Agreement α", "the square by which the two directions differ")
    agreement: Literal["diag", "full"] = Field(
        "diag", title="Agree on", description="The scores of each bag with its own tags, or with those of all bags."
    )
    as_released: bool = Field(
        False,
        title="As released",
        description="Absent items count as zero vectors, and the agreement divides both sides by the number of tags.",
    )


@loss(
    SECLA,
    title="SECLA (bags of faces and names)",
    source="Qu et al. 2023, arXiv:2210.08957, as in the released code, absent items left out",
    origin="code",
    papers=("secla",),
    family="none",
    formula=r"\begin{aligned}&-\log\frac{e^{s_{ii}/\tau}}{\sum_je^{s_{ij}/\tau}}"
    r"-\log\frac{e^{r_{ii}/\tau}}{\sum_je^{r_{ij}/\tau}}+\alpha(s_{ii}-r_{ii})^2,\\"
    r"&s_{ij}=\frac1{|T_i|}\sum_{t\in T_i}\max_{x\in X_j}\langle t,x\rangle,\quad "
    r"r_{ij}=\frac1{|X_i|}\sum_{x\in X_i}\max_{t\in T_j}\langle x,t\rangle\end{aligned}",
    relations={"clip": "between bags, scored by the best match of each member, and both directions are to agree"},
    variants=({}, {"agreement": "full", "as_released": True, "alpha": 2}),
    claims=Claims(
        pulls="the agreement lowers the larger of the two scores of a bag with its own tags",
        pushes="agreement on all scores raises the smaller of the two scores of any bag with any tags",
        margin="it takes no margin of its own",
    ),
)
def secla(
    bags: Tensor, tags: Tensor, p: SECLA, *, bag_mask: Tensor | None = None, tag_mask: Tensor | None = None
) -> Paid:
    """Matches bags of faces to bags of names from both sides, each member by its best match.

    Args:
        bags: (B, n, D) members of each bag, of any length.
        tags: (B, N, D) what the members may be, of any length; which tag belongs to which member is not said.
        p: temperature, weight and reach of the agreement, `as_released`.
        bag_mask: (B, n) which members are present, one a bag at least; without it, all.
        tag_mask: (B, N) which tags are present, one a bag at least; without it, all.

    Returns:
        Three terms per bag, (B,): `tags` find their bag, `bags` find their tags, and they `agree`. Two (B, B) matrices
        of pairs: from the tags of a row, from the members of a row.
    """
    exact = torch.promote_types(bags.dtype, torch.float32)
    x, t = bags.to(exact), tags.to(exact)
    here = torch.ones_like(x[..., 0], dtype=torch.bool) if bag_mask is None else bag_mask
    there = torch.ones_like(t[..., 0], dtype=torch.bool) if tag_mask is None else tag_mask
    if p.as_released:
        x, t = x * here[..., None], t * there[..., None]
        here, there = torch.ones_like(here), torch.ones_like(there)
    dots = torch.einsum("ind,jmd->injm", t, x)
    from_tags = dots.masked_fill(~here, -torch.inf).max(dim=3).values.transpose(1, 2)
    from_bags = dots.masked_fill(~there[:, :, None, None], -torch.inf).max(dim=1).values.transpose(0, 1)
    s = mean_of(from_tags, there)
    r = mean_of(from_bags, here)
    apart = s - (r * here.shape[1] / there.shape[1] if p.as_released else r).T
    agree = apart.diagonal().square() if p.agreement == "diag" else apart.square().mean(dim=1)
    own = torch.arange(len(x), device=x.device)
    role = diagonal_roles(len(x), len(x), x.device)
    return Paid(
        {
            "tags": Term(F.cross_entropy(s / p.temperature, own, reduction="none")),
            "bags": Term(F.cross_entropy(r / p.temperature, own, reduction="none")),
            "agree": Term(agree, weight=p.alpha / len(x)),
        },
        (Pairs(s, role), Pairs(r, role)),
    )


def mean_of(best: Tensor, present: Tensor) -> Tensor:
    """(B, B) the mean over the present members of each row of `best` (B, B, members)."""
    kept = best.masked_fill(~present[:, None, :], 0)
    return kept.sum(dim=2) / present.sum(dim=1)[:, None]
