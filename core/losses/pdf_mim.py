"""Parallel embeddings: several heads each find their positive, and know as little of each other as they can."""

from itertools import combinations
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.candidates import exact
from core.losses.fields import temperature, weight
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.registry import Claims, loss
from core.losses.vclub import bound
from core.paid import Paid, Term
from core.params import Params


class PDFMIM(Params):
    kind: Literal["pdf_mim"] = "pdf_mim"
    temperature: float = temperature(0.02)
    independence: float = weight(0.01, "Independence λ", "the information that the heads share")


class GaussianFit(Params):
    kind: Literal["gaussian_fit"] = "gaussian_fit"


@loss(
    PDFMIM,
    title="Parallel heads, kept independent",
    source="Wang et al. 2025, arXiv:2511.01588, reconstructed from its abstract and summaries; the weight is a guess",
    origin="recalled",
    papers=("pdf_mim",),
    family="softmax",
    formula=r"\ell\Big(\overline z,\overline z'\Big)+\tfrac1C\sum_n\ell(z_n,z_n')+\lambda\sum_{m<n}\hat I(z_m;z_n),"
    r"\quad\ell=\text{InfoNCE},\ \hat I=\text{vCLUB}",
    claims=Claims(
        pulls="the heads' independence pushes what is predicted from its own item",
        pushes="the heads' independence pulls what is predicted from other items",
        margin="it takes no margin of its own: that of the paper's training is not known",
    ),
    relations={
        "info_nce": "for every head and for their mean, with the heads kept independent",
        "vclub": "between the heads of a loss that pulls positives together",
    },
    work="N x N scores for each of C heads, for their mean and for every two of them.",
)
def pdf_mim(heads: Tensor, other_heads: Tensor, head_means: Tensor, head_log_variances: Tensor, p: PDFMIM) -> Paid:
    """Lets every head and the mean of all find the positive, while no head tells what another one says.

    Args:
        heads: (C, B, D) embeddings of the anchors under each head.
        other_heads: (C, B, D) embeddings of their positives under the same heads.
        head_means: (C, C, B, D) what head m predicts of head n of the same anchor, m < n: mean of a Gaussian.
        head_log_variances: (C, C, B, D) log variance of it. The predictors are not trained by this loss.
        p: temperature, weight of the independence.

    Returns:
        "aggregate", "head.n" and "dependence.m.n", one term per anchor each; a (B, B) matrix of pairs for each, in
        this order.
    """
    asks = InfoNCE(temperature=p.temperature)
    z, other = exact(heads), exact(other_heads)
    whole = info_nce(F.normalize(z.mean(dim=0), dim=-1), F.normalize(other.mean(dim=0), dim=-1), asks)
    terms, pairs = {"aggregate": whole.terms[""]}, list(whole.pairs)
    for n in range(len(z)):
        one = info_nce(z[n], other[n], asks)
        terms[f"head.{n}"] = one.terms[""].scaled(1 / len(z))
        pairs += one.pairs
    for m, n in combinations(range(len(z)), 2):
        shared, likelihoods = bound(z[n], head_means[m, n], head_log_variances[m, n])
        terms[f"dependence.{m}.{n}"] = Term(shared).scaled(p.independence)
        pairs.append(likelihoods)
    return Paid(terms, tuple(pairs))


@loss(
    GaussianFit,
    title="Fit of a Gaussian predictor",
    source="Cheng et al. 2020, arXiv:2006.12013, as in its authors' code: twice the likelihood, for the variance once",
    origin="code",
    papers=("pdf_mim",),
    family="none",
    formula=r"\sum_d\big[(b_{id}-\mu_{id})^2e^{-\ell_{id}}+\ell_{id}\big]",
    claims=Claims(
        pulls="it shows no pairs: each item is fitted by itself",
        pushes="it shows no pairs: each item is fitted by itself",
        margin="it takes no margin of its own: it is no contest",
    ),
    relations={"vclub": "trains the predictor whose likelihoods that bound compares"},
)
def gaussian_fit(b: Tensor, predicted_mean: Tensor, predicted_log_variance: Tensor, p: GaussianFit) -> Paid:
    """Teaches a predictor to say one embedding of an item from another one, and how surely.

    It is paid in turn with the bound, on embeddings handed in without gradient.

    Args:
        b: (B, D) embeddings that are predicted.
        predicted_mean: (B, D) mean of what is predicted.
        predicted_log_variance: (B, D) log variance of it.
        p: nothing to be set.

    Returns:
        One term per item, of either sign; no pairs.
    """
    spread = exact(predicted_log_variance)
    missed = (exact(b) - exact(predicted_mean)).square() * torch.exp(-spread)
    return Paid({"": Term((missed + spread).sum(dim=1))})
