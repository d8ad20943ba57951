"""Batches of neighbours: items that are hard to tell apart meet, by where they are or by how they look at present."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from core.params import Params
from core.procedures.registry import procedure

_SOURCE = "Deuser et al. 2023, arXiv:2303.11851, as in the released code"


class NearestPlaces(Params):
    kind: Literal["nearest_places"] = "nearest_places"
    k: int = Field(128, ge=1, le=1000, title="Neighbours", description="How many neighbours of each item are kept.")


class NearestCounterparts(Params):
    kind: Literal["nearest_counterparts"] = "nearest_counterparts"
    k: int = Field(128, ge=1, le=1000, title="Neighbours", description="How many neighbours of each item are kept.")


class NeighbourBatches(Params):
    kind: Literal["neighbour_batches"] = "neighbour_batches"
    batch: int = Field(128, ge=2, le=4096, title="Batch", description="Items in a batch.")
    select: int = Field(
        64, ge=2, le=1024, title="Neighbours of a seed", description="Half are its nearest, half are drawn."
    )
    as_released: bool = Field(
        False, title="As released", description="Item 0 never comes as a neighbour, since 0 stands for an empty place."
    )


def _nearest(score: Tensor, k: int) -> Tensor:
    if k > len(score) - 1:
        raise ValueError(f"got k = {k} for {len(score)} items; an item has {len(score) - 1} others")
    own = torch.eye(len(score), dtype=torch.bool, device=score.device)
    return score.masked_fill(own, -torch.inf).topk(k, dim=1).indices


@procedure(
    NearestPlaces,
    title="Nearest places (haversine)",
    source=_SOURCE,
    formula=r"d_{ij}=2\arcsin\sqrt{\sin^2\tfrac{\varphi_i-\varphi_j}2"
    r"+\cos\varphi_i\cos\varphi_j\sin^2\tfrac{\ell_i-\ell_j}2}",
    origin="code",
    papers=("sample4geo",),
)
def nearest_places(positions: Tensor, p: NearestPlaces) -> Tensor:
    """Finds the items that are nearest to each on the globe.

    Args:
        positions: (N, 2) latitude and longitude in degrees.
        p: how many neighbours.

    Returns:
        (N, k) items, the nearest first, never the item itself.

    Raises:
        ValueError: if there are no k others.
    """
    at = torch.deg2rad(positions.double())
    lat, across = at[:, 0], torch.sin((at[:, None] - at) / 2).square()
    chord = across[..., 0] + lat.cos()[:, None] * lat.cos() * across[..., 1]
    return _nearest(-chord, p.k)


@procedure(
    NearestCounterparts,
    title="Nearest counterparts (similarity)",
    source=_SOURCE,
    formula=r"\operatorname{top}_k\{j\neq i\}\ \langle a_i,b_j\rangle",
    origin="code",
    papers=("sample4geo",),
)
def nearest_counterparts(a: Tensor, b: Tensor, p: NearestCounterparts) -> Tensor:
    """Finds the items whose second view looks most like the first view of each.

    Args:
        a: (N, D) embeddings of the queries.
        b: (N, D) embeddings of their references, row by row.
        p: how many neighbours.

    Returns:
        (N, k) items, the most similar first, never the item itself.

    Raises:
        ValueError: if there are no k others.
    """
    return _nearest(a.double() @ b.double().T, p.k)


@procedure(
    NeighbourBatches,
    title="Batches of neighbours",
    source=_SOURCE,
    formula=r"\text{seed }i,\ \text{its nearest }\tfrac s2,\ \tfrac s2\text{ drawn from its further neighbours; }"
    r"\text{each item once}",
    origin="code",
    papers=("sample4geo",),
)
def neighbour_batches(neighbours: Tensor, order: Tensor, draws: Tensor, p: NeighbourBatches) -> Tensor:
    """Fills each batch with seeds and their neighbours, so that the negatives are hard; every item comes at most once.

    Args:
        neighbours: (N, k) neighbours of each item, the nearest first.
        order: (N,) permutation of the items, in which they are tried as seeds.
        draws: (N, k) numbers; of a seed's neighbours beyond the nearest, those with the smallest are drawn, in order.
        p: size of a batch, neighbours of a seed, `as_released`.

    Returns:
        (batches, batch) items, on the device of `neighbours`; the last batch is dropped where it is not full.
    """
    half = p.select // 2
    near = neighbours[:, :half]
    drawn = half + draws[:, half:].argsort(dim=1)[:, :half]
    chosen = torch.cat([near, neighbours.gather(1, drawn.to(neighbours.device))], dim=1).tolist()
    used: set[int] = set()
    filled: list[int] = []
    for seed in order.tolist():
        if seed in used:
            continue
        for item in (seed, *chosen[seed]):
            from_empty = p.as_released and item == 0 != seed
            if item not in used and not from_empty:
                used.add(item)
                filled.append(item)
                if len(filled) % p.batch == 0:
                    break
    whole = len(filled) // p.batch * p.batch
    return torch.tensor(filled[:whole], dtype=torch.int64, device=neighbours.device).reshape(-1, p.batch)
