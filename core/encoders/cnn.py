"""A small convolutional network for pictures of 8 to 32 pixels."""

import math
from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from core.data.registry import Modality
from core.encoders.fields import dropout
from core.encoders.registry import encoder
from core.params import Params

MIDDLE, SCALE = 0.5, 0.25


class CNN(Params):
    kind: Literal["cnn"] = "cnn"
    width: int = Field(64, ge=4, le=128, title="Width", description="Channels of the first layer; doubled each layer.")
    depth: int = Field(3, ge=1, le=4, title="Depth", description="Convolutions; each halves the picture.")
    resolution: int = Field(24, ge=8, le=32, title="Resolution", description="Larger pictures are shrunk to this size.")
    dropout: float = dropout(0.3)


class Centred(nn.Module):
    """Pixels between 0 and 1 brought to between -2 and 2: uncentred ones train far more slowly."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - MIDDLE) / SCALE


def shrink(modality: Modality, p: CNN) -> Tensor:
    """(N, C, H, W) float32, each side at most `p.resolution`, by averages over areas; never enlarged."""
    assert isinstance(modality.values, Tensor)
    height, width = modality.values.shape[-2:]
    return F.adaptive_avg_pool2d(modality.values, (min(height, p.resolution), min(width, p.resolution)))


@encoder(CNN, title="CNN (small)", source="common knowledge", forms=("image",), prepare=shrink, origin="recalled")
def cnn(p: CNN, shape: tuple[int, ...], dim: int) -> nn.Module:
    """Convolutions of 3 x 3 with stride 2 and GELU on centred pixels, then dropout and one linear map.

    No normalisation: an embedding depends on its own picture alone, and keeps how much ink and colour that has.

    Args:
        p: width, depth, resolution, dropout.
        shape: (C, H, W) of a picture.
        dim: D, the size of the embedding.

    Returns:
        A module (n, C, H, W) -> (n, D).
    """
    channels, *sides = shape
    layers: list[nn.Module] = [Centred()]
    for index in range(p.depth):
        out = p.width * 2**index
        layers += [nn.Conv2d(channels, out, 3, stride=2, padding=1), nn.GELU()]
        channels, sides = out, [-(-side // 2) for side in sides]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(p.dropout), nn.Linear(channels * math.prod(sides), dim))
