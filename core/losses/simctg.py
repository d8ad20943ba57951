"""SimCTG: the tokens of a sequence are to keep apart from one another by a margin."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.banks import exactly
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class SimCTG(Params):
    kind: Literal["simctg"] = "simctg"
    margin: float = Field(
        0.5, ge=0, le=1, title="Margin ρ", description="Two tokens pay when they are closer than 1 less this."
    )


@loss(
    SimCTG,
    title="SimCTG (tokens kept apart)",
    source="Su et al. 2022, arXiv:2202.06417; the released code",
    origin="code",
    papers=("contrastive_search",),
    family="hinge",
    formula=r"\sum_{j\neq i}\max(0,\;\rho-s_{ii}+s_{ij})",
    claims=Claims(
        pulls="a token's own positive is itself, at similarity 1",
        pushes="its pairs are of tokens, and none can be left out by naming items",
    ),
    variants=({}, {"margin": 0.8}),
)
def simctg(sequence: Tensor, p: SimCTG, *, mask: Tensor | None = None, margin: Tensor | None = None) -> Paid:
    """Pushes the tokens of one sequence apart until no two are closer than the margin allows.

    Args:
        sequence: (B, T, D) unit embedding of each token.
        p: margin.
        mask: (B, T) which tokens are present; all by default.
        margin: () or (B,), instead of `p.margin`; entry i belongs to sequence i.

    Returns:
        One term per token, (T B,), step by step, divided by the number of pairs in the batch; a (T B, T) matrix of
        each token's pairs with all tokens of its sequence.
    """
    z = exactly(sequence)
    size, steps = z.shape[:2]
    scores = torch.einsum("btd,bsd->tbs", z, z).reshape(steps * size, steps)
    here = torch.ones(z.shape[:2], dtype=torch.bool, device=z.device) if mask is None else mask.bool()
    itself = torch.eye(steps, dtype=torch.bool, device=z.device)[:, None, :]
    paired = (here.T[:, :, None] & here[None, :, :] & ~itself).reshape(steps * size, steps)
    lead = p.margin if margin is None else margin
    asked = lead.expand(size).repeat(steps)[:, None] if isinstance(lead, Tensor) else lead
    own = z.square().sum(dim=2).T.reshape(-1, 1)
    short = F.relu(asked - own + scores)
    role = paired.to(torch.int8) * int(Role.NEGATIVE)
    count = paired.sum().clamp_min(1).to(z.dtype)
    pairs = Pairs(scores, role)
    return Paid({"": Term(short.masked_fill(~paired, 0).sum(dim=1), weight=1 / count)}, (pairs,))
