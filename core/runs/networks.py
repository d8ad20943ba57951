"""The networks of a recipe: a tower for each kind of modality, and a joint encoder where there is one."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.data.registry import DataSet, Modality
from core.encoders.bags import Bag, unpacked
from core.encoders.deep_sets import Pooled
from core.encoders.hidden import split
from core.encoders.joint import build_joint
from core.encoders.registry import ENCODERS, build
from core.params import Params
from core.recipe import Recipe

SMALLEST, CHUNK = 1e-24, 512
Mixer = Callable[[str, Tensor], Tensor]


def encoder_of(recipe: Recipe, m: Modality) -> Params:
    """The params of the encoder that reads a modality."""
    return getattr(recipe.encoder, m.form)


def prepared(recipe: Recipe, m: Modality) -> Tensor:
    """(N, ...) float32 what the modality's network eats."""
    p = encoder_of(recipe, m)
    return ENCODERS.of(p).prepare(m, p)


def on_sphere(x: Tensor) -> Tensor:
    """(..., D) rows scaled to length 1; the same as normalising, with a shorter way back."""
    return x * x.square().sum(dim=-1, keepdim=True).clamp_min(SMALLEST).rsqrt()


class Encoded(NamedTuple):
    """`z` modality -> (n, D) unit embeddings; `bags` modality -> its members, of any length, where it has any."""

    z: dict[str, Tensor]
    bags: dict[str, Bag]


class Networks(nn.Module):
    """Encodes modalities by name; those of one tower go through it together."""

    def __init__(self, recipe: Recipe, data: DataSet, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()
        dim, seed = recipe.encoder.dim, recipe.seed
        self.tower = {m.name: m.tower for m in data.modalities}
        parts = {m.name: (encoder_of(recipe, m), tuple(inputs[m.name].shape[1:])) for m in data.modalities}
        last = {self.tower[name]: part for name, part in parts.items()}
        self.towers = nn.ModuleDict({tower: build(*part, dim, seed, tower) for tower, part in last.items()})
        self.joint = build_joint(parts, dim, seed) if recipe.encoder.joint else None

    def precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """bfloat16 inside the encoders on CUDA, float32 everywhere else."""
        return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()

    def encode(self, inputs: Mapping[str, Tensor], mixer: Mixer | None = None, layer: int = 0) -> Encoded:
        """The modalities, each encoded by its tower.

        Args:
            inputs: modality -> (n, ...) prepared items.
            mixer: what is done to each modality at hidden layer `layer`; 0 is the input.
            layer: where.
        """
        found = Encoded({}, {})
        for tower in dict.fromkeys(self.tower[name] for name in inputs):
            names = [name for name in inputs if self.tower[name] == tower]
            front, back = split(self.towers[tower], layer)
            with self.precision(inputs[names[0]].device):
                h = front(torch.cat([inputs[name] for name in names]))
                if mixer is not None:
                    parts = zip(names, h.chunk(len(names)), strict=True)
                    h = torch.cat([mixer(name, part) for name, part in parts])
                out = back(h)
            out = out.float()
            if isinstance(self.towers[tower], Pooled):
                found.bags.update(zip(names, map(unpacked, out.chunk(len(names))), strict=True))
                out = unpacked(out).mean()
            found.z.update(zip(names, on_sphere(out).chunk(len(names)), strict=True))
        return found

    @torch.no_grad()
    def look(self, inputs: Mapping[str, Tensor], items: Tensor) -> Encoded:
        """The items and their members, encoded without dropout.

        Args:
            inputs: modality -> (N, ...) prepared items, all of them.
            items: (n,) which ones, on the same device.
        """
        self.eval()
        parts = [self.encode({name: x[part] for name, x in inputs.items()}) for part in items.split(CHUNK)]
        return Encoded(
            {name: torch.cat([part.z[name] for part in parts]) for name in inputs},
            {
                name: Bag(*map(torch.cat, zip(*(part.bags[name] for part in parts), strict=True)))
                for name in parts[0].bags
            },
        )

    def encode_jointly(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """(n, D) unit embeddings from all modalities together, or None where the recipe has no joint encoder."""
        if self.joint is None:
            return None
        with self.precision(next(iter(inputs.values())).device):
            out = self.joint(inputs)
        return on_sphere(out.float())


def at_random(recipe: Recipe, data: DataSet, inputs: Mapping[str, Tensor], draws: int = 3) -> list[dict[str, Tensor]]:
    """Modality -> (N, D) unit embeddings of all items by untrained networks: of the recipe's seed, then of the next."""
    found, items = [], torch.arange(len(data))
    for draw in range(draws):
        seeded = recipe.model_copy(update={"seed": recipe.seed + draw})
        found.append(Networks(seeded, data, inputs).look(inputs, items).z)
    return found
