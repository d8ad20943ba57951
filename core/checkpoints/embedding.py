"""Embed with a checkpoint: its numbers in the networks of a recipe, beside the same networks at random weights."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.checkpoints.families import Recognition, counted, quoted, recognise
from core.checkpoints.opened import Checkpoint
from core.data.brought import packed
from core.data.contents import MOST
from core.data.loading import load
from core.data.registry import DataSet
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.networks import Networks, at_random, prepared

Shapes = Mapping[str, tuple[int, ...]]
OWN = re.compile(r"(?:model\.)?((?:towers|joint)\..+)")
BESIDE = ("queue", "teacher", "temperature", "optimiser")
FIRST = 3


@dataclass(frozen=True)
class Fit:
    """Which tensor of a file stands where in the networks of a recipe.

    `names`: parameter of the networks -> name in the file. `said`: what was assumed and what was left aside, a sentence
    each.
    """

    recipe: Recipe
    names: Mapping[str, str]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Embedded:
    """All N items of a data set as a network sees them.

    `z`: modality -> (N, D) unit rows; `random`: the same by networks with random weights, one draw or more.
    """

    data: DataSet
    z: dict[str, Tensor]
    random: tuple[dict[str, Tensor], ...]
    said: tuple[str, ...]


def embed(checkpoint: Checkpoint, found: Fit | Recipe) -> Embedded:
    """The items of a recipe's data, encoded by its networks with the numbers of a file.

    Args:
        checkpoint: behind the fence.
        found: a recipe, or what `fit` found of one.

    Raises:
        Refusal: if a tensor does not fit, or its numbers or the embeddings are not finite.
    """
    if isinstance(found, Recipe):
        found = fit(checkpoint, found)
    recipe, data = found.recipe, load(found.recipe.data)
    inputs = {m.name: prepared(recipe, m) for m in data.modalities}
    networks = Networks(recipe, data, inputs)
    networks.load_state_dict({name: finite(checkpoint, given) for name, given in found.names.items()})
    z = networks.look(inputs, torch.arange(len(data))).z
    return Embedded(data, whole(z), tuple(at_random(recipe, data, inputs)), found.said)


def as_file(found: Embedded) -> bytes:
    """The embeddings as an .npz that `core.data.npz` takes: an array for each modality, labels, names and pictures."""
    data = found.data
    arrays = {name: rows.numpy() for name, rows in found.z.items()} | {"names": np.array(data.names)}
    if data.classes:
        arrays["labels"] = np.array(data.classes)[data.labels.numpy()]
    if data.thumbnails is not None and len(found.z) < MOST:
        arrays["pictures"] = data.thumbnails
    return packed(arrays)


def finite(checkpoint: Checkpoint, name: str) -> Tensor:
    """A tensor of a file as float32.

    Raises:
        Refusal: if it has NaN or infinity.
    """
    values = checkpoint.tensor(name).float()
    if not bool(values.isfinite().all()):
        raise Refusal(f"'{name[:80]}' has NaN or infinity; expected finite numbers: take an earlier checkpoint")
    return values


def whole(z: dict[str, Tensor]) -> dict[str, Tensor]:
    """Embeddings as they are.

    Raises:
        Refusal: if some are not finite or have no direction.
    """
    for name, rows in z.items():
        if lost := int(((rows.norm(dim=1) - 1).abs() < 1e-3).logical_not().sum()):
            raise Refusal(
                f"{lost:,} items of '{name}' have no embedding with a direction; expected finite numbers that are not "
                "all 0: take an earlier checkpoint"
            )
    return z


def fit(checkpoint: Checkpoint, recipe: Recipe) -> Fit:
    """Find the place of every tensor that the networks of a recipe need, by name or, for a stranger's, by shape.

    Raises:
        Refusal: naming the first tensors that do not fit, or that fit in more than one way.
    """
    data = load(recipe.data)
    networks = Networks(recipe, data, {m.name: prepared(recipe, m) for m in data.modalities})
    expected = {name: tuple(value.shape) for name, value in networks.state_dict().items()}
    recognition = recognise(checkpoint)
    own, shapes = own_names(recognition), shapes_of(checkpoint)
    if own.keys() == expected.keys() and all(shapes[own[name]] == shape for name, shape in expected.items()):
        names, said = own, ()
    else:
        given = own or {recognition.bare[name]: name for name in _network(recognition)}
        names, said = _by_shape(expected, {bare: shapes[name] for bare, name in given.items()}, data.title)
        names = {name: given[bare] for name, bare in names.items()}
    _check_numbers(checkpoint, names.values())
    return Fit(recipe, names, (*said, *_aside(recognition)))


def own_names(found: Recognition) -> dict[str, str]:
    """Name in our networks -> name in the file, of a file that names its tensors as our runs do; else empty."""
    if found.family != "pushpull":
        return {}
    named = {name: OWN.fullmatch(found.bare[name]) for name in found.parts.get("backbone", ())}
    return {match[1]: name for name, match in named.items() if match}


def shapes_of(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Name in the file -> shape, also of names that share their numbers with another."""
    shapes = {each.name: each.shape for each in checkpoint}
    return shapes | {name: shapes[kept] for name, kept in checkpoint.summary.tied.items() if kept in shapes}


