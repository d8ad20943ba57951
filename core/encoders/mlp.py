"""A multilayer perceptron over numbers; an image is read as one long vector."""

import math
from typing import Literal

from torch import nn

from core.encoders.fields import depth, dropout, width
from core.encoders.layers import perceptron
from core.encoders.registry import encoder
from core.params import Params


class MLP(Params):
    kind: Literal["mlp"] = "mlp"
    width: int = width(256)
    depth: int = depth(2)
    dropout: float = dropout(0)


@encoder(
    MLP, title="MLP (multilayer perceptron)", source="common knowledge", forms=("vector", "image"), origin="recalled"
)
def mlp(p: MLP, shape: tuple[int, ...], dim: int) -> nn.Module:
    """Linear layers with GELU between them; an image is flattened first.

    Args:
        p: width, depth, dropout.
        shape: (F,) or (C, H, W) of one item.
        dim: D, the size of the embedding.

    Returns:
        A module (n, *shape) -> (n, D).
    """
    return nn.Sequential(nn.Flatten(), *perceptron(math.prod(shape), p.width, p.depth, p.dropout, dim))
