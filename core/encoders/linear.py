"""One linear map: the plainest encoder that still learns."""

import math
from typing import Literal

from torch import nn

from core.encoders.registry import encoder
from core.params import Params


class Linear(Params):
    kind: Literal["linear"] = "linear"


@encoder(Linear, title="Linear", source="common knowledge", forms=("vector", "image"), origin="recalled")
def linear(p: Linear, shape: tuple[int, ...], dim: int) -> nn.Module:
    """One linear map with a bias; an image is flattened first.

    Args:
        p: no knobs.
        shape: (F,) or (C, H, W) of one item.
        dim: D, the size of the embedding.

    Returns:
        A module (n, *shape) -> (n, D).
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), dim))
