"""A small convolutional network for pictures of 8 to 32 pixels."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from core.data.registry import Modality
from core.encoders.fields import dropout
from core.encoders.registry import encoder
from core.params import Params


class CNN(Params):
    kind: Literal["cnn"] = "cnn"
    width: int = Field(32, ge=4, le=128, title="Width", description="Channels of the first layer; doubled each layer.")
    depth: int = Field(
        3, ge=1, le=4, title="Depth", description="Convolutions; each after the first halves the picture."
    )
    resolution: int = Field(24, ge=8, le=32, title="Resolution", description="Larger pictures are shrunk to this size.")
    dropout: float = dropout(0.3)


def shrink(modality: Modality, p: CNN) -> Tensor:
    """(N, C, H', W') float32: the pictures, averaged down to at most `p.resolution` pixels a side."""
    assert isinstance(modality.values, Tensor)
    height, width = modality.values.shape[-2:]
    return F.adaptive_avg_pool2d(modality.values, (min(height, p.resolution), min(width, p.resolution)))


@encoder(CNN, title="CNN (small)", source="common knowledge", forms=("image",), prepare=shrink)
def cnn(p: CNN, shape: tuple[int, ...], dim: int) -> nn.Module:
    """Convolutions of 3 x 3 with GELU, each after the first with stride 2, then one linear map.

    Args:
        p: width, depth, resolution, dropout.
        shape: (C, H, W) of one item.
        dim: D, the size of the embedding.

    Returns:
        A module (n, C, H, W) -> (n, D).
    """
    channels, height, width = shape
    layers: list[nn.Module] = []
    for index in range(p.depth):
        out = p.width * 2**index
        layers += [nn.Conv2d(channels, out, 3, stride=2 if index else 1, padding=1), nn.GroupNorm(4, out), nn.GELU()]
        channels = out
        if index:
            height, width = -(-height // 2), -(-width // 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(p.dropout), nn.Linear(channels * height * width, dim))
