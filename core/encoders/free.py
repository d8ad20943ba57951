"""Free embeddings: no encoder at all, each item's embedding is itself the parameter."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from core.data.registry import Modality
from core.encoders.registry import encoder
from core.params import Params


class Free(Params):
    kind: Literal["free"] = "free"


def one_hot(modality: Modality, p: Free) -> Tensor:
    """(N, N) float32 identity: item i is its own place, and mixing two inputs mixes two rows of embeddings."""
    return torch.eye(len(modality.values))


@encoder(
    Free,
    title="Free embeddings",
    source="common knowledge",
    forms=("vector", "image", "text"),
    prepare=one_hot,
    origin="recalled",
)
def free(p: Free, shape: tuple[int, ...], dim: int) -> nn.Module:
    """A table of embeddings, one row per item, that the loss moves directly; unseen items keep their first place.

    Args:
        p: no knobs.
        shape: (N,), the number of items.
        dim: D, the size of the embedding.

    Returns:
        A linear map without bias (n, N) -> (n, D); column i of its weight is the embedding of item i, standard
        normal at the start.
    """
    table = nn.Linear(math.prod(shape), dim, bias=False)
    nn.init.normal_(table.weight)
    return table
