"""DCD: a student learns a teacher's scores of hard candidates, and queries that puzzle the teacher count more."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.candidates import exact, first_positive
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class DCD(Params):
    kind: Literal["dcd"] = "dcd"
    form: Literal["entropy", "soft_label"] = Field(
        "entropy",
        title="Weights",
        description="What makes a query count: how unsure the teacher is, or how far the student lags behind it.",
    )
    distillation: float = Field(
        0.2, ge=0, le=1, title="Distillation α", description="Share of the distillation in what is paid."
    )
    as_released: bool = Field(
        False,
        title="As released",
        description="The weights multiply the mean over all queries, so that distillation weighs them alike.",
    )


def doubt(teacher_scores: Tensor) -> Tensor:
    """(Q,) how unsure the teacher is of each query: the entropy of its softmax, as a share of all of it."""
    share = F.log_softmax(teacher_scores, dim=1)
    entropy = -(share.exp() * share).sum(dim=1)
    return entropy / entropy.sum().clamp_min(torch.finfo(entropy.dtype).tiny)


def weigh_queries(given: Mapping[str, Tensor], p: DCD, g: Generator) -> dict[str, Tensor]:
    """Weights of the distillation: more where the teacher is sure, or where the student lags behind it."""
    y, t = exact(given["candidate_scores"]), exact(given["teacher_scores"])
    if p.form == "entropy":
        return {"query_weight": F.softmax((1 - doubt(t)).square(), dim=0)}
    student, teacher = (-F.log_softmax(x, dim=1)[:, 0] for x in (y, t))
    lag = -torch.expm1(-student / teacher.clamp_min(torch.finfo(teacher.dtype).eps))
    return {"query_weight": lag / len(y)}


@loss(
    DCD,
    title="DCD (dynamic contrastive distillation)",
    source="Rao et al. 2023, arXiv:2207.01426",
    origin="code",
    papers=("dcd",),
    family="logistic",
    formula=r"(1-\alpha)\,w_i\,\tfrac1N\Big[\log(1+e^{-y_{i0}})+\sum_{c>0}\log(1+e^{y_{ic}})\Big]"
    r"+\alpha\,\mathrm{softmax}_i\big((1-w_i)^2\big)\,\tfrac1N\sum_c(t_{ic}-y_{ic})^2,\quad "
    r"w_i=\frac{H(t_i)}{\sum_j H(t_j)}",
    claims=Claims(
        pulls="a positive that the teacher scores lower is pushed towards the teacher",
        pushes="a negative that the teacher scores higher is pulled towards the teacher",
        margin="it takes no margin of its own: the teacher says how far apart the scores are",
    ),
    relations={"rerank_sft": "with queries weighted by the teacher's doubt and a distillation of its scores"},
    variants=({}, {"form": "soft_label", "distillation": 0.5}, {"as_released": True}),
    plan=weigh_queries,
    planned=("query_weight",),
)
def dcd(candidate_scores: Tensor, teacher_scores: Tensor, query_weight: Tensor, p: DCD) -> Paid:
    """Brings the student's scores of each query's candidates to the teacher's and judges them right or wrong.

    The paper's temperature of the distillation cancels, since the error is multiplied by its square.

    Args:
        candidate_scores: (Q, N) logits y by the student, the positive first.
        teacher_scores: (Q, N) logits t by the teacher, in the same order, without gradient.
        query_weight: (Q,) weight of each query's distillation, without gradient.
        p: the weights' form, the share of the distillation, as released or not.

    Returns:
        Two terms per query, "distillation" and "answer", the latter logistic, or with soft labels a cross-entropy;
        one (Q, N) matrix of pairs.
    """
    y, t = exact(candidate_scores), exact(teacher_scores)
    role = first_positive(y)
    error = (t - y).square().mean(dim=1)
    distilled = error.mean().expand(len(y)) if p.as_released else error
    if p.form == "soft_label":
        answer = Term(-F.log_softmax(y, dim=1)[:, 0])
    else:
        wrong = F.softplus(y.where(role == Role.NEGATIVE, -y)).mean(dim=1)
        answer = Term(wrong, weight=(1 - p.distillation) * doubt(t))
    return Paid(
        {"distillation": Term(distilled, weight=p.distillation * exact(query_weight)), "answer": answer},
        (Pairs(y, role),),
    )
