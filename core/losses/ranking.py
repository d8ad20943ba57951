"""Max-margin ranking: a pair must lead each non-pair by the margin, in both directions."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from core.losses.hinges import hinge_sums, hinge_worst
from core.losses.registry import loss
from core.losses.scores import similarity, without
from core.paid import Paid, Pairs, Role, Term, barred, diagonal_roles
from core.params import Params


class Ranking(Params):
    kind: Literal["ranking"] = "ranking"
    margin: float = Field(0.2, ge=0, le=2, title="Margin m", description="Lead, in similarity, that silences a pair.")
    violation: Literal["sum", "max"] = Field(
        "sum", title="Violations", description="Pay for all negatives, or for the worst one only (VSE++)."
    )
    normalise: bool = Field(True, title="Divide by B²", description="Off: the plain sum over the batch.")


@loss(
    Ranking,
    title="Max-margin ranking",
    source="Kiros et al. 2014, arXiv:1411.2539, eq. 11; max violation: Faghri et al. 2018, arXiv:1707.05612, eq. 6",
    papers=("dmm",),
    family="hinge",
    formula=r"\frac1{B^2}\sum_{j\neq i}\left([m+s_{ij}-s_{ii}]_+ + [m+s_{ji}-s_{ii}]_+\right)",
    relations={"triplet": "over inner products and in both directions"},
    variants=({}, {"margin": 0.5, "violation": "max"}, {"margin": 0, "normalise": False}),
)
def ranking(a: Tensor, b: Tensor, p: Ranking, *, margin: Tensor | None = None, exclude: Tensor | None = None) -> Paid:
    """Asks each pair to lead every non-pair of its row and column by the margin; once it does, nothing is paid.

    Args:
        a: (B, D) items in one modality.
        b: (B, D) the same items in the other.
        p: margin, sum or max violation, scale.
        margin: () or (B,), instead of `p.margin`; entry i is asked of pair i, as a row and as a column.
        exclude: (B, B) pairs (a_i, b_j) that take no part in either direction; a positive always does.

    Returns:
        Two terms per anchor; one (B, B) matrix of pairs.
    """
    scores = similarity(a, b)
    role = barred(diagonal_roles(len(a), len(b), a.device), exclude)
    over = hinge_sums if p.violation == "sum" else hinge_worst
    rows, columns = over(
        without(scores, None if exclude is None else role == Role.EXCLUDED), p.margin if margin is None else margin
    )
    scale = 1 / len(a) ** 2 if p.normalise else 1.0
    return Paid({"a_to_b": Term(rows, weight=scale), "b_to_a": Term(columns, weight=scale)}, (Pairs(scores, role),))
