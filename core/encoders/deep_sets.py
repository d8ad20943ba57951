"""Bags of members, each through one and the same network, and their mean."""

from typing import Literal

from torch import Tensor, nn

from core.encoders.bags import Bag, unpacked, with_mask
from core.encoders.fields import depth, dropout, width
from core.encoders.layers import perceptron
from core.encoders.registry import encoder
from core.params import Params


class DeepSets(Params):
    kind: Literal["deep_sets"] = "deep_sets"
    width: int = width(128)
    depth: int = depth(2)
    dropout: float = dropout(0)


class OnMembers(nn.Module):
    """A network applied to each member of packed bags: (n, k, 1 + F) -> (n, k, 1 + D)."""

    def __init__(self, each: nn.Module) -> None:
        super().__init__()
        self.each = each

    def forward(self, x: Tensor) -> Tensor:
        bag = unpacked(x)
        return Bag(self.each(bag.members), bag.mask).packed()


class Pooled(nn.Module):
    """The mean of what `members` makes of each bag: (n, k, 1 + F) -> (n, D)."""

    def __init__(self, members: OnMembers) -> None:
        super().__init__()
        self.members = members

    def forward(self, x: Tensor) -> Tensor:
        return unpacked(self.members(x)).mean()


@encoder(
    DeepSets,
    title="Deep Sets (shared MLP, mean)",
    source="Zaheer et al. 2017, arXiv:1703.06114, with a mean for the sum and no network after it",
    forms=("bag",),
    prepare=with_mask,
    origin="paper",
)
def deep_sets(p: DeepSets, shape: tuple[int, ...], dim: int) -> nn.Module:
    """One multilayer perceptron for every member, and the mean over the members that are there.

    Args:
        p: width, depth, dropout.
        shape: (n, 1 + F) of one packed bag.
        dim: D, the size of the embedding, of a member and of the bag.

    Returns:
        A module (b, n, 1 + F) -> (b, D); its `members` gives (b, n, 1 + D), packed.
    """
    return Pooled(OnMembers(nn.Sequential(*perceptron(shape[-1] - 1, p.width, p.depth, p.dropout, dim))))
