"""How a softmax shares its push among the negatives of an anchor, by how near they are."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from core.diagnostics.registry import diagnostic
from core.paid import Pairs, Role

_SOURCE = "Wang and Liu 2021, arXiv:2012.09740"
Temperature = Annotated[
    float, Field(ge=0.01, le=5, title="Temperature τ", description="Smaller gives the hardest negatives more.")
]


@diagnostic(
    "relative_penalty",
    title="Relative penalty",
    source=_SOURCE,
    origin="recalled",
    papers=("understanding_cl",),
    values="0 to 1; those of an anchor add up to 1",
    chance="one share of the number of negatives each, where all score the same",
)
def relative_penalty(pairs: Pairs, *, temperature: Temperature = 0.1) -> Tensor:
    """(A, C) push of InfoNCE on each negative in units of the pull on the anchor's positive.

    Args:
        pairs: scores and roles, (A, C).
        temperature: of the softmax.

    Returns:
        (A, C) 0 for what is no negative, and for all of an anchor that has none.
    """
    negative = pairs.role >= Role.NEGATIVE
    logits = (pairs.scores.detach() / temperature).masked_fill(~negative, -torch.inf)
    return logits.softmax(dim=1).masked_fill(~negative, 0)


@diagnostic(
    "effective_negatives",
    title="Effective number of negatives",
    source=f"{_SOURCE}; exp of the entropy of the relative penalty",
    origin="recalled",
    papers=("understanding_cl",),
    values="1 (all push on one negative) to their number (an equal push); 0 for an anchor without negatives",
    chance="the number of negatives, where all score the same",
)
def effective_negatives(pairs: Pairs, *, temperature: Temperature = 0.1) -> Tensor:
    """(A,) how many negatives an equal push would have to be shared by to be as spread out as each anchor's is.

    It never falls as the temperature rises.

    Args:
        pairs: scores and roles, (A, C).
        temperature: of the softmax.
    """
    share = relative_penalty(pairs, temperature=temperature)
    some = (pairs.role >= Role.NEGATIVE).any(dim=1)
    return torch.special.entr(share).sum(dim=1).exp() * some
