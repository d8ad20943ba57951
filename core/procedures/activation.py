"""Activations of a sequence: how strongly each step stands out, and the steps that stand out most."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure

SOURCE = "after Li et al. 2024, arXiv:2403.09401: a reconstruction of the idea, the equations are not the authors'"
LEAST = 1e-6  # of the variance that activations are divided by: a sequence of equal steps has activations 0


class Activation(Params):
    kind: Literal["activation"] = "activation"


class StrongestSteps(Params):
    share: float = Field(0.2, gt=0, le=0.9, title="Share of points", description="How many steps are points, of all.")
    guided: Literal["both", "own"] = Field(
        "both", title="Points by", description="The sum of both sequences' activations, or each sequence its own."
    )
    against: Literal["rest", "weakest"] = Field(
        "rest", title="Told from", description="All other steps, or as many of the weakest as there are points."
    )


class Moments(StrongestSteps):
    kind: Literal["moments"] = "moments"


@procedure(
    Activation,
    title="Activation of each step",
    source=SOURCE,
    formula=r"a_t=\frac{\|R_t\|-\mathrm{mean}_u\|R_u\|}{\mathrm{std}_u\|R_u\|}",
    origin="designed",
    papers=("rasl_highlight",),
)
def activation(sequence: Tensor, p: Activation) -> Tensor:
    """Says how strongly each step stands out of its sequence: its length, standardised over the steps.

    A reconstruction of the idea, the equations are not the authors'.

    Args:
        sequence: (B, T, D) features of each step, of any length.
        p: nothing to choose.

    Returns:
        (B, T), of mean 0 and standard deviation 1 over the steps of each sequence, in float32 at least.
    """
    x = sequence if sequence.dtype == torch.float64 else sequence.float()
    length = torch.linalg.vector_norm(x, dim=-1)
    apart = length - length.mean(dim=1, keepdim=True)
    return apart / (apart.square().mean(dim=1, keepdim=True) + LEAST).sqrt()


@procedure(
    Moments,
    title="Strongest steps of two sequences",
    source=SOURCE,
    formula=r"P=\mathrm{top}_k(a_t+a'_t),\qquad k=\mathrm{round}(\text{share}\cdot T)",
    origin="designed",
    papers=("rasl_highlight",),
)
def moments(sequence: Tensor, other_sequence: Tensor, p: StrongestSteps) -> Tensor:
    """Picks the steps that stand out most, in both sequences together or in each.

    A reconstruction of the idea, the equations are not the authors'.

    Args:
        sequence: (B, T, D) features of each step, of any length.
        other_sequence: (B, T, D) those of the other modality at the same times.
        p: share of the steps, by whose activation, and what they are told from.

    Returns:
        (2, B, T) int8 for either sequence: 1 for a point, -1 for what the points are told from, 0 for neither. Two
        steps at least are points, as far as there are two.
    """
    a = torch.stack([activation(x, Activation()) for x in (sequence, other_sequence)])
    steps = a.shape[2]
    count = min(max(round(p.share * steps), 2), steps)
    told = min(count, steps - count) if p.against == "weakest" else steps - count
    order = (a.sum(dim=0).expand_as(a) if p.guided == "both" else a).argsort(dim=2, stable=True)
    found = torch.zeros(a.shape, dtype=torch.int8, device=a.device)
    return found.scatter(2, order[..., steps - count :], 1).scatter(2, order[..., :told], -1)
