"""The companion of a run's loss: its network, made for the data and the space of the recipe."""

from collections.abc import Mapping

from torch import Tensor, nn

from core.data.registry import DataSet
from core.losses.registry import LOSSES
from core.methods.registry import METHODS
from core.recipe import Recipe
from core.streams import drawing_from


def classes_of(recipe: Recipe, data: DataSet) -> int:
    """How many classes the labels name that a loss is handed: those of the data, or as many as the method makes."""
    makes = "labels" in METHODS.of(recipe.method).call().gives
    return recipe.method.clusters if makes else len(data.classes)


def build_companion(recipe: Recipe, data: DataSet) -> nn.Module | None:
    """The network as it starts, from an address of its own, on the CPU; None for a loss that has none."""
    companion = LOSSES.of(recipe.loss).companion
    if companion is None:
        return None
    with drawing_from(recipe.seed, "companion"):
        return companion.build(recipe.loss, {"D": recipe.encoder.dim, "P": classes_of(recipe, data)})


def fits(network: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether this is the state of such a network: the same tensors by name, each of the same shape."""
    own = network.state_dict()
    return own.keys() == state.keys() and all(own[name].shape == state[name].shape for name in own)
