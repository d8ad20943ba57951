"""Maps: flat pictures of the embeddings, by PCA at once and by UMAP in a worker."""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, rows
from core.diagnostics.registry import diagnostic
from core.streams import stream

COLD_EPOCHS, WARM_EPOCHS = 100, 30
TINY = 1e-3


@dataclass(frozen=True)
class Basis:
    """Axes of a linear map. `mean` (D,); `axes` (D, dims), orthonormal; `explained` (dims,) shares of the variance,
    0 where the items do not differ.
    """

    mean: Tensor
    axes: Tensor
    explained: tuple[float, ...]

    def project(self, x: Array) -> Tensor:
        """(N, dims) coordinates of any embeddings (N, D) on these axes: one basis keeps a layout steady over epochs."""
        return (rows(x).to(self.axes) - self.mean) @ self.axes


@dataclass(frozen=True)
class Layout:
    """`coordinates` (N, 2). `tiny`: the items hardly differ, so these are PCA's coordinates and not UMAP's."""

    coordinates: Tensor
    tiny: bool


@diagnostic(
    "pca",
    title="Map by PCA",
    source="Pearson 1901; axes of the largest variance of the centred embeddings",
    values="coordinates in units of the embeddings; explained shares 0 to 1",
    chance="for random unit vectors each axis explains about 1/D",
)
def pca(x: Array, *, dims: int = 2) -> Basis:
    """The axes along which the embeddings (N, D) vary most, each signed so that its largest entry is positive.

    Args:
        x: (N, D).
        dims: axes, at most D.

    Raises:
        ValueError: if there are more axes than dimensions, or NaN among the embeddings.
    """
    z = rows(x)
    if not 1 <= dims <= z.shape[1]:
        raise ValueError(f"got {dims} axes for {z.shape[1]} dimensions; ask for at most as many as there are")
    mean = z.mean(dim=0)
    centred = z - mean
    variance, axes = torch.linalg.eigh((centred.T @ centred).cpu().double())
    variance, axes = variance.flip(0).clamp(min=0), axes.flip(1)[:, :dims]
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    total, rounding = float(variance.sum()), (8 * torch.finfo(z.dtype).eps) ** 2 * float(z.square().sum())
    explained = variance[:dims] / total if total > rounding else torch.zeros(dims)
    return Basis(mean, axes.to(z), tuple(explained.tolist()))


