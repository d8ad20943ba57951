"""How hard a reranking loss moves each candidate, and whether it moves the yes alone or its lead over the no."""

import math
from dataclasses import dataclass

from torch import Tensor

from core.diagnostics.arrays import Array, rows
from core.diagnostics.registry import diagnostic


@dataclass(frozen=True)
class Moves:
    """Each candidate's weight and direction (Q, N), and what a query's candidates take on average.

    `weight` is how hard the yes is moved. `against_no` is how hard the no is moved the other way, as a share of it: 0
    where the yes alone is moved, 1 where its lead over the no is; NaN where nothing is moved. `positive` is the mean
    weight of the relevant candidates, `negative` that of all others, `together` what a query's others take in all.
    """

    weight: Tensor
    against_no: Tensor
    positive: float
    negative: float
    together: float


@diagnostic(
    "weight_and_direction",
    title="Weight and direction",
    source="Dai et al. 2026, arXiv:2510.14824: a reranking gradient is a weight times a direction",
    values="weight 0 (nothing to be done) to 1; against the no 0 (the yes alone) to 1 (its lead over the no)",
    chance="at equal logits of N, softmax: 1 - 1/N for the relevant one, 1/N for others; yes or no: ½ for each",
    papers=("sft_vs_cl",),
)
def weight_and_direction(yes: Array, no: Array) -> Moves:
    """Weight and direction of each candidate's part in a gradient.

    Args:
        yes: (Q, N) gradient of what the queries pay, added up, at the logits of yes; the relevant candidate first.
        no: (Q, N) the same at the logits of no.

    Raises:
        ValueError: if the shapes differ, or a query has no irrelevant candidate.
    """
    of_yes, of_no = rows(yes), rows(no)
    if of_yes.shape != of_no.shape:
        raise ValueError(f"got gradients of shapes {tuple(of_yes.shape)} and {tuple(of_no.shape)}; give one for each")
    if of_yes.shape[1] < 2:
        raise ValueError("got one candidate a query where a relevant and another one are needed; give at least two")
    weight = of_yes.abs()
    against = -of_no / of_yes.where(weight > 0, math.nan)
    others = weight[:, 1:]
    return Moves(weight, against, float(weight[:, 0].mean()), float(others.mean()), float(others.sum(dim=1).mean()))
