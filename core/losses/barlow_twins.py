"""Barlow Twins: each dimension is to say of both views the same, and nothing that another dimension says."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from core.losses.moments import OF_DIMENSIONS, standardised
from core.losses.registry import Claims, loss
from core.paid import Paid, Term
from core.params import Params


class BarlowTwins(Params):
    kind: Literal["barlow_twins"] = "barlow_twins"
    redundancy: float = Field(
        0.0051, ge=0, le=1, title="Redundancy λ", description="Weight of the correlations between different dimensions."
    )


@loss(
    BarlowTwins,
    title="Barlow Twins (redundancy reduction)",
    source="Zbontar et al. 2021, arXiv:2103.03230, eq. 1 and 2; standardised by batch normalisation, as in their code",
    origin="code",
    family="none",
    formula=r"\begin{aligned}&\sum_k(1-C_{kk})^2+\lambda\sum_k\sum_{l\neq k}C_{kl}^2,\\"
    r"&C_{kl}=\tfrac1B\sum_i\hat a_{ik}\hat b_{il},\quad "
    r"\hat x=\frac{x-\bar x}{\sqrt{\mathrm{var}(x)+10^{-5}}}\end{aligned}",
    claims=Claims(
        pulls=OF_DIMENSIONS, pushes=OF_DIMENSIONS, margin="it knows no margin: no pair is set against another"
    ),
    relations={
        "vicreg": "with correlations between the two sides where that one has covariances within each",
        "w_mse": "asks for dimensions that share nothing, where that one makes them so beforehand",
    },
    variants=({}, {"redundancy": 0.5}),
)
def barlow_twins(a: Tensor, b: Tensor, p: BarlowTwins) -> Paid:
    """Asks that a dimension be the same in both views, and that no two dimensions be correlated over the batch.

    Every dimension is standardised over the batch first, so that the length of the embeddings hardly matters; one that
    does not vary is 0 and pays 1.

    Args:
        a: (B, D) first view of each item, of any length; B >= 2, and more than D for all dimensions to be of use.
        b: (B, D) second view.
        p: weight of the redundancy.

    Returns:
        "invariance" and "redundancy", (D,) each, summed over the dimensions. There are no pairs.
    """
    correlation = standardised(a).T @ standardised(b) / len(a)
    own = correlation.diagonal()
    shared = (correlation - own.diag()).square().sum(dim=1)
    return Paid(
        {
            "invariance": Term((1 - own).square(), "dimension", 1.0),
            "redundancy": Term(shared, "dimension", p.redundancy),
        }
    )