def _network(found: Recognition) -> list[str]:
    """The names in a file that are neither beside the network nor a second one that follows it."""
    role = found.role_of()
    return sorted((name for name in found.bare if role[name] not in BESIDE), key=_numbered)


def _numbered(name: str) -> list[tuple[int, int, str]]:
    """A sort key by which 'fc2' comes before 'fc10'."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)|\.", name) if part]


def _by_shape(expected: Shapes, given: Shapes, title: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Expected name -> given name, layer by layer; what was assumed in this, in words.

    Layers of one shape are told apart by their numbers alone, and only within one network.
    """
    wanted, found = _layers(expected), _layers(given)
    if {shape: len(names) for shape, names in wanted.items()} != {shape: len(names) for shape, names in found.items()}:
        raise Refusal(_unfit(expected, given, title))
    for shape, names in wanted.items():
        if len(names) > 1 and not (_one_series(names) and _one_series(found[shape])):
            raise Refusal(
                f"The layers {quoted(found[shape])} have one shape, so which is which cannot be told; expected the "
                f"names {quoted(names)}: rename them"
            )
    pairs = [pair for shape, names in wanted.items() for pair in zip(names, found[shape], strict=True)]
    if all(mine == theirs for mine, theirs in pairs):
        return {name: name for name in expected}, ()
    mine, theirs = pairs[0]
    said = [
        f"Its layers have other names than ours; each was matched by its shape, which fits in one way, such as "
        f"'{theirs[:80]}' for '{mine}'."
    ]
    if len(pairs) > 1:
        said.append("Shapes do not tell what lies between the layers: GELU is applied, and other numbers come of ReLU.")
    layer = dict(pairs)
    names = {name: f"{layer[_layer(name)]}.{name.rpartition('.')[2]}".lstrip(".") for name in expected}
    return names, tuple(said)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _layers(shapes: Shapes) -> dict[tuple[tuple[str, tuple[int, ...]], ...], list[str]]:
    """Names with shapes inside a layer -> the layers that have these, in order."""
    inside: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for name, shape in shapes.items():
        inside.setdefault(_layer(name), []).append((name.rpartition(".")[2], shape))
    found: dict[tuple[tuple[str, tuple[int, ...]], ...], list[str]] = {}
    for layer in sorted(inside, key=_numbered):
        found.setdefault(tuple(sorted(inside[layer])), []).append(layer)
    return found


def _one_series(layers: Sequence[str]) -> bool:
    """Whether names differ in their last number alone."""
    return len({re.sub(r"\d+(?=\D*$)", "#", layer) for layer in layers}) == 1


def _unfit(expected: Shapes, given: Shapes, title: str) -> str:
    lacking = [f"'{name}' is not there, expected {shown(expected[name])}" for name in expected if name not in given]
    other = [
        f"'{name[:80]}' is {shown(given[name])}, expected {shown(shape)}"
        for name, shape in expected.items()
        if name in given and given[name] != shape
    ]
    more = [f"'{name[:80]}' is {shown(given[name])}, expected no such" for name in given if name not in expected]
    faults = other + (lacking + more if other or len(lacking) < len(expected) else more[:2] + lacking)
    rest = f"; and {len(faults) - FIRST:,} more" if len(faults) > FIRST else ""
    return (
        f"{counted(len(faults))} {'does' if len(faults) == 1 else 'do'} not fit the networks for '{title}' "
        f"({'; '.join(faults[:FIRST])}{rest}): choose the data and the encoders that it was trained with"
    )


def shown(shape: Sequence[int]) -> str:
    """A shape in words."""
    return " × ".join(map(str, shape)) or "one number"


def _check_numbers(checkpoint: Checkpoint, names: Iterable[str]) -> None:
    for name in names:
        kept = checkpoint.listed[checkpoint.summary.tied.get(name, name)]
        if not kept.floating:
            raise Refusal(f"'{name[:80]}' holds {kept.dtype}; expected floating point: save it unquantised")


def _aside(found: Recognition) -> tuple[str, ...]:
    parts = [f"{counted(len(found.parts[role]))} of the {role}" for role in BESIDE if role in found.parts]
    return (f"Not needed to embed and left aside: {', '.join(parts)}.",) if parts else ()
