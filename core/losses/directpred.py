"""DirectPred: each side, through a predictor set from the spectrum, foretells what the teacher makes of the other."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from core.losses.banks import exactly
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.procedures.directpred import FeatureCorrelation, PredictorRule, direct_predictor, feature_correlation


class DirectPred(PredictorRule):
    kind: Literal["directpred"] = "directpred"


def _plan(given: Mapping[str, Tensor], p: DirectPred, g: Generator) -> dict[str, Tensor]:
    sides = torch.stack([given["a"], given["b"]])
    return {"predictor": direct_predictor(feature_correlation(sides, FeatureCorrelation()), p)}


@loss(
    DirectPred,
    title="DirectPred (predictor from the spectrum)",
    source="Tian et al. 2021, arXiv:2102.06810; the released code",
    origin="code",
    papers=("directpred",),
    family="none",
    formula=r"-2\cos(W_p a_i,t^b_i)-2\cos(W_p b_i,t^a_i),\quad W_p=U\,\mathrm{diag}(p)\,U^\top",
    claims=Claims(pushes="there are no negatives: that is its point", margin="it knows no margin"),
    relations={
        "alignment": "of both sides through a predictor, each with a teacher's embedding of the other",
        "spr": "both ways round, by a linear predictor that the features themselves decide",
    },
    variants=({}, {"rule": "paper", "epsilon": 0.1}, {"rule": "directcopy", "epsilon": 0.3}),
    plan=_plan,
    planned=("predictor",),
)
def directpred(a: Tensor, b: Tensor, teacher: Tensor, other_teacher: Tensor, predictor: Tensor, p: DirectPred) -> Paid:
    """Pulls the prediction from each side to the teacher's embedding of the other, and pushes nothing apart.

    The plan sets the predictor from the batch alone; with `feature_correlation` it can follow the batches before.

    Args:
        a: (B, D) embedding of each anchor, of any length.
        b: (B, D) embedding of each positive, of any length.
        teacher: (B, D) the teacher's embedding of each anchor, which b foretells; without gradient.
        other_teacher: (B, D) the teacher's embedding of each positive, which a foretells; without gradient.
        predictor: (D, D) what both sides are multiplied by, without gradient.
        p: rule of the predictor, its boost.

    Returns:
        "from_a" and "from_b", each (B,), between -2 and 2; a (B, B) matrix of cosines for each, of which only the
        positives are paid for.
    """
    w = exactly(predictor)
    terms, pairs = {}, []
    for name, side, target in (("from_a", a, other_teacher), ("from_b", b, teacher)):
        foretold, asked = (F.normalize(x, dim=1) for x in (exactly(side) @ w.T, exactly(target)))
        scores = similarity(foretold, asked)
        terms[name] = Term(-2 * scores.diagonal())
        pairs.append(Pairs(scores, diagonal_roles(len(side), len(target), side.device)))
    return Paid(terms, tuple(pairs))
