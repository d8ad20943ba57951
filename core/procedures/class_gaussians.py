"""Gaussians of classes whose labels are partly wrong and whose sizes differ: cleaned, borrowed from, and drawn from."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure

TINY = 1e-10  # what is added to a mean distance, as in scikit-learn, where items coincide
RECALLED = "; the constants are recalled, not read"


class LocalOutlierFactor(Params):
    kind: Literal["local_outlier_factor"] = "local_outlier_factor"
    k: int = Field(20, ge=1, le=200, title="Neighbours k", description="Of the same class; fewer in a small one.")


class ClassGaussians(Params):
    kind: Literal["class_gaussians"] = "class_gaussians"
    most: float = Field(
        1.5, ge=1, le=10, title="Highest factor", description="Items that lie farther out by this factor are left out."
    )


class TailBorrowing(Params):
    kind: Literal["tail_borrowing"] = "tail_borrowing"
    gamma: float = Field(0.3, ge=0, le=1, title="Borrowed share γ", description="What the near head classes say.")
    q: int = Field(3, ge=1, le=100, title="Near classes q", description="How many head classes a tail class asks.")
    alpha: float = Field(0, ge=0, le=10, title="Widening α", description="Added to the variance in every direction.")
    heads: float = Field(0.5, gt=0, lt=1, title="Head classes", description="Share of the classes, the largest ones.")
    spread: Literal["independent", "convex"] = Field(
        "independent", title="Covariance of a mix", description="Of a sum of independent parts, or a weighted mean."
    )


class ClassSamples(Params):
    kind: Literal["class_samples"] = "class_samples"


def _exact(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


@procedure(
    LocalOutlierFactor,
    title="Local outlier factor within classes",
    source="Breunig et al. 2000, doi 10.1145/335191.335388; within classes: Zhang et al. 2023, arXiv:2211.10955",
    formula=r"\mathrm{LOF}_i=\frac1k\sum_{j\in N_k(i)}\frac{d_j}{d_i},\quad "
    r"d_i^{-1}=\frac1k\sum_{j\in N_k(i)}\max(\|x_i-x_j\|,\,r_j)",
    origin="paper",
    papers=("rcal",),
)
def local_outlier_factor(x: Tensor, labels: Tensor, p: LocalOutlierFactor) -> Tensor:
    """Says how much sparser it is around each item than around its nearest neighbours of the same class.

    Args:
        x: (N, D) embeddings, of any length.
        labels: (N,) class of each item, as it is known.
        p: neighbours.

    Returns:
        (N,) about 1 within a class, above it farther out; 1 for an item that is alone.
    """
    z = _exact(x)
    found = torch.ones(len(z), dtype=z.dtype, device=z.device)
    for kind in labels.unique():
        members = (labels == kind).nonzero().squeeze(1)
        if len(members) > 1:
            found = found.index_copy(0, members, _factor(z[members], min(p.k, len(members) - 1)))
    return found


def _factor(x: Tensor, k: int) -> Tensor:
    """(n,) factors of n > k items by their k nearest others."""
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    near, place = distance.masked_fill(itself, torch.inf).topk(k, dim=1, largest=False)
    density = 1 / (torch.maximum(near, near[:, -1][place]).mean(dim=1) + TINY)
    return density[place].mean(dim=1) / density


@procedure(
    ClassGaussians,
    title="Gaussian of each class",
    source="Zhang et al. 2023, arXiv:2211.10955: outliers left out, mean and unbiased covariance of the rest",
    formula=r"\hat\mu_k=\frac1{n_k}\sum_iz_i,\qquad"
    r"\hat\Sigma_k=\frac1{n_k-1}\sum_i(z_i-\hat\mu_k)(z_i-\hat\mu_k)^\top,\qquad\mathrm{LOF}_i\le f",
    papers=("rcal",),
)
def class_gaussians(x: Tensor, labels: Tensor, factor: Tensor, p: ClassGaussians) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates mean and covariance of each class without the items that lie far out.

    Args:
        x: (N, D) embeddings, of any length.
        labels: (N,) class of each item, from 0 to C - 1, each with an item.
        factor: (N,) `local_outlier_factor` of each item; ones leave everybody in.
        p: highest factor.

    Returns:
        Means (C, D), unbiased covariances (C, D, D), 0 for a class of one, and the number of items (C,) in them. The
        item of a class that lies farthest in always counts.
    """
    z, means, covariances, counts = _exact(x), [], [], []
    for kind in range(int(labels.max()) + 1):
        own = labels == kind
        here = own & (factor <= factor[own].amin().clamp_min(p.most))
        mean = z[here].mean(dim=0)
        apart = z[here] - mean
        means.append(mean)
        covariances.append(apart.mT @ apart / (here.sum() - 1).clamp_min(1))
        counts.append(here.sum())
    return torch.stack(means), torch.stack(covariances), torch.stack(counts)


