"""vCLUB: how much a prediction says about its own item beyond what it says about any, an upper bound of information."""

from typing import Literal

import torch
from torch import Tensor

from core.losses.candidates import exact
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.params import Params

APART = Claims(
    pulls="it makes two embeddings independent: the positive is pushed",
    pushes="it makes two embeddings independent: the negatives are pulled",
    margin="it takes no margin of its own: it is no contest",
)


class VCLUB(Params):
    kind: Literal["vclub"] = "vclub"


def bound(b: Tensor, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Pairs]:
    """(B,) what each item adds to the bound, and the (B, B) log-likelihoods without the part that cancels."""
    middle = exact(b).mean(dim=0)
    y, m, sharp = exact(b) - middle, exact(mean) - middle, torch.exp(-exact(log_variance))
    known = (m.square() * sharp).sum(dim=1, keepdim=True)
    likelihood = (m * sharp) @ y.T - (sharp @ y.square().T + known) / 2
    per = likelihood.diagonal() - likelihood.mean(dim=1)
    return per, Pairs(likelihood, diagonal_roles(len(m), len(y), y.device))


@loss(
    VCLUB,
    title="vCLUB (bound of mutual information)",
    source="Cheng et al. 2020, arXiv:2006.12013, eq. 15; the estimator of Wang et al. 2025, arXiv:2511.01588",
    origin="code",
    papers=("pdf_mim",),
    family="none",
    formula=r"\log q(b_i\mid a_i)-\tfrac1B\sum_j\log q(b_j\mid a_i),\quad q=\mathcal N(\mu(a),e^{\ell(a)})",
    claims=APART,
    relations={"info_nce": "minimised to make the two sides independent, by the likelihoods of a Gaussian"},
)
def vclub(b: Tensor, predicted_mean: Tensor, predicted_log_variance: Tensor, p: VCLUB) -> Paid:
    """Makes it useless to predict one embedding of an item from another one.

    Args:
        b: (B, D) embeddings that are predicted.
        predicted_mean: (B, D) mean of what is predicted from a, by a predictor that is not trained by this loss.
        predicted_log_variance: (B, D) log variance of it.
        p: nothing to be set.

    Returns:
        One term per item, of either sign; one (B, B) matrix: log-likelihood of candidate j under the prediction of
        anchor i, without its normalisation.
    """
    per, pairs = bound(b, predicted_mean, predicted_log_variance)
    return Paid({"": Term(per)}, (pairs,))
