"""COCONUT: rehearsed items drawn to where the model of the task before had their class, and audio to text."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.classes import mean_over, same_class, share_of
from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import similarity, without
from core.paid import Paid, Pairs, Role, Term, barred
from core.params import Params

SOURCE = "Cappellazzo et al. 2024, arXiv:2310.02699; symbols recalled"
SHARED = "a positive that already leads the others of its class shares the softmax with them and is pushed"
NO_MARGIN = "it takes no margin of its own"


class NSPT(Params):
    kind: Literal["coconut_nspt"] = "coconut_nspt"
    temperature: float = temperature(0.1)
    positive_below: bool = Field(
        False, title="Positive below", description="Put the positive into its own denominator, so that none is below 0."
    )


@loss(
    NSPT,
    title="NSPT (negatives student, positives teacher)",
    source=SOURCE,
    origin="recalled",
    papers=("coconut",),
    family="softmax",
    formula=r"\frac{-1}{|P(k)|}\sum_{q\in P(k)}\log\frac{e^{h_k\cdot t_q/\tau}}{\sum_{i\neq k}e^{h_k\cdot h_i/\tau}}",
    relations={"coconut_ntpt": "with the negatives of the student, who knows the new classes"},
    claims=Claims(margin=NO_MARGIN),
    variants=({}, {"positive_below": True, "temperature": 0.5}),
)
def coconut_nspt(a: Tensor, teacher: Tensor, labels: Tensor, rehearsed: Tensor, p: NSPT) -> Paid:
    """Pulls rehearsed items to their class as the teacher saw it, and pushes them from what the student sees.

    Args:
        a: (B, D) student's embedding of each item, B >= 2.
        teacher: (B, D) the same by the model of the task before, without gradient.
        labels: (B,) class of each item.
        rehearsed: (B,) which items are anchors.
        p: temperature, and whether the positive stands below as well.

    Returns:
        One term per item, (B,), averaged over the rehearsed that have a mate. Two (B, B) matrices of pairs: the
        teacher's embeddings as positives, the student's as negatives.
    """
    mates, other = same_class(labels)
    there = rehearsed.bool()
    mates, other = mates & there[:, None], other & there[:, None]
    counted = mates.any(dim=1)
    to_teacher, to_student = similarity(a, teacher), similarity(a, a)
    pull = to_teacher / p.temperature
    others = log_sum(to_student, other, p.temperature).masked_fill(~there, 0)[:, None]
    below = torch.logaddexp(others, pull) if p.positive_below else others
    paid = mean_over(below - pull, mates)
    shown = (Pairs(to_teacher, _role(mates, Role.POSITIVE)), Pairs(to_student, _role(other, Role.NEGATIVE)))
    return Paid({"": Term(paid, weight=share_of(counted, paid.dtype))}, shown)


class NTPT(Params):
    kind: Literal["coconut_ntpt"] = "coconut_ntpt"
    temperature: float = temperature(0.1)


@loss(
    NTPT,
    title="NTPT (negatives and positives teacher)",
    source=SOURCE,
    origin="recalled",
    papers=("coconut",),
    family="softmax",
    formula=r"\frac{-1}{|P(k)|}\sum_{q\in P(k)}\log\frac{e^{h_k\cdot t_q/\tau}}{\sum_{i\neq k}e^{h_k\cdot t_i/\tau}}",
    relations={"supcon": "from the rehearsed items of the student to all others of the teacher"},
    claims=Claims(pulls=SHARED, margin=NO_MARGIN),
    variants=({}, {"temperature": 0.5}),
)
def coconut_ntpt(a: Tensor, teacher: Tensor, labels: Tensor, rehearsed: Tensor, p: NTPT) -> Paid:
    """Pulls rehearsed items to their class as the teacher saw it, and pushes them from the rest as it saw that.

    Args:
        a: (B, D) student's embedding of each item, B >= 2.
        teacher: (B, D) the same by the model of the task before, without gradient.
        labels: (B,) class of each item.
        rehearsed: (B,) which items are anchors.
        p: temperature.

    Returns:
        One term per item, (B,), averaged over the rehearsed that have a mate; one (B, B) matrix of pairs.
    """
    mates, other = same_class(labels)
    there = rehearsed.bool()
    scores = similarity(a, teacher)
    share = F.log_softmax(without(scores / p.temperature, ~other), dim=1)
    pulled = mates & there[:, None]
    paid = -mean_over(share, pulled)
    role = torch.where(mates, Role.POSITIVE, torch.where(other, Role.NEGATIVE, Role.EXCLUDED))
    pairs = Pairs(scores, role.masked_fill(~there[:, None], Role.EXCLUDED).to(torch.int8))
    return Paid({"": Term(paid, weight=share_of(pulled.any(dim=1), paid.dtype))}, (pairs,))


class MultiModal(Params):
    kind: Literal["coconut_mm"] = "coconut_mm"
    temperature: float = temperature(0.1)


@loss(
    MultiModal,
    title="COCONUT-MM (supervised, across modalities)",
    source=SOURCE,
    origin="recalled",
    papers=("coconut",),
    family="softmax",
    formula=r"\frac{-1}{|P(k)|}\sum_{q\in P(k)}\Big[\log\frac{e^{s_{kq}/\tau}}{\sum_ie^{s_{ki}/\tau}}"
    r"+\log\frac{e^{s_{qk}/\tau}}{\sum_ie^{s_{ik}/\tau}}\Big]",
    relations={"clip": "with every item of the class as a positive, and both directions summed"},
    claims=Claims(pulls=SHARED, margin=NO_MARGIN),
    variants=({}, {"temperature": 0.5}),
)
def coconut_mm(a: Tensor, b: Tensor, labels: Tensor, p: MultiModal, *, exclude: Tensor | None = None) -> Paid:
    """Pulls every audio of a class to every text of it, both ways, and pushes the other classes away.

    Args:
        a: (B, D) embedding of each item's first modality.
        b: (B, D) embedding of its second.
        labels: (B,) class of each item.
        p: temperature.
        exclude: (B, B) pairs (a_i, b_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        Terms "a_to_b" and "b_to_a", (B,) each, both counted in full; one (B, B) matrix of pairs.
    """
    mates = labels[:, None] == labels[None, :]
    pairs = Pairs(similarity(a, b), barred(torch.where(mates, Role.POSITIVE, Role.NEGATIVE).to(torch.int8), exclude))
    logits = without(pairs.scores / p.temperature, pairs.role == Role.EXCLUDED)
    terms = {
        "a_to_b": Term(-mean_over(F.log_softmax(logits, dim=1), mates)),
        "b_to_a": Term(-mean_over(F.log_softmax(logits.T, dim=1), mates)),
    }
    return Paid(terms, (pairs,))


def _role(taken: Tensor, role: Role) -> Tensor:
    return torch.where(taken, role, Role.EXCLUDED).to(torch.int8)
