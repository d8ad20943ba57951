"""Contrastive search: the next token is to be likely, and unlike all that was said before."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class ContrastiveSearch(Params):
    kind: Literal["contrastive_search"] = "contrastive_search"
    penalty: float = Field(
        0.6, ge=0, le=1, title="Penalty α", description="Weight of the likeness to earlier tokens; 0 is greedy."
    )


@procedure(
    ContrastiveSearch,
    title="Contrastive search (one step)",
    source="Su and Collier 2023, arXiv:2210.14140; the released code",
    formula=r"(1-\alpha)\,p(v\mid x_{<t})-\alpha\max_{j<t}\cos(h_v,h_{x_j})",
    origin="code",
    papers=("contrastive_search",),
)
def contrastive_search(context: Tensor, candidates: Tensor, probability: Tensor, p: ContrastiveSearch) -> Tensor:
    """Scores the candidates for the next token by how likely each is, less its likeness to an earlier token.

    Args:
        context: (B, T, D) hidden states of the tokens so far, of any length.
        candidates: (B, K, D) hidden state that each candidate would have.
        probability: (B, K) of each candidate, not renormalised over the K.
        p: weight of the likeness.

    Returns:
        (B, K) scores; the largest is taken.
    """
    likeness = F.normalize(candidates, dim=-1) @ F.normalize(context, dim=-1).mT
    return (1 - p.penalty) * probability - p.penalty * likeness.amax(dim=-1)
