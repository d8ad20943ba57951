"""Contrastive UCB: true next states told from drawn ones by a density ratio; beside it the SPR that the code trains."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.banks import exactly, first_positive
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params

SMALLEST = 1e-30
SHORTEST = 1e-3


class DensityRatio(Params):
    kind: Literal["density_ratio"] = "density_ratio"
    features: Literal["softplus", "absolute"] = Field(
        "softplus", title="Features", description="What makes the features positive, coordinate by coordinate."
    )
    scale: float = Field(
        5, ge=0.1, le=30, title="Scale", description="Size of the coordinates, root mean square, before that is done."
    )


class SPR(Params):
    kind: Literal["spr"] = "spr"


def positive(z: Tensor, p: DensityRatio) -> Tensor:
    """(..., D) features of embeddings (..., D), in float32 at least; f is a mean over the coordinates of both sides."""
    x, root = exactly(z), z.shape[-1] ** 0.5
    return F.softplus(p.scale * root * x) / root if p.features == "softplus" else p.scale * x.abs()


@loss(
    DensityRatio,
    title="Density ratio (contrastive UCB)",
    source="Qiu et al. 2022, arXiv:2207.14800, the contrastive loss of its theory",
    origin="recalled",
    papers=("contrastive_ucb",),
    family="logistic",
    formula=r"\tfrac12\log\Big(1+\frac1{f_{ii}}\Big)+\frac1{2|N_i|}\sum_{j\in N_i}\log(1+f_{ij}),\quad "
    r"f_{ij}=\phi(a_i)^\top\psi(b_j)>0",
    claims=Claims(margin="it takes no margin: with one, the score would no longer be a ratio of densities"),
    relations={
        "siglip": "by the log of an inner product of positive features, one positive worth as much as all negatives",
        "info_nce": "judged pair by pair, so that the ratio is learned as it is and not up to a factor for each anchor",
    },
    variants=({}, {"features": "absolute", "scale": 1}),
)
def density_ratio(
    a: Tensor, b: Tensor, p: DensityRatio, *, negatives: Tensor | None = None, exclude: Tensor | None = None
) -> Paid:
    """Tells what truly came next from what was drawn, until the score is how many times likelier it is to come next.

    Args:
        a: (B, D) states with their actions, or any anchors.
        b: (B, D) the states that came next.
        p: what makes features positive, and the size of the coordinates of a unit embedding before.
        negatives: (B, K, D) states drawn without looking at the anchor; without them, what came next for the others.
        exclude: (B, B) pairs (a_i, b_j) that take no part; a positive always does, and own negatives are not touched.

    Returns:
        One term per anchor, half for its positive and half for the mean over its negatives; one matrix of pairs, (B, B)
        or (B, 1 + K), whose scores are log f.
    """
    own = positive(a, p)
    if negatives is None:
        scores = _log(similarity(own, positive(b, p)))
        pairs = Pairs(scores, barred(diagonal_roles(len(a), len(b), a.device), exclude))
    else:
        candidates = positive(torch.cat([b[:, None], negatives], dim=1), p)
        pairs = first_positive(_log(torch.einsum("bd,bcd->bc", own, candidates)))
    true, drawn = (pairs.role == role for role in (Role.POSITIVE, Role.NEGATIVE))
    doubt = F.softplus(torch.where(true, -pairs.scores, pairs.scores))
    found, fooled = doubt.masked_fill(~true, 0).sum(dim=1), doubt.masked_fill(~drawn, 0).sum(dim=1)
    return Paid({"": Term((found + fooled / drawn.sum(dim=1).clamp_min(1)) / 2)}, (pairs,))


def _log(ratio: Tensor) -> Tensor:
    return ratio.clamp_min(SMALLEST).log()


@loss(
    SPR,
    title="SPR (prediction of the teacher)",
    source="Schwarzer et al. 2021, arXiv:2007.05929; as in the code of Qiu et al. 2022, arXiv:2207.14800, for one step",
    origin="code",
    papers=("contrastive_ucb",),
    family="none",
    formula=r"\big\lVert\hat a_i-\hat t_i\big\rVert^2=2-2\cos(a_i,t_i)",
    claims=Claims(pushes="there are no negatives: a teacher stands in for them", margin="it knows no margin"),
    relations={
        "alignment": "of what is predicted, with a teacher's embedding that is held fixed",
        "directpred": "with what is predicted handed in, whoever predicts it",
    },
)
def spr(a: Tensor, teacher: Tensor, p: SPR) -> Paid:
    """Pulls what is predicted of the next state to what the teacher makes of it, and pushes nothing apart.

    Args:
        a: (B, D) predictions, of any length.
        teacher: (B, D) the teacher's embeddings of what came, of any length, without gradient.
        p: nothing to choose.

    Returns:
        One term per anchor, between 0 and 4; one (B, B) matrix of cosines, of which only the positives are paid for.
        Vectors shorter than 1e-3 are divided by 1e-3.
    """
    x, y = (F.normalize(exactly(z), dim=1, eps=SHORTEST) for z in (a, teacher))
    scores = similarity(x, y)
    lengths = x.square().sum(dim=1) + y.square().sum(dim=1)
    paid = lengths - 2 * scores.diagonal()
    return Paid({"": Term(paid)}, (Pairs(scores, diagonal_roles(len(x), len(y), x.device)),))
