"""S-VCO and DPO: a model of texts given images moves away from a frozen copy of itself, pair by pair."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.candidates import exact, first_positive
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Term
from core.params import Params

NO_MARGIN = "it takes no margin of its own: its scores are sums of log-likelihoods"


def sharpness(title: str, what: str) -> Any:
    return Field(0.1, ge=0.001, le=5, title=title, description=f"How soon {what} has been won.")


class SVCO(Params):
    kind: Literal["svco"] = "svco"
    attend: float = sharpness("Attend β", "the lead of the matching image over no image")
    reject: float = sharpness("Reject β'", "the lead of no image over the contradicting one")
    symmetric: bool = Field(
        True,
        title="Both sides",
        description="The losing image with its own text as well; off, the winning text pays alone.",
    )


class DPO(Params):
    kind: Literal["dpo"] = "dpo"
    beta: float = sharpness("Sharpness β", "the lead of the winning text over the losing one")


def gained(log_prob_policy: Tensor, log_prob_reference: Tensor) -> Tensor:
    """(2, 3, B) by how much the policy finds a text likelier than the reference does."""
    return exact(log_prob_policy) - exact(log_prob_reference)


@loss(
    SVCO,
    title="S-VCO (symmetrical visual contrast)",
    source="Wu et al. 2025, arXiv:2502.13928",
    origin="code",
    papers=("svco",),
    family="logistic",
    formula=r"\log\big(1+e^{-\beta[D(i,y)-D(\varnothing,y)]}\big)+\log\big(1+e^{\beta'[D(i',y)-D(\varnothing,y)]}\big),"
    r"\quad D=\log\pi_\theta-\log\pi_{\mathrm{ref}}",
    claims=Claims(margin=NO_MARGIN),
    relations={"dpo": "between images for each text, measured from what the text is worth without an image"},
    variants=({}, {"symmetric": False, "attend": 1.0, "reject": 0.5}),
)
def svco(log_prob_policy: Tensor, log_prob_reference: Tensor, p: SVCO) -> Paid:
    """Makes a text likelier with its own image than without one, and less likely with the image that contradicts it.

    Args:
        log_prob_policy: (2, 3, B) summed log-likelihoods under the policy: the winning and the losing text, each given
            the winning image, the losing one and none.
        log_prob_reference: (2, 3, B) the same by the frozen reference, without gradient.
        p: sharpness of both parts, both sides or one.

    Returns:
        "attend" and "reject", each (2B,), first the winning texts, then the losing ones, or (B,) of the winning texts
        alone. One (2B, 2) or (B, 2) matrix: gain of each text with either image over its gain without one.
    """
    gain = gained(log_prob_policy, log_prob_reference)
    texts = 2 if p.symmetric else 1
    lift = (gain[:texts, :2] - gain[:texts, 2:]).transpose(1, 2)
    own, other = (torch.stack([lift[t, :, t if right else 1 - t] for t in range(texts)]) for right in (True, False))
    scores = torch.stack([own.flatten(), other.flatten()], dim=1)
    attend, reject = F.softplus(-p.attend * scores[:, 0]), F.softplus(p.reject * scores[:, 1])
    return Paid(
        {"attend": Term(attend).scaled(texts), "reject": Term(reject).scaled(texts)},
        (Pairs(scores, first_positive(scores)),),
    )


@loss(
    DPO,
    title="DPO (direct preference)",
    source="Rafailov et al. 2023, arXiv:2305.18290, eq. 7; the baseline of Wu et al. 2025, arXiv:2502.13928",
    papers=("svco",),
    family="logistic",
    formula=r"\log\big(1+e^{-\beta[D(i_w,y_w)-D(i_w,y_l)]}\big)",
    claims=Claims(margin=NO_MARGIN),
    relations={"svco": "between texts for one image: no image contradicts and none is left out"},
    variants=({}, {"beta": 1.0}),
)
def dpo(log_prob_policy: Tensor, log_prob_reference: Tensor, p: DPO) -> Paid:
    """Makes the winning text likelier than the losing one, given the winning image, beyond what the reference does.

    Args:
        log_prob_policy: (2, 3, B) as for S-VCO; only the winning image is looked at.
        log_prob_reference: (2, 3, B) the same by the frozen reference, without gradient.
        p: sharpness.

    Returns:
        One term per item; one (B, 2) matrix: gain of the winning and of the losing text.
    """
    scores = gained(log_prob_policy, log_prob_reference)[:, 0].T
    return Paid(
        {"": Term(F.softplus(p.beta * (scores[:, 1] - scores[:, 0])))}, (Pairs(scores, first_positive(scores)),)
    )
