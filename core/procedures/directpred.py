"""DirectPred: a linear predictor that is not trained but set from the spectrum of the features."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure

LEAST = 1e-4
Rule = Literal["official", "paper", "directcopy"]


class FeatureCorrelation(Params):
    kind: Literal["feature_correlation"] = "feature_correlation"
    keep: float = Field(
        0.3, ge=0, le=1, title="Kept share ρ", description="Share of what was kept so far; the rest is the batch's."
    )


class PredictorRule(Params):
    rule: Rule = Field(
        "official",
        title="Rule",
        description="DirectPred as released, where the largest strength is near 1, or as in the paper; or DirectCopy.",
    )
    epsilon: float = Field(
        0.01, ge=0, le=1, title="Boost ε", description="What even a direction without any spread is given."
    )


class DirectPredictor(PredictorRule):
    kind: Literal["direct_predictor"] = "direct_predictor"


@procedure(
    FeatureCorrelation,
    title="Running correlation of features",
    source="Tian et al. 2021, arXiv:2102.06810, sec. 4; the released code",
    formula=r"\hat F\leftarrow\rho\hat F+(1-\rho)\,\underset{v,i}{\mathrm{mean}}\;f^v_i{f^v_i}^\top",
    origin="code",
    papers=("directpred",),
)
def feature_correlation(views: Tensor, p: FeatureCorrelation, *, kept: Tensor | None = None) -> Tensor:
    """Follows the second moments of the features over the batches, with nothing centred or normalised.

    Args:
        views: (V, B, D) features of all views of a batch.
        p: what share is kept.
        kept: (D, D) what the batch before left; without it, the batch counts alone.

    Returns:
        (D, D) symmetric, in float32 at least, no eigenvalue below 0.
    """
    x = (views if views.dtype == torch.float64 else views.float()).flatten(0, 1)
    fresh = x.mT @ x / len(x)
    return fresh if kept is None else torch.lerp(fresh, kept.to(fresh.dtype), p.keep)


@procedure(
    DirectPredictor,
    title="DirectPred and DirectCopy",
    source="Tian et al. 2021, arXiv:2102.06810, eq. 18-19; DirectCopy: Wang et al. 2021, arXiv:2110.04947",
    formula=r"W_p=U\,\mathrm{diag}(p)\,U^\top,\quad p_j=\sqrt{s_j/\max_k s_k}+\varepsilon,\quad \hat F=U\,"
    r"\mathrm{diag}(s)\,U^\top",
    origin="code",
    papers=("directpred",),
)
def direct_predictor(correlation: Tensor, p: PredictorRule) -> Tensor:
    """Makes the predictor whose directions are those of the features, the stronger the more they spread.

    The rules differ in what ε means. As released it is a share of the largest strength (and no strength is below
    1e-4); in the paper it multiplies the largest eigenvalue instead, p = sqrt(s) + ε max(s); DirectCopy takes the
    correlation itself, F + ε I.

    Args:
        correlation: (D, D) symmetric, of the features.
        p: rule and boost.

    Returns:
        (D, D) symmetric, in float32 at least. Its size does not matter to a loss of cosines.
    """
    f = correlation if correlation.dtype == torch.float64 else correlation.float()
    if p.rule == "directcopy":
        return f + p.epsilon * torch.eye(len(f), dtype=f.dtype, device=f.device)
    found, axes = torch.linalg.eigh(f)
    s = found.clamp_min(0)
    if p.rule == "paper":
        strength = s.sqrt() + p.epsilon * s.amax()
    else:
        strength = ((s / s.amax().clamp_min(torch.finfo(s.dtype).tiny)).sqrt() + p.epsilon).clamp_min(LEAST)
    return (axes * strength) @ axes.mT
