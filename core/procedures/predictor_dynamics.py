"""How a trained linear predictor and its teacher move, mode by mode of the features, and where they come to rest."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure

_SOURCE = "Tian et al. 2021, arXiv:2102.06810, sec. 3"


class Surroundings(Params):
    noise: float = Field(0.2, ge=0, le=10, title="Noise σ²", description="What augmentation adds to a unit variance.")
    decay: float = Field(0.05, ge=0, le=1, title="Weight decay η", description="Of the network and of the predictor.")


class PredictorDynamics(Surroundings):
    kind: Literal["predictor_dynamics"] = "predictor_dynamics"
    rate: float = Field(1, ge=0.01, le=100, title="Rate α", description="Of the predictor, in rates of the network.")
    follow: float = Field(0.1, ge=0, le=10, title="Following β", description="How fast the teacher follows.")


class RestPoints(Surroundings):
    kind: Literal["rest_points"] = "rest_points"


@procedure(
    PredictorDynamics,
    title="Dynamics of a predictor",
    source=_SOURCE,
    formula=r"\dot p=\alpha s[\tau-(1+\sigma^2)p]-\eta p,\quad\dot s=2ps[\tau-(1+\sigma^2)p]-2\eta s,\quad "
    r"s\dot\tau=\beta(1-\tau)s-\tfrac12\tau\dot s",
    origin="recalled",
    papers=("directpred",),
)
def predictor_dynamics(predictor: Tensor, variance: Tensor, ratio: Tensor, p: PredictorDynamics) -> Tensor:
    """Says how fast a mode of a linear network moves that foretells a slow copy of itself through a linear predictor.

    Args:
        predictor: (...) strength of the predictor in the mode, the paper's p.
        variance: (...) of the features in the mode, s >= 0.
        ratio: (...) the teacher's weights over the network's, τ.
        p: noise, decay, rates.

    Returns:
        (3, ...) rates of change of predictor, variance and ratio.
    """
    lack = ratio - (1 + p.noise) * predictor
    growth = predictor * lack - p.decay
    return torch.stack(
        [
            p.rate * variance * lack - p.decay * predictor,
            2 * variance * growth,
            p.follow * (1 - ratio) - ratio * growth,
        ]
    )


@procedure(
    RestPoints,
    title="Rest points of a predictor",
    source=_SOURCE,
    formula=r"p_\pm=\frac{\tau\pm\sqrt{\tau^2-4\eta(1+\sigma^2)}}{2(1+\sigma^2)},\quad s=\frac{p^2}\alpha",
    origin="recalled",
    papers=("directpred",),
)
def rest_points(ratio: Tensor, p: RestPoints) -> Tensor:
    """Finds the threshold below which a mode collapses to 0, and the strength at which it settles above.

    Weight decay brings the variance to p² / α, whatever it was; these are the points at rest there, beside p = 0.

    Args:
        ratio: (...) the teacher's weights over the network's, τ >= 0, held.
        p: noise, decay.

    Returns:
        (2, ...) threshold and settled strength; NaN where the decay exceeds τ² / (4 (1 + σ²)), so that every start
        collapses.
    """
    middle, apart = ratio / 2, (ratio.square() / 4 - p.decay * (1 + p.noise)).sqrt()
    return torch.stack([middle - apart, middle + apart]) / (1 + p.noise)
