"""The shape of a cloud of unit embeddings: near its positives, spread out, in how many directions, and how far apart.

Every function takes unit rows and raises ValueError, in one sentence, for any others.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.arrays import Array, unit_rows
from core.diagnostics.neighbours import cosine_blocks
from core.diagnostics.registry import diagnostic
from core.streams import stream

_T = 2.0
_DRAWS = 8
_LARGE = 1_000_000


@diagnostic(
    "alignment",
    title="Alignment",
    source="Wang and Isola 2020, arXiv:2005.10242, sec. 4.1, alpha 2",
    values="0 (each item on its positive) to 4 (each item opposite to it)",
    chance="2 for random unit vectors",
)
def alignment(a: Array, b: Array) -> float:
    """Mean squared distance of the two embeddings of each item.

    Args:
        a: (N, D) unit rows.
        b: (N, D) unit rows, the positive of each.

    Raises:
        ValueError: if the shapes differ.
    """
    x, y = unit_rows(a), unit_rows(b)
    if x.shape != y.shape:
        raise ValueError(f"got embeddings of shapes {tuple(x.shape)} and {tuple(y.shape)}; pair them row by row")
    return float((x - y).square().sum(dim=1).mean())


def chance_alignment() -> float:
    """The expected alignment of independent random unit vectors, in any dimension: E|a - b|^2 = 2 - 2 E<a, b> = 2."""
    return 2.0


@diagnostic(
    "uniformity",
    title="Uniformity",
    source="Wang and Isola 2020, arXiv:2005.10242, eq. 8, t = 2",
    values="-8 (two opposite points) to 0 (one point); lower is more spread out",
    chance="log 0F1(D/2; 4) - 4, about -3.94 at D = 128",
)
def uniformity(z: Array) -> float:
    """Log of the mean of exp(-2 |z_i - z_j|^2) over all pairs of different items.

    It is an average over pairs: a handful of items can lie below the chance level that many items reach.

    Args:
        z: (N, D) unit rows, N at least 2.

    Raises:
        ValueError: if there is no pair.
    """
    x = unit_rows(z)
    if len(x) < 2:
        raise ValueError("got one embedding where uniformity needs a pair; give at least two")
    return mean_energy(math.fsum(energy(i, j, block) for i, j, block in cosine_blocks(x)), len(x))


def energy(i: int, j: int, cosines: Tensor) -> float:
    """Sum of exp(-2 |z_i - z_j|^2) over the ordered pairs of a block of `cosine_blocks`, which is overwritten."""
    total = cosines.clamp_(max=1).sub_(1).mul_(2 * _T).exp_().sum()
    return float(total) * (1 if i == j else 2)


def mean_energy(total: float, n: int) -> float:
    """The uniformity of n items from the sum of the `energy` of all blocks."""
    return math.log(total) - math.log(n * (n - 1))


def chance_uniformity(dim: int) -> float:
    """The uniformity of many independent random unit vectors in `dim` dimensions, in closed form.

    E exp(-2t(1 - s)) = exp(-2t) 0F1(D/2; t^2) for the cosine s of two of them, by the power series.
    """
    term = total = 1.0
    k = 0
    while term > 1e-17 * total:
        term *= _T**2 / ((k + 1) * (dim / 2 + k))
        total += term
        k += 1
    return math.log(total) - 2 * _T


@diagnostic(
    "spread",
    title="Spread",
    source="mean squared distance to the centroid, 1 - |centroid|^2 for unit rows",
    origin="recalled",
    values="0 (one point) to 1 (centred on the origin)",
    chance="1 - 1/N for random unit vectors",
)
def spread(z: Array) -> float:
    """Mean squared distance of the embeddings (N, D) to their centroid: their total variance."""
    x = unit_rows(z)
    return float((x - x.mean(dim=0)).square().sum(dim=1).mean())


def chance_spread(n: int) -> float:
    """The expected spread of n independent random unit vectors: E|centroid|^2 = 1/n."""
    return 1 - 1 / n


def _singular_values(x: Tensor) -> Tensor:
    """Singular values of the centred rows, descending; all 0 where the rows differ by rounding only."""
    centred = x - x.mean(dim=0)
    values = torch.linalg.svdvals(centred)
    noise = 8 * torch.finfo(x.dtype).eps * math.sqrt(len(x))
    return torch.where(values[0] > noise, values, 0)


@diagnostic(
    "effective_rank",
    title="Effective rank",
    source="Roy and Vetterli 2007, EUSIPCO, def. 1, of the centred embeddings; singular values, not eigenvalues",
    values="0 (full collapse: no variance at all), else 1 (one line) to min(N - 1, D) (all directions alike)",
    chance="by simulation: close to min(N - 1, D), lower where N and D are alike",
)
def effective_rank(z: Array) -> float:
    """exp of the entropy of the singular values as shares: in how many directions the embeddings (N, D) differ."""
    values = _singular_values(unit_rows(z))
    total = values.sum()
    if not bool(total > 0):
        return 0.0
    return float(torch.special.entr(values / total).sum().exp())


def max_rank(n: int, dim: int) -> int:
    """The largest effective rank that n centred embeddings in `dim` dimensions can have."""
    return min(n - 1, dim)


@diagnostic(
    "spectrum",
    title="Spectrum",
    source="singular values of the centred embeddings, as shares of their sum",
    origin="recalled",
    values="shares, descending, that add up to 1; all 0 at full collapse",
    chance="by simulation: falling gently, flat for N much larger than D",
)
def spectrum(z: Array) -> Tensor:
    """(min(N, D),) singular values of the centred embeddings (N, D) over their sum, descending, without a graph."""
    values = _singular_values(unit_rows(z))
    return values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)


@functools.lru_cache(maxsize=64)
def chance_spectrum(n: int, dim: int, seed: int = 0) -> tuple[float, ...]:
    """The spectrum of n independent random unit vectors in `dim` dimensions: mean of 8 seeded draws, or 1 large one."""
    return tuple(torch.stack([spectrum(_random(n, dim, seed, k)) for k in _draws(n, dim)]).mean(dim=0).tolist())


@functools.lru_cache(maxsize=64)
def chance_effective_rank(n: int, dim: int, seed: int = 0) -> float:
    """The effective rank of n independent random unit vectors in `dim` dimensions, drawn as for `chance_spectrum`."""
    draws = _draws(n, dim)
    return math.fsum(effective_rank(_random(n, dim, seed, k)) for k in draws) / len(draws)


def _draws(n: int, dim: int) -> range:
    """Which clouds are drawn: a large one is like any other of its size."""
    return range(_DRAWS if n * dim <= _LARGE else 1)


def _random(n: int, dim: int, seed: int, draw: int) -> Tensor:
    return F.normalize(torch.randn(n, dim, generator=stream(seed, "chance", n, dim, draw)), dim=1)


@diagnostic(
    "modality_gap",
    title="Modality gap",
    source="Liang et al. 2022, arXiv:2203.02053, sec. 2: distance of the centroids",
    values="0 (one centre) to 2 (each modality one point, opposite)",
    chance="sqrt(1/N_a + 1/N_b) for random unit vectors",
)
def modality_gap(a: Array, b: Array) -> float:
    """Distance of the centroids of two modalities, (N_a, D) and (N_b, D) unit rows."""
    return float((unit_rows(a).mean(dim=0) - unit_rows(b).mean(dim=0)).norm())


def chance_modality_gap(n_a: int, n_b: int) -> float:
    """The root mean square gap of independent random unit vectors: each centroid has E|c|^2 = 1/n."""
    return math.sqrt(1 / n_a + 1 / n_b)
