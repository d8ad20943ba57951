"""Prototypes of a few labelled items, moved to where the unlabelled ones lie."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure


class Transport(Params):
    kind: Literal["transport"] = "transport"
    epsilon: float = Field(
        0.05, ge=0.001, le=5, title="Smoothing ε", description="Smaller sends each query to fewer prototypes."
    )
    iterations: int = Field(1000, ge=1, le=10000, title="Iterations", description="Most rounds of a plan.")
    tolerance: float = Field(
        1e-4, ge=0, le=1, title="Tolerance", description="A plan is done when its potentials move by less than this."
    )
    passes: int = Field(
        1, ge=1, le=20, title="Passes", description="How often the prototypes are moved, 5 for one shot."
    )
    kept: float = Field(
        0,
        ge=0,
        le=1,
        title="Kept share",
        description="Share of the old prototypes in the new ones, 0.3 for five shots.",
    )


@procedure(
    Transport,
    title="Transported prototypes (OpTA)",
    source="Poulakakis-Daktylidis and Jamali-Rad 2024, arXiv:2402.02444, OpTA",
    formula=r"\hat P=\mathrm{rownorm}(\pi)\,X,\quad\pi=\arg\min_{\pi\in U}\langle\pi,C\rangle-\varepsilon H(\pi),\;"
    r"C_{kj}=\frac{\|P_k-x_j\|^2}{\max\|P-x\|^2}",
    origin="code",
    papers=("beclr",),
)
def transport(prototypes: Tensor, queries: Tensor, p: Transport) -> Tensor:
    """Moves each prototype to the mean of the queries that optimal transport sends to it.

    Args:
        prototypes: (K, D), of features standardised as the queries.
        queries: (Q, D) unlabelled features of the same classes, about as many of each.
        p: smoothing, when to stop, passes, and what is kept.

    Returns:
        (K, D) the new prototypes.
    """
    for _ in range(p.passes):
        plan = transport_plan(prototypes, queries, p)
        moved = (plan / plan.sum(dim=1, keepdim=True)) @ queries
        prototypes = (1 - p.kept) * moved + p.kept * prototypes
    return prototypes


def transport_plan(prototypes: Tensor, queries: Tensor, p: Transport) -> Tensor:
    """(K, Q) how much goes from each prototype to each query, 1 in all; both sides are met in equal parts."""
    cost = torch.cdist(prototypes, queries, compute_mode="donot_use_mm_for_euclid_dist").square()
    kernel = -cost / cost.max().clamp_min(torch.finfo(cost.dtype).tiny) / p.epsilon
    rows, columns = kernel.new_zeros(len(prototypes), 1), kernel.new_zeros(1, len(queries))
    for _ in range(p.iterations):
        before = rows
        rows = -math.log(len(prototypes)) - torch.logsumexp(kernel + columns, dim=1, keepdim=True)
        columns = -math.log(len(queries)) - torch.logsumexp(kernel + rows, dim=0, keepdim=True)
        if p.epsilon * float((rows - before).abs().sum()) < p.tolerance:
            break
    return (kernel + rows + columns).exp()


class Standardisation(Params):
    kind: Literal["standardisation"] = "standardisation"


@procedure(
    Standardisation,
    title="Standardised features",
    source="Poulakakis-Daktylidis and Jamali-Rad 2024, arXiv:2402.02444, the released code",
    formula=r"\frac{x-\mathrm{mean}(x)}{\mathrm{std}(x)}",
    origin="code",
    papers=("beclr",),
)
def standardised(x: Tensor, p: Standardisation) -> Tensor:
    """Gives the coordinates of each row (N, D) mean 0 and standard deviation 1; a row without spread becomes 0."""
    centred = x - x.mean(dim=1, keepdim=True)
    return centred / centred.std(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).eps)