def nearest(x: Array, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest other items of each item, exact, in chunks.

    Args:
        x: (N, D).
        k: neighbours, at most N - 1.

    Returns:
        (N, k) int64 indices, nearest first, and (N, k) Euclidean distances. The squares are formed from inner products:
        distances below about 3e-4 of the rows' length are rounding in float32.

    Raises:
        ValueError: if there are not enough items.
    """
    z = rows(x)
    if not 1 <= k < len(z):
        raise ValueError(f"got {len(z)} items and {k} neighbours; ask for fewer neighbours than there are other items")
    z = z - z.mean(dim=0)
    half = z.square().sum(dim=1) / 2
    indices, distances = [], []
    for start in range(0, len(z), CHUNK):
        closeness = torch.addmm(-half, z[start : start + CHUNK], z.T)
        closeness.diagonal(start).fill_(-torch.inf)
        near = closeness.topk(k, dim=1)
        indices.append(near.indices)
        distances.append((2 * (half[start : start + CHUNK, None] - near.values)).clamp(min=0).sqrt())
    return torch.cat(indices), torch.cat(distances)


def squared_distances(z: Tensor, start: int) -> Tensor:
    """(n, N) squared distances of a chunk of rows to all rows, infinite to themselves."""
    part = z[start : start + CHUNK]
    norms = z.square().sum(dim=1)
    squares = torch.addmm(norms[None, :] + norms[start : start + CHUNK, None], part, z.T, alpha=-2)
    squares.diagonal(start).fill_(torch.inf)
    return squares


def pca_layout(x: Array) -> Tensor:
    """(N, 2) the map by PCA."""
    return pca(x).project(x)


def hardly_differ(x: Array) -> bool:
    """Whether the embeddings (N, D) lie within 0.1 % of their length of their centroid (root mean square)."""
    z = rows(x)
    return bool((z - z.mean(dim=0)).square().sum() <= TINY**2 * z.square().sum())


@diagnostic(
    "umap",
    title="Map by UMAP",
    source="McInnes et al. 2018, arXiv:1802.03426; umap-learn with exact neighbours and a start by PCA",
    values="coordinates without a unit; distances between groups mean little",
    chance="noise is drawn as one even cloud; see the trustworthiness",
)
def umap_layout(
    x: Array,
    start: Array | None = None,
    *,
    neighbours: int = 15,
    min_dist: float = 0.1,
    spread: float = 1.0,
    epochs: int | None = None,
    seed: int = 0,
) -> Layout:
    """The map by UMAP; for a worker: the first one in a process imports for seconds, on a new machine it compiles too.

    The rows are shuffled before and put back after: on data that hardly differ UMAP draws groups that follow the order
    of the rows (lmcinnes/umap#840), and such data are not given to it at all. One thread, so that a seed decides the
    map.

    Args:
        x: (N, D) embeddings, at least 3.
        start: (N, 2) an earlier layout to start from, so that the picture stays steady; without it, PCA's.
        neighbours: items that count as near, the item itself among them, from 2; cut to N - 1.
        min_dist: how tightly points may be packed, at most `spread`.
        spread: the scale of the clumps.
        epochs: rounds of optimisation; without it 100, or 30 from an earlier layout.
        seed: address of the shuffling and of UMAP's own draws.

    Raises:
        ValueError: if there are fewer than 3 items, `min_dist` exceeds `spread`, or the start has other rows.
    """
    z = rows(x)
    n = len(z)
    if not 0 <= min_dist <= spread:
        raise ValueError(
            f"got min_dist {min_dist} and spread {spread}; expected 0 <= min_dist <= spread: lower min_dist"
        )
    if n < 3 or neighbours < 2 or (start is not None and tuple(start.shape) != (n, 2)):
        raise ValueError(
            f"got {n} items, {neighbours} neighbours and a start of {'no' if start is None else len(start)} places; "
            "expected at least 3 items, 2 neighbours and on the start two coordinates for each item"
        )
    if hardly_differ(z):
        return Layout(pca_layout(z), tiny=True)
    g = stream(seed, "umap")
    order = torch.randperm(n, generator=g).to(z.device)
    shuffled = z[order]
    place = (pca_layout(z) if start is None else rows(start).to(z))[order]
    centre = place.mean(dim=0)
    scaled = 10 * (place - centre) / (place - centre).abs().amax().clamp(min=torch.finfo(z.dtype).tiny)
    scaled = scaled.cpu().float() + 1e-4 * torch.randn(n, 2, generator=g)
    k = min(neighbours, n - 1)
    indices, distances = nearest(shuffled, k - 1)
    self_first = torch.arange(n, device=z.device)[:, None]
    near = (
        torch.cat([self_first, indices], dim=1).cpu().numpy(),
        torch.cat([torch.zeros_like(distances[:, :1]), distances], dim=1).float().cpu().numpy(),
    )
    drawn = _drawn(
        shuffled.cpu().numpy(),
        n_neighbors=k,
        min_dist=min_dist,
        spread=spread,
        n_epochs=epochs or (COLD_EPOCHS if start is None else WARM_EPOCHS),
        init=scaled.numpy(),
        precomputed_knn=near,
        random_state=g.initial_seed() % 2**32,
        n_jobs=1,
    )
    coordinates = torch.empty_like(drawn)
    coordinates[order.cpu()] = drawn
    shift = centre.cpu() - coordinates.mean(dim=0) if start is not None else -coordinates.mean(dim=0)
    return Layout((coordinates + shift).to(z), tiny=False)


def _drawn(x: np.ndarray, **settings: Any) -> Tensor:
    """(N, 2) what umap-learn draws; torch's thread count, which numba's threads change on the way, is put back."""
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.from_numpy(_umap()(**settings).fit_transform(x))
    finally:
        torch.set_num_threads(threads)


@cache
def _umap() -> type:
    """umap-learn, which keeps on disk what numba compiled of it: that takes longer than a map, in every process."""
    from umap import UMAP, umap_

    for slow in (umap_.smooth_knn_dist, umap_.compute_membership_strengths):
        slow.enable_caching()
    return UMAP
