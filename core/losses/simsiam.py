"""SimSiam: each side, through a learned predictor, foretells the other, which is held fixed meanwhile."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from core.losses.predictors import HOLDING_PREDICTOR, NO_NEGATIVES, foretold, standardise, width
from core.losses.registry import Claims, loss
from core.paid import Paid, Term
from core.params import Params


class SimSiam(Params):
    kind: Literal["simsiam"] = "simsiam"
    hidden: int = width()
    standardise: bool = standardise(
        "Of what is foretold, every dimension over the batch, as the last layer of the paper's projector does."
    )
    stop_gradient: bool = Field(
        True,
        title="Stop-gradient",
        description="In a run, what is foretold is held fixed; off, it moves too and all may fall into one point.",
    )


@loss(
    SimSiam,
    title="SimSiam (stop-gradient)",
    source="Chen and He 2021, arXiv:2011.10566, eq. 1 to 4",
    family="none",
    formula=r"-\tfrac12\cos(q(a_i),\mathrm{sg}(b_i))-\tfrac12\cos(q(b_i),\mathrm{sg}(a_i))",
    claims=Claims(pushes=NO_NEGATIVES, margin="it knows no margin"),
    relations={
        "byol": "without a teacher: the network's own embeddings are what is foretold",
        "alignment": "half of it and no more, with a predictor on one side and no gradient on the other",
    },
    variants=({}, {"standardise": False, "hidden": 8, "stop_gradient": False}),
    companion=HOLDING_PREDICTOR,
)
def simsiam(predicted: Tensor, other_predicted: Tensor, fixed: Tensor, other_fixed: Tensor, p: SimSiam) -> Paid:
    """Pulls the prediction from each side to the other side as it stands, and pushes nothing apart.

    A predictor that two different networks share may turn the one side into the other, so that the halves of a pair
    need not meet: it is made for two views by one network.

    Args:
        predicted: (B, D) what a predictor makes of each anchor, of any length.
        other_predicted: (B, D) what it makes of each positive.
        fixed: (B, D) embedding of each anchor as it stands, of any length, without gradient.
        other_fixed: (B, D) embedding of each positive as it stands.
        p: width of the predictor that a run trains along, whether what is foretold is standardised, and whether the
            run holds it fixed.

    Returns:
        "from_a" and "from_b", each (B,), between -1 and 1, half of each; a (B, B) matrix of cosines for each, of which
        only the positives are paid for.
    """
    ways = {"from_a": (predicted, other_fixed), "from_b": (other_predicted, fixed)}
    pairs = {name: foretold(*way, p.standardise) for name, way in ways.items()}
    terms = {name: Term(-each.scores.diagonal()).scaled(0.5) for name, each in pairs.items()}
    return Paid(terms, tuple(pairs.values()))
