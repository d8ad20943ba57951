"""How far a map can be trusted: are its neighbourhoods those of the data, and would noise look like this?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, are_unit, resolution, rows
from core.diagnostics.maps import pca_layout, squared_distances
from core.diagnostics.registry import diagnostic
from core.streams import stream


@dataclass(frozen=True)
class Structure:
    """Trustworthiness of a map and of its random twin's; `exact` where the map has all dimensions of the data."""

    trust: float
    twin: float
    exact: bool


@diagnostic(
    "trustworthiness",
    title="Trustworthiness of a map",
    source="Venna and Kaski 2001, ICANN, eq. 1",
    values="0 to 1 (every neighbour on the map is a neighbour in all dimensions)",
    chance="about 0.5 for a random layout",
)
def trustworthiness(x: Array, layout: Array, *, neighbours: int = 5) -> float:
    """How far the neighbours on a map are neighbours in all dimensions.

    1 - 2 / (N k (2N - 3k - 1)) times the sum, over each item's k neighbours on the map, of the ranks beyond k that they
    have in all dimensions. Items at equal distance share the mean of their ranks, so that data without any differences
    are not trusted more than a random layout.

    Args:
        x: (N, D) embeddings.
        layout: (N, dims) coordinates.
        neighbours: k, below N / 2.

    Raises:
        ValueError: if there are too many neighbours, or the numbers of rows differ.
    """
    z, y = rows(x), rows(layout)
    n, k = len(z), neighbours
    if len(y) != n or not 1 <= k < n / 2:
        raise ValueError(
            f"got {n} embeddings, {len(y)} places on the map and {k} neighbours; "
            "give each item a place and ask for fewer neighbours than half of the items"
        )
    z, y = z.cpu().double(), y.cpu().double()
    rounding = resolution(z) * float(z.square().sum(dim=1).max())
    z, y = z - z.mean(dim=0), y - y.mean(dim=0)
    beyond = 0.0
    for start in range(0, n, CHUNK):
        near = squared_distances(y, start).topk(k, dim=1, largest=False).indices
        squares = squared_distances(z, start)
        there = squares.gather(1, near)
        for column in range(k):
            mine = there[:, column, None]
            nearer = torch.count_nonzero(squares < mine - rounding, dim=1)
            no_further = torch.count_nonzero(squares <= mine + rounding, dim=1)
            beyond += float(((nearer + no_further + 1) / 2 - k).clamp(min=0).sum())
    return 1 - 2 * beyond / (n * k * (2 * n - 3 * k - 1))


def twin(x: Array, seed: int = 0) -> Tensor:
    """(N, D) the embeddings with every column shuffled on its own: the same values, with no structure between them.

    Unit rows are made unit again, since to lie on the sphere is no structure.
    """
    z = rows(x)
    g = stream(seed, "twin")
    order = torch.stack([torch.randperm(len(z), generator=g) for _ in range(z.shape[1])], dim=1)
    shuffled = z.gather(0, order.to(z.device))
    return F.normalize(shuffled, dim=1) if are_unit(z) else shuffled


@diagnostic(
    "structure",
    title="Would noise look like this?",
    source="trustworthiness against that of the same kind of map of column-shuffled data",
    origin="designed",
    values="two numbers, each 0 to 1",
    chance="equal on noise",
)
def structure(x: Array, layout: Array, seed: int = 0, lay_out: Callable[[Tensor], Array] = pca_layout) -> Structure:
    """Trustworthiness of a map beside that of its random twin, mapped in the same way.

    Args:
        x: (N, D) embeddings.
        layout: (N, dims) their map.
        seed: address of the shuffling.
        lay_out: what made the map, used again for the twin; UMAP finds neighbourhoods even in noise, so a map by UMAP
            has to be held against UMAP.

    Raises:
        ValueError: as `trustworthiness` does.
    """
    shuffled = twin(x, seed)
    return Structure(
        trust=trustworthiness(x, layout),
        twin=trustworthiness(shuffled, lay_out(shuffled)),
        exact=shuffled.shape[1] <= layout.shape[1],
    )