@procedure(
    TailBorrowing,
    title="Small classes borrow from near large ones",
    source="Zhang et al. 2023, arXiv:2211.10955" + RECALLED,
    formula=r"\mu'_k=(1-\gamma)\hat\mu_k+\gamma\sum_j\omega_j\hat\mu_j,\quad"
    r"\Sigma'_k=(1-\gamma)^2\hat\Sigma_k+\gamma^2\sum_j\omega_j^2\hat\Sigma_j+\alpha I,\quad "
    r"\omega_j\propto\frac{n_j}{\|\hat\mu_j-\hat\mu_k\|}",
    origin="recalled",
    papers=("rcal",),
)
def tail_borrowing(means: Tensor, covariances: Tensor, counts: Tensor, p: TailBorrowing) -> tuple[Tensor, Tensor]:
    """Draws the Gaussian of each small class to those of its nearest large classes, the larger and nearer the more.

    The constants are recalled and not the paper's own, and so is which classes are large.

    Args:
        means: (C, D).
        covariances: (C, D, D).
        counts: (C,) items of each class.
        p: borrowed share, number of near classes, widening, share of head classes, how covariances are mixed.

    Returns:
        Means (C, D) and covariances (C, D, D); the head classes, one at least, keep theirs.
    """
    order = counts.argsort(descending=True, stable=True)
    heads = order[: max(1, round(p.heads * len(counts)))]
    distance, near = torch.cdist(means, means[heads]).topk(min(p.q, len(heads)), dim=1, largest=False)
    chosen = heads[near]
    weight = counts[chosen] / distance.clamp_min(TINY)
    share = p.gamma * weight / weight.sum(dim=1, keepdim=True)
    own, own_spread = 1 - p.gamma, 1 - p.gamma
    taken = share
    if p.spread == "independent":
        own_spread, taken = own**2, share.square()
    moved = own * means + torch.einsum("cq,cqd->cd", share, means[chosen])
    wider = own_spread * covariances + torch.einsum("cq,cqde->cde", taken, covariances[chosen])
    wider = wider + p.alpha * torch.eye(means.shape[1], dtype=means.dtype, device=means.device)
    head = torch.zeros(len(counts), dtype=torch.bool, device=means.device).index_fill(0, heads, True)
    return torch.where(head[:, None], means, moved), torch.where(head[:, None, None], covariances, wider)


@procedure(
    ClassSamples,
    title="Items drawn from the Gaussian of each class",
    source="Zhang et al. 2023, arXiv:2211.10955: so many that the classes come out alike in size",
    formula=r"\tilde z=\mu_k+\Sigma_k^{1/2}\epsilon,\qquad\epsilon\sim\mathcal N(0,I)",
    papers=("rcal",),
)
def class_samples(means: Tensor, covariances: Tensor, draws: Tensor, p: ClassSamples) -> Tensor:
    """Makes items of each class out of standard normal draws.

    Args:
        means: (C, D).
        covariances: (C, D, D) symmetric, of any rank.
        draws: (C, M, D) standard normal.
        p: nothing to choose.

    Returns:
        (C, M, D), M items of each class.
    """
    s, axes = torch.linalg.eigh(covariances)
    root = (axes * s.clamp_min(0).sqrt()[:, None, :]) @ axes.mT
    return means[:, None, :] + draws @ root
