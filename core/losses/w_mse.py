"""W-MSE: the views are whitened over sub-batches, so that they cannot collapse, and then only pulled together."""

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import exactly
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.params import Params

SHORTEST = 1e-3  # whitened vectors that are shorter are divided by this


class WMSE(Params):
    kind: Literal["w_mse"] = "w_mse"
    size: int = Field(
        128, ge=2, le=1024, title="Sub-batch", description="Items at least that are whitened together; fewer: all."
    )
    partitions: int = Field(1, ge=1, le=8, title="Partitions", description="How often the batch is cut anew.")
    shrink: float = Field(
        0.01,
        ge=0.001,
        le=1,
        title="Shrinkage ε",
        description="Share of the identity in every covariance; 1 only centres.",
    )


def _plan(given: Mapping[str, Tensor], p: WMSE, g: Generator) -> dict[str, Tensor]:
    drawn = torch.rand((p.partitions, given["views"].shape[1]), generator=g).argsort(dim=-1)
    return {"turns": drawn.to(given["views"].device)}


def whitened(x: Tensor, shrink: float) -> Tensor:
    """(..., n, D) each set of n vectors centred, and whitened by the Cholesky factor of its shrunk covariance."""
    centred = x - x.mean(dim=-2, keepdim=True)
    covariance = centred.mT @ centred / max(x.shape[-2] - 1, 1)
    same = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    factor = torch.linalg.cholesky(torch.lerp(covariance, same, shrink))
    return torch.linalg.solve_triangular(factor, centred.mT, upper=False).mT


def _by_parts(x: Tensor, p: WMSE) -> Tensor:
    """(V, B, D) whitened in parts of at least `size` successive items, the first of which have one more if needed."""
    parts = max(1, x.shape[1] // p.size)
    each, more = divmod(x.shape[1], parts)
    longer, rest = x.split([more * (each + 1), (parts - more) * each], dim=1)
    cut = [part.unflatten(1, (-1, size)) for part, size in ((longer, each + 1), (rest, each)) if part.shape[1]]
    return torch.cat([whitened(part, p.shrink).flatten(1, 2) for part in cut], dim=1)


@loss(
    WMSE,
    title="W-MSE (whitening)",
    source="Ermolov et al. 2021, arXiv:2007.06346, sec. 3; partitions and shrinkage as in the released code",
    origin="code",
    papers=("whitenedcse",),
    family="none",
    formula=r"\begin{aligned}&\frac2{V(V-1)}\sum_{v<w}(2-2\cos(y^v_i,y^w_i)),\\&y=L^{-1}(x-\bar x),\quad "
    r"LL^\top=(1-\varepsilon)\mathrm{cov}(x)+\varepsilon I\end{aligned}",
    claims=Claims(pushes="there are no negatives: whitening keeps the items apart", margin="it knows no margin"),
    relations={
        "whitenedcse": "with no negatives, and all dimensions whitened together, once for each sub-batch",
        "alignment": "of vectors that were whitened before, so that they cannot all be the same",
    },
    variants=({}, {"size": 2, "shrink": 0.1}, {"size": 3, "partitions": 2, "shrink": 1}),
    plan=_plan,
    planned=("turns",),
)
def w_mse(views: Tensor, turns: Tensor, p: WMSE) -> Paid:
    """Whitens every view over random sub-batches of the items, and pulls all views of an item together.

    Whitened vectors have unit variance and no correlation, which is what keeps them apart; a batch with fewer items
    than dimensions cannot be whitened but by the shrinkage.

    Args:
        views: (V, B, D) views of each item, V >= 2, B >= 2, of a length near 1.
        turns: (partitions, B) place of each item in the order that is cut into sub-batches, the same for all views.
        p: size of the sub-batches, partitions, shrinkage.

    Returns:
        One term per item, between 0 and 4, the mean over pairs of views and partitions; for each partition and pair of
        views a (B, B) matrix of cosines, of which only the positives are paid for.
    """
    x, pairs = exactly(views), []
    for turn in turns:
        white = F.normalize(_by_parts(x[:, turn.argsort()], p)[:, turn], dim=-1, eps=SHORTEST)
        for one, other in combinations(white, 2):
            pairs.append(Pairs(similarity(one, other), diagonal_roles(len(one), len(other), x.device)))
    near = torch.stack([each.scores.diagonal() for each in pairs]).mean(dim=0)
    return Paid({"": Term(2 - 2 * near)}, tuple(pairs))
