"""CSGCL: NT-Xent over the nodes of a graph, with a bonus on the score of candidates in strong communities."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.log_sums import log_sum
from core.losses.registry import loss
from core.losses.scores import twice
from core.losses.two_views import all_pairs, other_view
from core.paid import Paid, Role, Term
from core.params import Params


class CSGCL(Params):
    kind: Literal["csgcl"] = "csgcl"
    temperature: float = temperature(0.4)
    team_up: float = Field(
        1, ge=0, le=10, title="Team-up γ", description="How much the strength of a candidate's community counts."
    )
    margin: float = lead()


@loss(
    CSGCL,
    title="Team-up (community strength)",
    source="Chen et al. 2023, arXiv:2305.04658; the released code",
    origin="code",
    papers=("csgcl",),
    family="softmax",
    formula=r"-\log\frac{e^{(s_{i,i'}+\gamma S_i-m)/\tau}}"
    r"{e^{(s_{i,i'}+\gamma S_i-m)/\tau}+\sum_{k\neq i,i'}e^{(s_{ik}+\gamma S_k)/\tau}}",
    relations={"nt_xent": "with a bonus on the score of candidates in strong communities"},
    variants=({}, {"team_up": 4, "temperature": 0.2, "margin": 0.2}),
    work="Both views of N items are anchors among both: (2N)² scores.",
)
def csgcl(
    a: Tensor,
    b: Tensor,
    node_weight: Tensor,
    p: CSGCL,
    *,
    margin: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Tells nodes apart, and pushes negatives away the harder the stronger their community is.

    The authors also add the strength of the anchor, which is the same for all its candidates and changes nothing.

    Args:
        a: (B, D) embedding of each node in one view.
        b: (B, D) embedding of each node in the other.
        node_weight: (B,) strength of each node's community, without gradient.
        p: temperature, how much the strength counts, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to both views of node i.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b; one (2B, 2B) matrix of pairs, without the bonus.
    """
    pairs = all_pairs(a, b, None, exclude)
    strong = pairs.scores + p.team_up * torch.cat([node_weight, node_weight]).to(pairs.scores.dtype)
    asked = (other_view(strong) - twice(p.margin if margin is None else margin)) / p.temperature
    others = log_sum(strong, pairs.role == Role.NEGATIVE, p.temperature)
    return Paid({"": Term(F.softplus(others - asked))}, (pairs,))
