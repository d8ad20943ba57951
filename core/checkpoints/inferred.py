"""The recipe of a checkpoint: as the file itself says it, or told from the names and shapes of its tensors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from core.addresses import read
from core.checkpoints.embedding import BESIDE, Fit, fit, own_names, shapes_of
from core.checkpoints.families import quoted, recognise
from core.checkpoints.opened import Checkpoint, natural
from core.data.loading import load
from core.data.npz import Npz
from core.data.registry import DATA, DataSet, Modality
from core.encoders.cnn import CNN
from core.encoders.registry import ENCODERS
from core.params import Params, domain
from core.recipe import Encoder, Recipe
from core.refusal import Refusal

TOLD = "recipe."
ASSUMED = (
    "The file does not say its recipe; data and encoders were told from names and shapes. Split, seed and settings of "
    "the data are the usual ones here: if it was trained with others, it has seen some of the test items, and what "
    "stands as before training is another draw of random weights."
)
Shape = tuple[int, ...]
Tower = Sequence[Shape]


def fits(checkpoint: Checkpoint, brought: Sequence[Params] = ()) -> tuple[Fit, ...]:
    """Every data set that the network of a file can read: its own where the file says it, else all that fit.

    Args:
        checkpoint: behind the fence.
        brought: data sets of the user's, tried before the built-in ones.

    Raises:
        Refusal: if there is none, saying what was seen and what is needed.
    """
    told = said_by(checkpoint)
    found = [_told(checkpoint, told)] if told else []
    for recipe, said in _guesses(checkpoint, brought):
        if told and recipe.data.kind == told.data.kind:
            continue
        try:
            one = fit(checkpoint, recipe)
        except Refusal:
            continue
        found.append(Fit(recipe, one.names, (*said, *one.said)))
    if not found:
        raise Refusal(_none(checkpoint))
    return tuple({_same(each.recipe.data): each for each in reversed(found)}.values())[::-1]


def _told(checkpoint: Checkpoint, recipe: Recipe) -> Fit:
    one = fit(checkpoint, recipe)
    said = f"The file says its recipe: {load(recipe.data).title}, seed {recipe.seed}, {recipe.steps:,} steps."
    return Fit(recipe, one.names, (said, *one.said))


def _same(p: Params) -> Any:
    """Alike for two ways to see one built-in data set, of which the first is taken."""
    return p if isinstance(p, Npz) else type(p)


def said_by(checkpoint: Checkpoint) -> Recipe | None:
    """The recipe that a run of ours writes beside its weights; None where there is none, or not a whole one.

    It is read as a link is: against the schema, and nothing of it is run.
    """
    notes = checkpoint.summary.notes
    flat = {name.removeprefix(TOLD): text for name, text in notes.items() if name.startswith(TOLD)}
    if "data.kind" not in flat:
        return None
    try:
        recipe, refused = read(flat, Recipe())
    except ValidationError:
        return None
    return None if refused else recipe


def _guesses(checkpoint: Checkpoint, brought: Sequence[Params]) -> Iterator[tuple[Recipe, tuple[str, ...]]]:
    towers, joint = _towers(checkpoint)
    if not all(map(_chained, towers.values())):
        return
    for p in _data(tuple(towers), brought):
        try:
            data = load(p)
        except Refusal:
            continue
        names = {m.tower for m in data.modalities}
        if names == towers.keys():
            shapes = towers
        elif len(names) == len(towers) == 1:
            shapes = dict(zip(names, towers.values(), strict=True))
        else:
            continue
        for encoder, said in encoders(data, shapes, joint):
            yield Recipe(data=p, encoder=encoder), (ASSUMED, *said)


def _towers(checkpoint: Checkpoint) -> tuple[dict[str, Tower], bool]:
    """Tower -> the shapes of its weights in order, and whether there is a joint encoder; a stranger's is one tower."""
    recognition, shapes = recognise(checkpoint), shapes_of(checkpoint)
    own = own_names(recognition)
    towers: dict[str, list[Shape]] = {}
    named = own or {bare: name for name, bare in recognition.bare.items()}
    role = recognition.role_of()
    for bare in sorted(named, key=natural):
        beside = bare.startswith("joint.") if own else role[named[bare]] in BESIDE
        if beside or len(shapes[named[bare]]) < 2:
            continue
        towers.setdefault(bare.split(".")[1] if own else "", []).append(shapes[named[bare]])
    return {name: tuple(tower) for name, tower in towers.items()}, any(name.startswith("joint.") for name in own)


def _chained(tower: Tower) -> bool:
    """Whether each layer takes what the one before it gives, as in every network that the core builds."""
    return all(after[1] % before[0] == 0 for before, after in pairwise(tower))


