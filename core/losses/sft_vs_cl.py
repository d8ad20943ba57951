"""Reranking losses over a query's candidates: a softmax, a yes or no for each, and weight and direction apart."""

from collections.abc import Mapping
from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.candidates import exact, first_positive
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Role, Term
from core.params import Params

SOURCE = "Dai et al. 2026, arXiv:2510.14824"
NO_MARGIN = "it takes no margin of its own: its logits have no unit"
Reduction = Literal["sum", "mean"]


def reduction(default: Reduction) -> Reduction:
    found: Reduction = Field(
        default,
        title="Over the candidates",
        description="Whether a query pays the sum over its candidates or their mean; the mean shrinks every gradient.",
    )
    return found


def documents(p: "RerankSFT | RerankUnified", scores: Tensor) -> int:
    """What a sum over the candidates is divided by."""
    return scores.shape[1] if p.reduction == "mean" else 1


class RerankCL(Params):
    kind: Literal["rerank_cl"] = "rerank_cl"


class RerankSFT(Params):
    kind: Literal["rerank_sft"] = "rerank_sft"
    reduction: Reduction = reduction("mean")


class RerankUnified(Params):
    kind: Literal["rerank_unified"] = "rerank_unified"
    weigh: Literal["sigmoid", "softmax", "constant"] = Field(
        "sigmoid",
        title="Weight",
        description="How hard each candidate is moved: as by the yes or no, as by the softmax, or all the same.",
    )
    direction: Literal["lead", "yes"] = Field(
        "lead", title="Direction", description="What is moved: the lead of yes over no, or the logit of yes."
    )
    sure: float = Field(
        0, ge=0, le=0.5, title="Mask τ", description="A candidate answered rightly with more than 1 - τ has no weight."
    )
    reduction: Reduction = reduction("sum")


@loss(
    RerankCL,
    title="Reranking by a softmax (CL)",
    source=f"{SOURCE}, contrastive loss of a reranker",
    papers=("sft_vs_cl",),
    family="softmax",
    formula=r"-\log\frac{e^{y_0}}{\sum_i e^{y_i}}",
    claims=Claims(margin=NO_MARGIN),
    relations={
        "info_nce": "over the scores of a query's own candidates, without a temperature",
        "rerank_sft": "with the candidates of a query in competition",
    },
)
def rerank_cl(candidate_scores: Tensor, p: RerankCL) -> Paid:
    """Asks a query's relevant candidate to win the softmax over all of its candidates.

    Args:
        candidate_scores: (Q, N) logits y of the answer yes, the relevant candidate first.
        p: nothing to be set.

    Returns:
        One term per query; one (Q, N) matrix of pairs.
    """
    scores = exact(candidate_scores)
    return Paid({"": Term(-F.log_softmax(scores, dim=1)[:, 0])}, (Pairs(scores, first_positive(scores)),))


@loss(
    RerankSFT,
    title="Reranking by yes or no (SFT)",
    source=f"{SOURCE}, supervised fine-tuning of a reranker; the mean over candidates is recalled",
    papers=("sft_vs_cl",),
    family="logistic",
    formula=r"\frac1N\Big[\log(1+e^{-(y_0-n_0)})+\sum_{i>0}\log(1+e^{y_i-n_i})\Big]",
    claims=Claims(margin=NO_MARGIN),
    relations={"rerank_cl": "each candidate judged by itself", "siglip": "over the candidates of a query"},
    variants=({}, {"reduction": "sum"}),
)
def rerank_sft(candidate_scores: Tensor, refusal_scores: Tensor, p: RerankSFT) -> Paid:
    """Asks for a yes to the relevant candidate and for a no to every other one, each by itself.

    Args:
        candidate_scores: (Q, N) logits y of the answer yes, the relevant candidate first.
        refusal_scores: (Q, N) logits n of the answer no.
        p: sum or mean over the candidates.

    Returns:
        One term per query; one (Q, N) matrix of pairs, whose scores are the leads of yes over no.
    """
    lead = exact(candidate_scores) - exact(refusal_scores)
    role = first_positive(lead)
    wrong = F.softplus(lead.where(role == Role.NEGATIVE, -lead))
    return Paid({"": Term(wrong.sum(dim=1) / documents(p, lead))}, (Pairs(lead, role),))


def hold_weights(given: Mapping[str, Tensor], p: RerankUnified, g: Generator) -> dict[str, Tensor]:
    """The share of the wrong answer at each candidate, by the softmax or by the yes or no; or 1 for all."""
    yes, no = exact(given["candidate_scores"]), exact(given["refusal_scores"])
    positive = first_positive(yes) == Role.POSITIVE
    share = F.softmax(yes, dim=1)
    wrong = (yes - no).where(~positive, no - yes).sigmoid()
    by_softmax = share.where(~positive, share.masked_fill(positive, 0).sum(dim=1, keepdim=True))
    weight = {"sigmoid": wrong, "softmax": by_softmax, "constant": wrong.new_ones(wrong.shape)}[p.weigh]
    return {"held_weight": weight.masked_fill(wrong < p.sure, 0)}


@loss(
    RerankUnified,
    title="Reranking, weight and direction apart",
    source=f"{SOURCE}, unified reranking loss",
    papers=("sft_vs_cl",),
    family="none",
    formula=r"-W_0 s_0+\sum_{i>0}W_i s_i,\quad s\in\{y,\,y-n\},\ W\text{ held fixed}",
    claims=Claims(margin=NO_MARGIN),
    relations={
        "rerank_cl": "the same gradient with weight softmax and direction yes",
        "rerank_sft": "the same gradient, summed over the candidates, with weight sigmoid and direction yes over no",
    },
    variants=({}, {"weigh": "softmax", "direction": "yes"}, {"weigh": "constant", "sure": 0.1}),
    plan=hold_weights,
    planned=("held_weight",),
)
def rerank_unified(candidate_scores: Tensor, refusal_scores: Tensor, held_weight: Tensor, p: RerankUnified) -> Paid:
    """Moves every candidate's score by a weight that is held fixed: how hard and in which direction are chosen apart.

    Args:
        candidate_scores: (Q, N) logits y of the answer yes, the relevant candidate first.
        refusal_scores: (Q, N) logits n of the answer no.
        held_weight: (Q, N) weights W >= 0, without gradient.
        p: weight and direction, the mask of what is sure already, sum or mean over the candidates.

    Returns:
        One term per query, of either sign; one (Q, N) matrix of pairs, whose scores are those that are moved.
    """
    moved = exact(candidate_scores) - exact(refusal_scores) * float(p.direction == "lead")
    role = first_positive(moved)
    weight = exact(held_weight)
    signed = weight.where(role == Role.NEGATIVE, -weight)
    return Paid({"": Term((signed * moved).sum(dim=1) / documents(p, moved))}, (Pairs(moved, role),))
