"""Alignment alone: pull each pair together and push nobody; the loss that shows what negatives are for."""

from typing import Literal

from torch import Tensor

from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.params import Params


class Alignment(Params):
    kind: Literal["alignment"] = "alignment"


@loss(
    Alignment,
    title="Alignment only (no negatives)",
    source="Wang and Isola 2020, arXiv:2005.10242, sec. 4.1, alpha = 2, on unit vectors",
    family="none",
    formula=r"\lVert a_i-b_i\rVert^2=2-2s_{ii}",
    relations={"info_nce": "with no negative at all"},
    claims=Claims(pushes="there are no negatives: that is its point", margin="it knows no margin"),
)
def alignment(a: Tensor, b: Tensor, p: Alignment) -> Paid:
    """Pulls each pair together and pushes nothing apart, so that everything may fall into one point.

    Args:
        a: (B, D) unit anchors.
        b: (B, D) unit positives.
        p: nothing to choose.

    Returns:
        One term per anchor, between 0 and 4; one (B, B) matrix of pairs, of which only the positives are paid for.
    """
    scores = similarity(a, b)
    role = diagonal_roles(len(a), len(b), a.device)
    return Paid({"": Term(2 - 2 * scores.diagonal())}, (Pairs(scores, role),))
