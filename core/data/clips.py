"""Generated videos of a few clips, each clip with a sentence of its own: ragged bags in the order of time."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Generator, Tensor

from core.data.digest import digested
from core.data.registry import DataSet, Modality, data
from core.data.splits import stratified
from core.params import Params
from core.streams import stream

LATENT = 8
WIDTHS = {"clips": 24, "sentences": 16}
SPREAD = 0.7
LOYAL = 0.5


class Clips(Params):
    kind: Literal["clips"] = "clips"
    videos: int = Field(240, ge=60, le=2000, title="Videos", description="Each with one paragraph of sentences.")
    topics: int = Field(6, ge=2, le=12, title="Topics", description="Groups of clips; a video's own is its class.")
    fewest: int = Field(2, ge=1, le=12, title="Clips from", description="Fewest clips of a video.")
    most: int = Field(5, ge=1, le=12, title="Clips to", description="Most clips of a video.")
    noise: float = Field(0.3, ge=0, le=2, title="Noise", description="On every number of a clip and of a sentence.")
    draw: int = Field(0, ge=0, le=999, title="Draw", description="Another number, other videos.")

    @model_validator(mode="after")
    def _ordered(self) -> "Clips":
        if self.fewest > self.most:
            raise ValueError(f"fewest is {self.fewest} and most {self.most}; fewest must not exceed most")
        return self


def topics_of_clips(own: Tensor, p: Clips, g: Generator) -> Tensor:
    """(N, most) the topic of each clip: the first has the video's own (N,), each later one keeps it half the time."""
    shape = (len(own), p.most)
    keeps = torch.rand(shape, generator=g) < LOYAL
    keeps[:, 0] = True
    other = (own[:, None] + torch.randint(1, p.topics, shape, generator=g)) % p.topics
    return torch.where(keeps, own[:, None], other)


def called(topics: Tensor) -> str:
    """What a video is called by the topics (k,) of its clips: "3 clips: topic 2, 5, 2"."""
    plural = "clip" if len(topics) == 1 else "clips"
    return f"{len(topics)} {plural}: topic {', '.join(map(str, topics.tolist()))}"


@data(
    Clips,
    title="Clips and sentences",
    source="generated",
    forms=("bag",),
    origin="designed",
)
def clips(p: Clips) -> DataSet:
    """Videos of a few clips and paragraphs of as many sentences, each pair seen through two random nonlinear maps.

    A clip lies near the centre of its topic, at a point x of length 1 in 8 dimensions. It is seen as
    tanh(2 W x) + noise, with a normal W of its own for `clips` (24 numbers) and for `sentences` (16). Every number of
    clips between `fewest` and `most` is equally likely.
    """
    g = stream(p.draw, "clips", p.videos, p.topics, p.fewest, p.most)
    labels = torch.arange(p.videos) % p.topics
    topics = topics_of_clips(labels, p, g)
    length = torch.randint(p.fewest, p.most + 1, (p.videos,), generator=g)
    mask = torch.arange(p.most) < length[:, None]
    centres = F.normalize(torch.randn(p.topics, LATENT, generator=g), dim=-1)
    aside = F.normalize(torch.randn(*mask.shape, LATENT, generator=g), dim=-1)
    points = F.normalize(centres[topics] + SPREAD * aside, dim=-1)
    seen = []
    for name, width in WIDTHS.items():
        lens = torch.randn(LATENT, width, generator=g)
        noise = p.noise * torch.randn(*mask.shape, width, generator=g)
        values = (torch.tanh(2 * points @ lens) + noise) * mask[..., None]
        seen.append(Modality(name, "bag", values, tower=name, mask=mask))
    return digested(
        DataSet(
            title="Clips and sentences",
            modalities=tuple(seen),
            labels=labels,
            classes=tuple(f"topic {k}" for k in range(p.topics)),
            split=stratified(labels, 0.15, 0.25, stream(p.draw, "clips", "split")),
            names=tuple(called(row[:k]) for row, k in zip(topics, length.tolist(), strict=True)),
            digest="",
            note="Generated videos and sentences, not measurements.",
        )
    )
