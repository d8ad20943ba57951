"""COOT: videos and paragraphs, their contexts and their clips and sentences are aligned together, level by level."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from core.losses.cycle import Cycle, cycle
from core.losses.fields import weight
from core.losses.hierarchy import level, level_of_members
from core.losses.registry import loss
from core.paid import Paid, joined
from core.params import Params


class COOT(Params):
    kind: Literal["coot"] = "coot"
    margin: float = Field(0.2, ge=0, le=2, title="Margin m", description="Lead, in similarity, that silences a pair.")
    high: float = weight(1, "High", "aligning videos with paragraphs")
    low: float = weight(1, "Low", "aligning clips with sentences")
    context: float = weight(1, "Context", "aligning their contexts, where there are any")
    cluster_high: float = weight(1, "Cluster high", "keeping videos, and paragraphs, apart among themselves")
    cluster_low: float = weight(1, "Cluster low", "keeping clips, and sentences, apart among themselves")
    cluster_context: float = weight(0, "Cluster context", "keeping contexts apart among themselves")
    cycle: float = weight(0.01, "Cycle", "the cycles from clips to sentences and back")


@loss(
    COOT,
    title="COOT (hierarchical ranking)",
    source="Ging et al. 2020, arXiv:2011.00597, with the weights of the released code, as So et al. 2023 (DMM) use it",
    origin="code",
    papers=("dmm",),
    family="hinge",
    formula=r"\begin{aligned}&\sum_l\left(w_lR_m(x^l,y^l)+w'_l\tfrac12\big(R_m(x^l,x^l)+R_m(y^l,y^l)\big)\right)+\beta\,C,\\"
    r"&R_m(x,y)=\frac1{N^2}\sum_{j\neq i}\left([m+s_{ij}-s_{ii}]_+ + [m+s_{ji}-s_{ii}]_+\right)\end{aligned}",
    relations={"ranking": "at every level, within each side as well", "cycle": "with ranking at every level"},
    variants=({}, {"cluster_context": 0.5, "cycle": 0, "margin": 0.5}),
)
def coot(
    a: Tensor,
    b: Tensor,
    bags: Tensor,
    other_bags: Tensor,
    p: COOT,
    *,
    context: Tensor | None = None,
    other_context: Tensor | None = None,
    bag_mask: Tensor | None = None,
    members: Tensor | None = None,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Ranks videos against paragraphs, clips against sentences and contexts, and keeps each side spread out.

    Clips and sentences are ranked by their cosines, and turn round in the cycles with the lengths that they have.

    Args:
        a: (B, D) videos.
        b: (B, D) their paragraphs.
        bags: (B, n, D) clips of each video, in order.
        other_bags: (B, n, D) sentences of each paragraph, in order.
        p: margin and weights.
        context: (B, D) context of each video; without both, no such level.
        other_context: (B, D) context of each paragraph.
        bag_mask: (B, n) which clips and sentences are present; without it, all.
        members: (2, B) as for `cycle`.
        margin: () or (B,), instead of `p.margin`, at every level.
        exclude: (B, B) pairs (a_i, b_j) that take no part, nor do their clips and sentences; a positive always does.

    Returns:
        `align.*` and `cluster.*` for each video, `cycle.*` for each bag; the pairs across the sides of each level.
    """
    high = level(a, b, p.margin, margin, exclude=exclude)
    low = level_of_members(bags, other_bags, p.margin, margin, bag_mask, exclude)
    terms = high.terms("high", len(a), p.high, p.cluster_high) | low.terms("low", len(a), p.low, p.cluster_low)
    pairs = (high.pairs, low.pairs)
    if context is not None and other_context is not None:
        top = level(context, other_context, p.margin, margin, exclude=exclude)
        terms, pairs = terms | top.terms("context", len(a), p.context, p.cluster_context), (*pairs, top.pairs)
    turning = cycle(bags, other_bags, Cycle(), bag_mask=bag_mask, members=members).scaled(p.cycle)
    return joined([("", Paid(terms, pairs)), ("cycle", turning)])
