"""Methods that see the training items as the networks embed them, and keep what they saw until they look again."""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from core.methods.shuffle import ShuffledBatches
from core.params import Params


class Looking(Params):
    batch: int = Field(128, ge=2, le=4096, title="Batch", description="Items that meet in a step; at most all of them.")
    every: int = Field(
        5, ge=1, le=1000, title="Looks every", description="Epochs from one look at the embeddings to the next."
    )


class LookingBatches(ShuffledBatches):
    """Shuffled batches that know of the embeddings."""

    looks = True


def side_by_side(z: Mapping[str, Tensor]) -> Tensor:
    """(n, M D) the embeddings of all modalities in one row, whose squared distances are the sums of theirs."""
    return torch.cat(list(z.values()), dim=1)
