"""MoCo on transformed features: harder positives, drawn apart, and more diverse negatives, mixed with each other."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import beside, exactly, first_cost
from core.losses.fields import lead, temperature
from core.losses.registry import loss
from core.paid import Paid, Term
from core.params import Params, only
from core.procedures.feature_transform import (
    Extrapolation,
    Interpolation,
    negative_interpolation,
    positive_extrapolation,
)


def _concentration(default: float, title: str, **when: Any) -> Any:
    what = "α of Beta(α, α); smaller draws nearer to its ends."
    return Field(default, ge=0.1, le=10, title=title, description=what, json_schema_extra=only(**when))


class FeatureTransform(Params):
    kind: Literal["feature_transform"] = "feature_transform"
    temperature: float = temperature(0.2)
    margin: float = lead()
    positives: Literal["extrapolate", "interpolate", "none"] = Field(
        "extrapolate", title="Positives", description="Draw each pair apart, together, or leave it."
    )
    positive_alpha: float = _concentration(2.0, "Concentration of positives", positives=("extrapolate", "interpolate"))
    negatives: bool = Field(True, title="Mix negatives", description="Mix the entries of the bank with each other.")
    negative_alpha: float = _concentration(1.6, "Concentration of negatives", negatives=True)
    by_dimension: bool = Field(
        False, title="Per dimension", description="Draw for each coordinate of each embedding, not once a batch."
    )
    normalise: bool = Field(False, title="Unit length", description="Make unit vectors of a transformed pair.")


def _plan(given: Mapping[str, Tensor], p: FeatureTransform, g: Generator) -> dict[str, Tensor]:
    a, bank = given["a"], given["bank"]

    def beta(like: Tensor, alpha: float) -> Tensor:
        """Shares from Beta(α, α) in the shape of `like`; one for all of them unless drawn by dimension."""
        shape = like.shape if p.by_dimension else (1, 1)
        one, other = (torch._standard_gamma(torch.full(shape, alpha).double(), generator=g) for _ in range(2))
        return (one / (one + other)).to(like).expand_as(like)

    share = beta(a, p.positive_alpha)
    stretch = {"extrapolate": 1 + share, "interpolate": share, "none": torch.ones_like(a)}[p.positives]
    order = torch.randperm(len(bank), generator=g).to(bank.device)
    kept = beta(bank, p.negative_alpha)
    return {"stretch": stretch, "bank_partner": order, "bank_share": kept if p.negatives else torch.ones_like(bank)}


@loss(
    FeatureTransform,
    title="Feature transformation",
    source="Zhu et al. 2021, arXiv:2108.02982, sec. 4",
    origin="code",
    papers=("feature_transform",),
    family="softmax",
    formula=r"-\log\frac{e^{(\langle\hat a_i,\hat b_i\rangle-m)/\tau}}"
    r"{e^{(\langle\hat a_i,\hat b_i\rangle-m)/\tau}+\sum_ke^{\langle\hat a_i,\hat n_k\rangle/\tau}},\quad "
    r"\hat a=\lambda a+(1-\lambda)b,\;\hat n_k=\lambda'n_k+(1-\lambda')n_{\pi(k)}",
    relations={"moco": "on pairs that are drawn apart and a bank that is mixed"},
    variants=({}, {"temperature": 0.5, "margin": 0.2, "by_dimension": True, "normalise": True}),
    plan=_plan,
    planned=("stretch", "bank_partner", "bank_share"),
)
def feature_transform(
    a: Tensor,
    teacher: Tensor,
    bank: Tensor,
    stretch: Tensor,
    bank_partner: Tensor,
    bank_share: Tensor,
    p: FeatureTransform,
    *,
    margin: Tensor | None = None,
) -> Paid:
    """Contrasts pairs that are drawn further apart with a bank whose entries are mixed.

    The transformed anchor meets the negatives too, and the anchor's gradient flows through both of the pair.

    Args:
        a: (B, D) embedding of each anchor.
        teacher: (B, D) its key, without gradient.
        bank: (K, D) keys of earlier batches, without gradient; it is mixed for this payment alone.
        stretch: (B, D) λ of each coordinate of a pair, 1 for none.
        bank_partner: (K,) the entry that is mixed into each of the bank.
        bank_share: (K, D) share of the entry itself.
        p: temperature, margin, what is drawn, and whether a transformed pair is made unit length.
        margin: () or (B,), instead of `p.margin`.

    Returns:
        One term per anchor, (B,); (B, 1 + K) pairs after the transformation, the key first.
    """
    own, key = positive_extrapolation(
        exactly(a), exactly(teacher), exactly(stretch), Extrapolation(normalise=p.normalise)
    )
    keys = negative_interpolation(exactly(bank), bank_partner, exactly(bank_share), Interpolation())
    pairs = beside(own, key, keys)
    return Paid({"": Term(first_cost(pairs, p.temperature, p.margin if margin is None else margin))}, (pairs,))
