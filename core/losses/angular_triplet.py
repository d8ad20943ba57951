"""Angular loss: the angle at a negative, under which it sees a positive pair, is to stay below α."""

import math
from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import weight
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Role, Term
from core.params import Params


class AngularTriplet(Params):
    kind: Literal["angular_triplet"] = "angular_triplet"
    angle: float = Field(
        45,
        ge=5,
        le=80,
        title="Angle α",
        description="Largest angle at the negative, in degrees; smaller asks for more.",
    )
    n_pair: float = weight(0, "N-pair", "the N-pair loss of the same pairs beside it")


@loss(
    AngularTriplet,
    title="Angular loss (angle of the triplet)",
    source="Wang et al. 2017, Deep metric learning with angular loss, arXiv:1708.01682, in the form over N pairs",
    family="softmax",
    formula=r"\log\Big[1+\sum_{k\neq i,i'}e^{4\tan^2\!\alpha\,(s_{ik}+s_{i'k})-2(1+\tan^2\!\alpha)\,s_{ii'}}\Big]",
    relations={
        "angular": "by the angle at the negative of three points, not by that between anchor and positive",
        "n_pair": "with every negative measured from the middle of the pair",
        "nt_xent": "which, at temperature 1, is its N-pair term",
    },
    claims=Claims(margin="its angle bounds a triangle and is no lead of the positive"),
    variants=({}, {"angle": 36, "n_pair": 0.5}),
    work="Both views of N items are among the negatives: (2N)² scores.",
)
def angular_triplet(a: Tensor, b: Tensor, p: AngularTriplet, *, exclude: Tensor | None = None) -> Paid:
    """Asks every negative to see each positive pair under a small angle, so that it is far from the middle of both.

    Wang's batch is N pairs of N classes. Where two pairs are of one class, `exclude` keeps them apart.

    Args:
        a: (B, D) unit embeddings, first of each pair.
        b: (B, D) second of each pair.
        p: angle, weight of N-pair.
        exclude: (B, B) pairs (a_i, b_j) that take no part, nor a triangle that has one of them as a side; a positive
            always does.

    Returns:
        Two terms per anchor, "angle", the same for both of a pair, and "n_pair", (2B,) each: first all of a, then all
        of b; one (2B, 2B) matrix of pairs.
    """
    pairs = all_pairs(a, b, None, exclude)
    negative, own = pairs.role == Role.NEGATIVE, other_view(pairs.scores)
    slope, size = math.tan(math.radians(p.angle)) ** 2, len(a)
    seen = log_sum(pairs.scores[:size] + pairs.scores[size:], negative[:size] & negative[size:], 1 / (4 * slope))
    angle = F.softplus(seen - 2 * (1 + slope) * own[:size]).repeat(2)
    tuplet = F.softplus(log_sum(pairs.scores, negative) - own)
    return Paid({"angle": Term(angle), "n_pair": Term(tuplet).scaled(p.n_pair)}, (pairs,))
