"""The bonus of an upper confidence bound: how little of a direction of the features has been visited."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class UCBBonus(Params):
    kind: Literal["ucb_bonus"] = "ucb_bonus"
    factor: float = Field(1, ge=0, le=100, title="Factor γ", description="How much is given for what is unknown.")
    regulariser: float = Field(
        1, ge=1e-5, le=100, title="Regulariser λ", description="Visits that every direction counts as having had."
    )
    most: float | None = Field(
        None, ge=0.01, le=1000, title="Horizon H", description="No bonus is larger; none for no bound."
    )


@procedure(
    UCBBonus,
    title="UCB bonus",
    source="Qiu et al. 2022, arXiv:2207.14800",
    formula=r"\beta(s,a)=\min\Big(\gamma\sqrt{\phi^\top\Lambda^{-1}\phi},\,H\Big),\quad "
    r"\Lambda=\lambda I+\sum_{\text{visited}}\phi\phi^\top",
    origin="code",
    papers=("contrastive_ucb",),
)
def ucb_bonus(features: Tensor, visited: Tensor, p: UCBBonus) -> Tensor:
    """Rewards a state and action for how much of its features no visit has covered yet.

    Λ is never formed: its root is a triangle out of the visits themselves, so that no bonus is the root of a number
    below 0. The released code starts from λ = 1e-5 and sets the bonuses that come out so to 0.

    Args:
        features: (n, D) of the states and actions to be judged.
        visited: (m, D) of all visits so far, m >= 0, a repeated one each time.
        p: factor, regulariser, largest bonus.

    Returns:
        (n,) bonuses, in float32 at least, from 0 to `factor` times the length of the features over the root of λ.
    """
    x, seen = (z if z.dtype == torch.float64 else z.float() for z in (features, visited))
    size = x.shape[1]
    first = p.regulariser**0.5 * torch.eye(size, dtype=x.dtype, device=x.device)
    root = torch.linalg.qr(torch.cat([first, seen.to(x.dtype)]), mode="r").R
    bonus = p.factor * torch.linalg.solve_triangular(root.mT, x.mT, upper=False).norm(dim=0)
    return bonus if p.most is None else bonus.clamp(max=p.most)
