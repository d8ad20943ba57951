"""How alike two spaces are, by who is near whom in each: the same items, embedded in two ways.

Every function takes unit rows, of any two widths, and raises ValueError, in one sentence, for any others.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from core.diagnostics.arrays import Array, unit_rows
from core.diagnostics.maps import nearest
from core.diagnostics.neighbours import Near
from core.diagnostics.registry import diagnostic

_RELEASED = "Huh et al. 2024, arXiv:2405.07987, as in the code that Xiao et al. 2025, arXiv:2510.11693, measure with"
Unbiased = Annotated[
    bool, Field(title="Unbiased", description="Leave each item's similarity to itself out, so that chance is 0.")
]


def _both(a: Array, b: Array, least: int) -> tuple[Tensor, Tensor]:
    x, y = unit_rows(a).double(), unit_rows(b).double()
    if len(x) != len(y):
        raise ValueError(f"got {len(x)} and {len(y)} items where both spaces hold the same; pair them row by row")
    if len(x) < least:
        raise ValueError(f"got {len(x)} items where at least {least} are needed; give more")
    return x, y


def _neighbours(x: Tensor, k: int) -> Tensor:
    """(N, k) the nearest others of each unit row, the nearest first."""
    if k > len(x) - 1:
        raise ValueError(f"got k = {k} for {len(x)} items; an item has {len(x) - 1} others")
    return nearest(x, k)[0]


def _ratio(across: Tensor, first: Tensor, second: Tensor) -> float:
    """across / sqrt(first second); NaN where one of the two has nothing to be alike in."""
    return float(across / (first * second).sqrt()) if bool((first > 1e-12) & (second > 1e-12)) else math.nan


@diagnostic(
    "mutual_knn",
    title="Mutual nearest neighbours",
    source=_RELEASED,
    origin="code",
    papers=("lco_emb",),
    values="0 (no neighbour shared) to 1 (the same neighbours)",
    chance="k / (N - 1) for independent embeddings",
)
def mutual_knn(a: Array, b: Array, *, k: Near = 10) -> float:
    """Share of an item's k nearest neighbours in one space that are among its k nearest in the other.

    Args:
        a: (N, D) unit rows, N above k.
        b: (N, any) unit rows of the same items.
        k: how many neighbours.

    Raises:
        ValueError: if the numbers of items differ, or there are no k others.
    """
    x, y = _both(a, b, 2)
    here, there = _neighbours(x, k), _neighbours(y, k)
    return float((here[:, :, None] == there[:, None, :]).sum()) / (len(x) * k)


@diagnostic(
    "cycle_knn",
    title="Cycle of nearest neighbours",
    source=_RELEASED,
    origin="code",
    papers=("lco_emb",),
    values="0 (nobody comes back) to 1 (everybody does)",
    chance="about 1 - (1 - k / (N - 1))^k for independent embeddings",
)
def cycle_knn(a: Array, b: Array, *, k: Near = 10) -> float:
    """Share of items that are, in the first space, a near neighbour of one of their own near neighbours in the second.

    Args:
        a: (N, D) unit rows, N above k.
        b: (N, any) unit rows of the same items.
        k: how many neighbours.

    Raises:
        ValueError: if the numbers of items differ, or there are no k others.
    """
    x, y = _both(a, b, 2)
    back = _neighbours(x, k)[_neighbours(y, k)].flatten(1)
    return float((back == torch.arange(len(x), device=x.device)[:, None]).any(dim=1).double().mean())


def _hsic(x: Tensor, y: Tensor, unbiased: bool) -> Tensor:
    """Up to a factor that the ratio loses: HSIC of inner products, without a matrix of all pairs."""
    if not unbiased:
        return ((x - x.mean(dim=0)).T @ (y - y.mean(dim=0))).square().sum()
    n, own_x, own_y = len(x), x.square().sum(dim=1), y.square().sum(dim=1)
    rows_x, rows_y = x @ x.sum(dim=0) - own_x, y @ y.sum(dim=0) - own_y
    both = (x.T @ y).square().sum() - (own_x * own_y).sum()
    return both + rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2)) - 2 * (rows_x * rows_y).sum() / (n - 2)


@diagnostic(
    "cka",
    title="Linear CKA",
    source=f"Kornblith et al. 2019, arXiv:1905.00414; unbiased: Song et al. 2012, JMLR 13; {_RELEASED}",
    origin="code",
    papers=("lco_emb",),
    values="0 (no similarity in common) to 1 (the same similarities); unbiased, it may be below 0",
    chance="0 if unbiased; else above 0, near 1 where D is large beside N",
)
def cka(a: Array, b: Array, *, unbiased: Unbiased = False) -> float:
    """Correlation of the inner products in two spaces, both centred; NaN where one space is a point.

    Args:
        a: (N, D) unit rows, N at least 4.
        b: (N, any) unit rows of the same items.
        unbiased: whether an item's similarity to itself is left out.

    Raises:
        ValueError: if the numbers of items differ, or there are fewer than 4.
    """
    x, y = _both(a, b, 4)
    return _ratio(_hsic(x, y, unbiased), _hsic(x, x, unbiased), _hsic(y, y, unbiased))


def _near(x: Tensor, k: int) -> Tensor:
    mask = torch.zeros(len(x), len(x), dtype=torch.bool, device=x.device)
    return mask.scatter_(1, _neighbours(x, k), True)


def _near_hsic(s: Tensor, t: Tensor, near: Tensor) -> Tensor:
    """The unbiased HSIC, up to the same factor, of similarities (N, N) of which only near ones are left."""
    n, u, v = len(s), s.where(near, 0), t.where(near, 0)
    both = (u * v.T).sum() + u.sum() * v.sum() / ((n - 1) * (n - 2))
    return both - 2 * (u.sum(dim=0) * v.sum(dim=1)).sum() / (n - 2)


@diagnostic(
    "cknna",
    title="CKNNA",
    source=f"{_RELEASED}; unbiased, of the inner products",
    origin="code",
    papers=("lco_emb",),
    values="near 0 (nothing in common among near neighbours) to 1 (the same); it may be below 0",
    chance="by simulation: a little above 0, less for small k",
)
def cknna(a: Array, b: Array, *, k: Near = 10) -> float:
    """Unbiased CKA of the similarities of those pairs alone that are near neighbours in both spaces.

    NaN where either space has nothing to be alike in.

    Args:
        a: (N, D) unit rows, N at least 4 and above k.
        b: (N, any) unit rows of the same items.
        k: how many neighbours.

    Raises:
        ValueError: if the numbers of items differ, or there are fewer than 4 items or no k others.
    """
    x, y = _both(a, b, 4)
    s, t, near_x, near_y = x @ x.T, y @ y.T, _near(x, k), _near(y, k)
    return _ratio(_near_hsic(s, t, near_x & near_y), _near_hsic(s, s, near_x), _near_hsic(t, t, near_y))


@diagnostic(
    "anisotropy",
    title="Anisotropy",
    source="Ethayarajh 2019, arXiv:1909.00512; as Xiao et al. 2025, arXiv:2510.11693, measure it",
    origin="code",
    papers=("lco_emb",),
    values="-1 / (N - 1) (centred on the origin) to 1 (one point)",
    chance="0 for random unit vectors",
)
def anisotropy(z: Array) -> float:
    """Mean cosine of two different items: how narrow the cone is in which all embeddings lie.

    Args:
        z: (N, D) unit rows, N at least 2.

    Raises:
        ValueError: if there is no pair.
    """
    x = unit_rows(z).double()
    if len(x) < 2:
        raise ValueError("got one embedding where anisotropy needs a pair; give at least two")
    n = len(x)
    return float(x.sum(dim=0).square().sum() - x.square().sum()) / (n * (n - 1))
