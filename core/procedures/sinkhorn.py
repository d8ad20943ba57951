"""Equal assignment of samples to prototypes by Sinkhorn's alternating normalisation."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class Sinkhorn(Params):
    kind: Literal["sinkhorn"] = "sinkhorn"
    epsilon: float = Field(0.05, ge=1e-5, le=5, title="Smoothing ε", description="Smaller makes the assignment harder.")
    iterations: int = Field(10, ge=1, le=1000, title="Iterations", description="Rounds of both normalisations.")
    assign_sign: Literal["paper", "official"] = Field(
        "paper", title="Sign", description="Official prefers the farthest prototype, as the released code does."
    )


@procedure(
    Sinkhorn,
    title="Sinkhorn assignment",
    source="Poulakakis-Daktylidis and Jamali-Rad 2024, arXiv:2402.02444, DyCE; Cuturi 2013, arXiv:1306.0895",
    formula=r"Q\propto\mathrm{diag}(u)\,e^{-d/\varepsilon}\,\mathrm{diag}(v),\quad Q\mathbf 1=\mathbf 1,\;"
    r"\mathbf 1^\top Q=\tfrac NK",
    origin="code",
    papers=("beclr",),
)
def sinkhorn(distance: Tensor, p: Sinkhorn) -> Tensor:
    """Shares every sample out among prototypes that all receive about as much.

    Computed with logarithms, so that no smoothing is too small; the released code raises ε by 0.1 where it overflows.

    Args:
        distance: (N, K) of each sample to each prototype.
        p: smoothing, iterations, sign.

    Returns:
        (N, K) shares; each row adds up to 1, each column nearly to N / K. A sample belongs to the largest of its row.
    """
    logits = (distance if p.assign_sign == "official" else -distance) / p.epsilon
    for _ in range(p.iterations):
        logits = logits - torch.logsumexp(logits, dim=0, keepdim=True)
        logits = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    return logits.exp()