def _data(towers: Sequence[str], brought: Sequence[Params]) -> Iterator[Params]:
    """Params of the data sets whose modalities can be called as the towers are."""
    if len(towers) == 1 or all(name.startswith("own ") for name in towers):
        yield from brought
    for entry in DATA:
        if entry.params is Npz:
            continue
        fields, settings = entry.params.model_fields, [{}]
        if "modalities" in fields:
            chosen = tuple(each for each in domain(fields["modalities"]).choices if each in towers)
            if sorted(chosen) != sorted(towers):
                continue
            settings = [{"modalities": chosen}]
        if "form" in fields:
            settings = [one | {"form": form} for one in settings for form in domain(fields["form"]).choices]
        for each in settings:
            try:
                yield entry.params.model_validate(each)
            except ValidationError:
                continue


def encoders(
    data: DataSet, towers: Mapping[str, Tower], joint: bool = False
) -> Iterator[tuple[Encoder, tuple[str, ...]]]:
    """Encoders whose weights can have these shapes, each with what was assumed.

    Args:
        data: what they read.
        towers: tower -> shapes of its weights, the first layer first.
        joint: whether there is a joint encoder.
    """
    first = {m.form: m for m in reversed(data.modalities)}
    dims = {_dim(tower) for tower in towers.values() if tower}
    if len(dims) != 1 or not all(towers.values()):
        return
    for chosen in product(*(list(_possible(m, towers[m.tower])) for m in first.values())):
        settings = dict(zip(first, (p for p, _ in chosen), strict=True))
        try:
            yield Encoder(dim=dims.copy().pop(), joint=joint, **settings), tuple(text for _, text in chosen if text)
        except ValidationError:
            continue


def _dim(tower: Tower) -> int:
    return tower[-1][0]


def _possible(m: Modality, tower: Tower) -> Iterator[tuple[Params, str]]:
    for entry in ENCODERS:
        rule = RULES.get(entry.key)
        if rule is None or m.form not in entry.forms:
            continue
        try:
            settings, said = rule(m, tower)
            yield entry.params.model_validate(settings), said
        except (ValueError, LookupError):
            continue


def _linear(m: Modality, tower: Tower) -> tuple[dict[str, Any], str]:
    (_,) = tower
    return {}, ""


def _free(m: Modality, tower: Tower) -> tuple[dict[str, Any], str]:
    """A row for each item."""
    ((_, items),) = tower
    if items != len(m.values):
        raise ValueError(items)
    return {}, ""


def _perceptron(m: Modality, tower: Tower) -> tuple[dict[str, Any], str]:
    return {"depth": len(tower) - 1} | ({"width": tower[0][0]} if len(tower) > 1 else {}), ""


def _text(m: Modality, tower: Tower) -> tuple[dict[str, Any], str]:
    settings, said = _perceptron(m, tower)
    return settings | {"buckets": tower[0][1]}, said


def _cnn(m: Modality, tower: Tower) -> tuple[dict[str, Any], str]:
    """The side that pictures are shrunk to decides the last layer; where several do, the usual one is taken."""
    *convolutions, last = tower
    assert isinstance(m.values, Tensor)
    height, width = m.values.shape[-2:]
    limits = domain(CNN.model_fields["resolution"])
    known = range(int(limits.low or 1), int(limits.high or 1) + 1)
    able = [side for side in known if _left(height, side, tower) * _left(width, side, tower) * tower[-2][0] == last[1]]
    usual = CNN().resolution
    side = usual if usual in able else able[-1]
    different = sorted({min(max(height, width), each) for each in able})
    said = (
        f"Pictures can have been shrunk to {different[0]} to {different[-1]} pixels by its shapes; {side} is assumed."
        if len(different) > 1
        else ""
    )
    return {"depth": len(convolutions), "width": tower[0][0], "resolution": side}, said


def _left(side: int, resolution: int, tower: Tower) -> int:
    """What convolutions that halve leave of a side."""
    left = min(side, resolution)
    for _ in tower[:-1]:
        left = -(-left // 2)
    return left


RULES: Mapping[str, Callable[[Modality, Tower], tuple[dict[str, Any], str]]] = {
    "cnn": _cnn,
    "deep_sets": _perceptron,
    "free": _free,
    "linear": _linear,
    "mlp": _perceptron,
    "text": _text,
}


def _none(checkpoint: Checkpoint) -> str:
    towers, _ = _towers(checkpoint)
    seen = f"the towers {quoted(tuple(towers))}" if all(towers) else "one network of shapes that no data here has"
    first = next(iter(towers.values()), ())
    sizes = f", whose first layer is {' × '.join(map(str, first[0]))}" if first else ""
    return (
        f"The file holds {seen if towers else 'no layers'}{sizes}; expected networks that the core can build (linear, "
        "MLP, CNN, hashed words, Deep Sets) for a built-in data set or a file of yours: add the items that it reads as "
        "a file, or take the checkpoint of a run"
    )
