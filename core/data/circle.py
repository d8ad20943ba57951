"""Generated points in clusters: small enough that a whole embedding can be drawn on a circle or a sphere."""

import hashlib
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field

from core.data.registry import DataSet, Modality, data
from core.data.splits import stratified
from core.params import Params
from core.streams import stream

WIDTH = 8


class Circle(Params):
    kind: Literal["circle"] = "circle"
    dimension: Literal[2, 3] = Field(2, title="Dimensions", description="Where the points come from.")
    clusters: int = Field(6, ge=2, le=12, title="Clusters", description="Groups of points, one class each.")
    per_cluster: int = Field(20, ge=4, le=200, title="Points each", description="Points in each cluster.")
    spread: float = Field(0.15, ge=0, le=1, title="Spread", description="Of a cluster round its centre.")
    draw: int = Field(0, ge=0, le=999, title="Draw", description="Another number, other points.")


@data(Circle, title="Points in clusters", source="generated", forms=("vector",), origin="designed")
def circle(p: Circle) -> DataSet:
    """Clusters on a circle or sphere, each point observed twice through two different random maps."""
    g = stream(p.draw, "circle", p.dimension, p.clusters, p.per_cluster)
    centres = F.normalize(torch.randn(p.clusters, p.dimension, generator=g), dim=1)
    labels = torch.arange(p.clusters).repeat_interleave(p.per_cluster)
    points = F.normalize(centres[labels] + p.spread * torch.randn(len(labels), p.dimension, generator=g), dim=1)
    seen = []
    for name in ("left", "right"):
        lens = torch.randn(p.dimension, WIDTH, generator=g)
        noise = 0.05 * torch.randn(len(labels), WIDTH, generator=g)
        seen.append(Modality(name, "vector", torch.tanh(points @ lens) + noise, tower=name))
    split = stratified(labels, 0.15, 0.25, stream(p.draw, "circle", "split"))
    content = hashlib.sha256(p.model_dump_json().encode() + points.numpy().tobytes()).hexdigest()
    return DataSet(
        title="Points in clusters",
        modalities=tuple(seen),
        labels=labels,
        classes=tuple(f"cluster {k}" for k in range(p.clusters)),
        split=split,
        names=tuple(f"cluster {int(k)}, point {i}" for i, k in enumerate(labels)),
        digest=content,
        note="Generated points, not measurements.",
    )
