"""Generated points in clusters: small enough that a whole embedding can be drawn on a circle or a sphere."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.data.digest import digested
from core.data.registry import DataSet, Modality, data
from core.data.splits import stratified
from core.params import Params
from core.streams import stream

WIDTH = 8
NOISE = 0.05
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class Circle(Params):
    kind: Literal["circle"] = "circle"
    dimension: Literal[2, 3] = Field(2, title="Dimensions", description="Where the points come from.")
    clusters: int = Field(6, ge=2, le=12, title="Clusters", description="Groups of points, one class each.")
    per_cluster: int = Field(20, ge=4, le=200, title="Points each", description="Points in each cluster.")
    spread: float = Field(0.15, ge=0, le=1, title="Spread", description="Of a cluster round its centre.")
    draw: int = Field(0, ge=0, le=999, title="Draw", description="Another number, other points.")


def centres(p: Circle, g: Generator) -> Tensor:
    """(K, dimension) evenly spaced unit vectors: a regular polygon, or a spiral round the sphere; turned at random."""
    k = torch.arange(p.clusters)
    turn = 2 * math.pi * torch.rand((), generator=g)
    if p.dimension == 2:
        angle = turn + 2 * math.pi * k / p.clusters
        return torch.stack([angle.cos(), angle.sin()], dim=1)
    height = 1 - (2 * k + 1) / p.clusters
    angle, radius = turn + GOLDEN_ANGLE * k, (1 - height**2).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), height], dim=1)


@data(
    Circle,
    title="Points in clusters",
    source="generated",
    forms=("vector",),
    origin="designed",
)
def circle(p: Circle) -> DataSet:
    """Clusters on a circle or sphere, each point observed twice through two different random nonlinear maps.

    A point x is seen as tanh(W x) + noise, 8 numbers, with a normal W of its own and noise of standard deviation 0.05
    for `left` and for `right`.
    """
    g = stream(p.draw, "circle", p.dimension, p.clusters, p.per_cluster)
    labels = torch.arange(p.clusters).repeat_interleave(p.per_cluster)
    scattered = p.spread * torch.randn(len(labels), p.dimension, generator=g)
    points = F.normalize(centres(p, g)[labels] + scattered, dim=1)
    seen = []
    for name in ("left", "right"):
        lens = torch.randn(p.dimension, WIDTH, generator=g)
        noise = NOISE * torch.randn(len(labels), WIDTH, generator=g)
        seen.append(Modality(name, "vector", torch.tanh(points @ lens) + noise, tower=name))
    return digested(
        DataSet(
            title="Points in clusters",
            modalities=tuple(seen),
            labels=labels,
            classes=tuple(f"cluster {k}" for k in range(p.clusters)),
            split=stratified(labels, 0.15, 0.25, stream(p.draw, "circle", "split")),
            names=tuple(f"cluster {k}, point {i}" for i, k in enumerate(labels.tolist())),
            digest="",
            note="Generated points, not measurements.",
        )
    )
