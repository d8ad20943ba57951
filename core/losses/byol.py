"""BYOL: each side, through a learned predictor, foretells what a slow teacher makes of the other."""

from typing import Literal

from torch import Tensor

from core.losses.predictors import NO_NEGATIVES, PREDICTOR, foretold, standardise, width
from core.losses.registry import Claims, loss
from core.paid import Paid, Term
from core.params import Params


class BYOL(Params):
    kind: Literal["byol"] = "byol"
    hidden: int = width()
    standardise: bool = standardise(
        "Of what is foretold, every dimension over the batch. The paper does without; unit embeddings fall together."
    )


@loss(
    BYOL,
    title="BYOL (bootstrap your own latent)",
    source="Grill et al. 2020, arXiv:2006.07733, eq. 2, both ways round; the teacher's side standardised if asked",
    family="none",
    formula=r"\lVert\hat q(a_i)-\hat t^b_i\rVert^2+\lVert\hat q(b_i)-\hat t^a_i\rVert^2,\quad "
    r"\lVert\hat x-\hat y\rVert^2=2-2\cos(x,y)",
    claims=Claims(pushes=NO_NEGATIVES, margin="it knows no margin"),
    relations={
        "simsiam": "four times that and four, where the teacher is a slow copy and not the network itself",
        "directpred": "with a predictor that is learned and not set from the spectrum",
        "spr": "both ways round, with the predictor learned along",
    },
    variants=({}, {"standardise": False, "hidden": 8}),
    companion=PREDICTOR,
)
def byol(predicted: Tensor, other_predicted: Tensor, teacher: Tensor, other_teacher: Tensor, p: BYOL) -> Paid:
    """Pulls the prediction from each side to the teacher's embedding of the other, and pushes nothing apart.

    A predictor that two different networks share may turn the one side into the other, so that the halves of a pair
    need not meet: it is made for two views by one network.

    Args:
        predicted: (B, D) what a predictor makes of each anchor, of any length.
        other_predicted: (B, D) what it makes of each positive.
        teacher: (B, D) the teacher's embedding of each anchor, of any length, without gradient.
        other_teacher: (B, D) the teacher's embedding of each positive.
        p: width of the predictor that a run trains along, and whether the teacher's embeddings are standardised.

    Returns:
        "from_a" and "from_b", each (B,), between 0 and 4; a (B, B) matrix of cosines for each, of which only the
        positives are paid for.
    """
    ways = {"from_a": (predicted, other_teacher), "from_b": (other_predicted, teacher)}
    pairs = {name: foretold(*way, p.standardise) for name, way in ways.items()}
    terms = {name: Term(2 - 2 * each.scores.diagonal()) for name, each in pairs.items()}
    return Paid(terms, tuple(pairs.values()))
