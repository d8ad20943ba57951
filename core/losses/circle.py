"""Circle loss: each pair is moved the harder, the farther it is from where it should be."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.two_views import all_pairs
from core.paid import Paid, Role, Term
from core.params import Params


class Circle(Params):
    kind: Literal["circle"] = "circle"
    relaxation: float = Field(
        0.4, ge=0, le=1, title="Relaxation m", description="A positive is to reach 1 - m and a negative to fall to m."
    )
    gamma: float = Field(
        80, ge=1, le=512, title="Scale γ", description="Larger looks at the worst pairs of an anchor alone."
    )


def hold_weights(given: Mapping[str, Tensor], p: Circle, g: Generator) -> dict[str, Tensor]:
    """How far each positive is below 1 + m, and each other pair above -m; nothing where it is beyond."""
    pairs = all_pairs(given["a"], given["b"], given["labels"])
    lacks = torch.where(pairs.role == Role.POSITIVE, 1 - pairs.scores, pairs.scores) + p.relaxation
    size = len(given["a"])
    return {"pair_weight": torch.relu(lacks).reshape(2, size, 2, size)}


@loss(
    Circle,
    title="Circle loss",
    source="Sun et al. 2020, arXiv:2002.10857, eq. 6; the weights of eq. 5 are held fixed, as in its gradient, eq. 10",
    family="softmax",
    formula=r"\begin{aligned}&\log\Big[1+\sum_{k\in N(i)}e^{\gamma\alpha_{ik}(s_{ik}-m)}"
    r"\sum_{q\in P(i)}e^{-\gamma\alpha_{iq}(s_{iq}-1+m)}\Big],\\"
    r"&\alpha_{ik}=[s_{ik}+m]_+,\ \alpha_{iq}=[1+m-s_{iq}]_+\text{ held fixed}\end{aligned}",
    relations={
        "nt_xent": "each pair weighed by what it lacks; with equal weights and one positive, τ is 1/γ and its margin "
        "1 - 2m",
        "supcon": "all positives in one sum, the worst of them first",
        "multi_similarity": "with the positives and the negatives of an anchor in one logarithm",
    },
    claims=Claims(margin="its relaxation asks for less the larger it is, so it is no margin"),
    variants=({}, {"relaxation": 0.25, "gamma": 20}),
    plan=hold_weights,
    planned=("pair_weight",),
    work="Both views of N items are anchors among both: (2N)² scores, and the weight of each.",
)
def circle(
    a: Tensor, b: Tensor, labels: Tensor, pair_weight: Tensor, p: Circle, *, exclude: Tensor | None = None
) -> Paid:
    """Pulls a class together and pushes the others away, each pair by a weight of its own that fades as it is met.

    Args:
        a: (B, D) unit embeddings, first view of each item.
        b: (B, D) second view.
        labels: (B,) class of each item.
        pair_weight: (2, B, 2, B) weights α >= 0 of the pairs among both views, without gradient.
        p: relaxation, scale.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b, 0 where it has no negative; one (2B, 2B) matrix of
        pairs.
    """
    pairs = all_pairs(a, b, labels, exclude)
    positive = pairs.role == Role.POSITIVE
    short = torch.where(positive, pairs.scores - (1 - p.relaxation), pairs.scores - p.relaxation)
    asked = p.gamma * pair_weight.reshape(short.shape).to(short.dtype) * short
    paid = F.softplus(log_sum(asked, pairs.role == Role.NEGATIVE) + log_sum(-asked, positive))
    return Paid({"": Term(paid)}, (pairs,))
