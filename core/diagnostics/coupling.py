"""How far the positive in InfoNCE's denominator weakens all that an anchor learns."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from core.diagnostics.registry import diagnostic
from core.paid import Pairs, Role

Temperature = Annotated[
    float, Field(ge=0.01, le=5, title="Temperature τ", description="Temperature of the softmax over the candidates.")
]


@diagnostic(
    "coupling",
    title="Negative-positive coupling q",
    source="Yeh et al. 2022, arXiv:2110.06848: the factor common to all gradients of an anchor; derived anew",
    origin="recalled",
    papers=("dcl",),
    values="0 (the anchor learns nothing) to 1 (no coupling, as in DCL)",
    chance="1 - 1 / C with C candidates of equal score",
)
def coupling(pairs: Pairs, *, temperature: Temperature = 0.1) -> Tensor:
    """(A,) by which factor InfoNCE's gradient of each anchor is DCL's: the softmax share of all but the positive.

    Args:
        pairs: scores and roles, (A, C), each anchor with a positive.
        temperature: of the softmax.

    Returns:
        (A,) 0 for an anchor without negatives.
    """
    logits = pairs.scores.detach() / temperature
    logits = logits.masked_fill(pairs.role == Role.EXCLUDED, -torch.inf)
    others = logits.masked_fill(pairs.role == Role.POSITIVE, -torch.inf)
    return (others.logsumexp(dim=1) - logits.logsumexp(dim=1)).exp()


def variation(values: Tensor) -> float:
    """Coefficient of variation of positive numbers: standard deviation (over n) in units of their mean."""
    sd, mean = torch.std_mean(values.detach().double(), correction=0)
    return float(sd / mean.clamp_min(torch.finfo(mean.dtype).tiny))
