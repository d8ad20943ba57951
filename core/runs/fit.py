"""Whether the parts of a recipe fit each other, asked before anything is trained."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F

from core.data.registry import DataSet
from core.encoders.hidden import hidden_layers
from core.encoders.registry import build
from core.losses.registry import LOSSES, LossEntry
from core.methods.registry import METHODS
from core.mixing.dmm import draw_partner
from core.mixing.registry import MIXINGS
from core.params import Params
from core.pasted.entry import Pasted
from core.pasted.kept import listed, missing, switched_on
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.companion import classes_of
from core.runs.mixed_payment import asked_loss
from core.runs.mixture import own_margin
from core.runs.networks import encoder_of, prepared
from core.runs.payment import of_pairs, takes_bags

KEYS = frozenset({"teacher", "bank"})


class Unfit(Refusal):
    """A recipe whose parts do not fit each other; the message says what is missing."""


def check_fit(recipe: Recipe, data: DataSet) -> None:
    """Refuse a recipe whose loss or mixing needs what the data, the encoder or the loss lacks.

    Raises:
        Unfit: naming what was seen, what is needed, and what to choose instead.
    """
    for fault in _faults(recipe, data):
        raise Unfit(fault)


def _faults(recipe: Recipe, data: DataSet) -> Iterator[str]:
    if isinstance(recipe.loss, Pasted) and (why := missing(recipe.loss.code)):
        yield why
    yield from _of_loss(recipe, data)
    yield from _of_joint(recipe, data)
    yield from _of_method(recipe, data)
    mixing = MIXINGS.of(recipe.mixing).call()
    if mixing is None:
        return
    if len(data.split.train) < 2:
        yield "there is 1 training item and mixing needs at least 2; choose mixing none, or data with more items"
    if mixing.mixes == "negatives":
        yield from _of_negatives(recipe)
    else:
        yield from _of_pairs(recipe)
        yield from _of_partner(recipe, data)
        yield from _of_hidden(recipe, data)


def remarks(recipe: Recipe, data: DataSet) -> list[str]:
    """What may surprise in a recipe that fits: a sentence each, none where there is nothing to say."""
    p: Any = recipe.mixing
    mixing, entry = MIXINGS.of(p).call(), LOSSES.of(asked_loss(recipe))
    said = [*_of_no_use(recipe), *_of_two_towers(recipe, data)]
    if mixing is None:
        return said
    if "margin" not in entry.inputs:
        said.append(f"{entry.title} knows no margin, so mixing is plain mixup here; choose a loss with one for DMM.")
    elif (own_margin(recipe) if p.margin is None else p.margin) == 0:
        said.append("The margin is 0, so mixed pairs are asked for no lead; set that of the mixing or of the loss.")
    if mixing.mixes == "sides" and p.partner in ("flip", "roll"):
        size = min(getattr(recipe.method, "batch", len(data.split.train)), len(data.split.train))
        alone = int((draw_partner(size, p, torch.Generator()) == torch.arange(size)).sum())
        if alone:
            who = "1 item is its" if alone == 1 else f"{alone} items are their"
            said.append(f"In each batch of {size}, {who} own partner, unmixed; choose another partner or batch.")
    return said


def _of_no_use(recipe: Recipe) -> Iterator[str]:
    """What a look at the embeddings makes that the loss does not take."""
    method, entry = METHODS.of(recipe.method).call(), LOSSES.of(recipe.loss)
    if method.looks and not method.teaches and method.gives and not set(method.gives) & set(entry.needed_of_a_run):
        made = " or ".join(method.gives)
        yield f"{entry.title} takes no {made}, so method {recipe.method.kind} changes nothing beside shuffle."


def _of_two_towers(recipe: Recipe, data: DataSet) -> Iterator[str]:
    entry = LOSSES.of(recipe.loss)
    if entry.companion and entry.companion.twins and len({m.tower for m in data.modalities}) > 1:
        yield (
            f"{entry.title} learns a network that can turn one side into the other, so pairs of modalities with towers "
            "of their own hardly find each other; choose data whose two views share a tower, such as digits."
        )


def _has(recipe: Recipe, data: DataSet) -> set[str]:
    """The inputs that a loss can be handed in this run."""
    has = {"a", "b", "modalities", "views"} | ({"labels"} if data.classes else set())
    brought = set(METHODS.of(recipe.method).call().gives)
    has |= brought if data.classes else brought - {"bank_labels"}
    has |= {"joint"} if recipe.encoder.joint else set()
    return has | ({"bags", "other_bags"} if all(m.form == "bag" for m in data.modalities) else set())


def offered(recipe: Recipe, data: DataSet) -> list[str]:
    """The losses, by key, whose inputs the data, the networks and the method of a recipe bring; its own is one."""
    has, ways = _has(recipe, data), len(data.modalities)
    fit = [e for e in LOSSES if set(e.needed_of_a_run) <= has and e.fewest <= ways]
    fit = [e for e in fit if not (_alone(e) or _keyed_at_once(e) or _cannot_tell(e, recipe, data))]
    if recipe.encoder.joint:
        fit = [e for e in fit if "joint" in e.inputs]
    own = [Pasted().kind] if isinstance(recipe.loss, Pasted) or (switched_on() and listed()) else []
    return own + [e.key for e in LOSSES if e in fit or e.key == recipe.loss.kind]


def _alone(entry: LossEntry) -> bool:
    """Whether a loss is paid within bags alone."""
    return takes_bags(entry) and not of_pairs(entry)


def _keyed_at_once(entry: LossEntry) -> bool:
    """Whether a loss over all modalities at once asks for a teacher's keys, of which each belongs to one of them."""
    return not of_pairs(entry) and bool(KEYS & set(entry.needed_of_a_run))


def _cannot_tell(entry: LossEntry, recipe: Recipe, data: DataSet) -> bool:
    """Whether a loss with a centre for each class meets a single one."""
    return "proxies" in entry.made and classes_of(recipe, data) < 2


def _of_loss(recipe: Recipe, data: DataSet) -> Iterator[str]:
    entry, has = LOSSES.of(recipe.loss), _has(recipe, data)
    missing = [name for name in entry.needed_of_a_run if name not in has]
    if _keyed_at_once(entry) and set(missing) <= KEYS:
        yield (
            f"{entry.title} asks for one key of all views of an item, and a teacher here has one for each modality; "
            "choose moco, or another loss of pairs"
        )
    elif missing == ["joint"]:
        yield f"{entry.title} needs joint, and there is no joint encoder; turn encoder.joint on, or choose another loss"
    elif missing and (method := _bringing(missing, data)):
        yield (
            f"{entry.title} needs {', '.join(missing)}, and method {recipe.method.kind} keeps none; choose method "
            f"{method}, or another loss"
        )
    elif missing:
        brought = ", ".join(sorted(has - {"modalities", "views"}))
        yield (
            f"{entry.title} needs {', '.join(missing)}, and the data set '{recipe.data.kind}' has only "
            f"{brought}; choose another loss, or data with {', '.join(missing)}"
        )
    elif entry.fewest > len(data.modalities):
        yield (
            f"{entry.title} needs {entry.fewest} modalities and the data set '{recipe.data.kind}' has "
            f"{len(data.modalities)} here; choose more of them, other data, or another loss"
        )
    elif _cannot_tell(entry, recipe, data):
        yield f"{entry.title} tells classes apart, and there is 1; choose data with more classes, or another loss"
    elif _alone(entry):
        yield f"{entry.title} pays for the order within bags and pairs no items; choose coot, which has it as a term"


def _bringing(names: Iterable[str], data: DataSet) -> str | None:
    """The key of a method that brings these inputs of a loss; what cuts classes needs some."""
    able = (entry.key for entry in METHODS if set(names) <= set(entry.call().gives))
    return next((key for key in able if key != "cut_classes" or data.classes), None)


def _of_method(recipe: Recipe, data: DataSet) -> Iterator[str]:
    """Its own faults; and a bank holds no mixed items."""
    method, entry = METHODS.of(recipe.method).call(), LOSSES.of(recipe.loss)
    if fault := method.fault(len(data.split.train), len(data.classes), recipe.method):
        yield fault
    if recipe.mixing.kind != "none" and method.teaches and set(method.gives) & set(entry.needed_of_a_run):
        met = "bank" if "bank" in entry.needed_of_a_run else "teacher"
        yield f"{entry.title} meets a {met} and mixing is {recipe.mixing.kind}; choose mixing none, or another loss"


def _of_joint(recipe: Recipe, data: DataSet) -> Iterator[str]:
    entry = LOSSES.of(recipe.loss)
    if not recipe.encoder.joint:
        return
    if "joint" not in entry.inputs:
        yield (
            f"encoder.joint is on and {entry.title} takes no joint embedding; turn encoder.joint off, or choose a loss "
            "that takes one"
        )
    if getattr(recipe.mixing, "append", False):
        yield "append is on and encoder.joint on; a bank keeps no joint embeddings, so turn append off"
    side = getattr(recipe.mixing, "side", "a")
    if side not in ("a", "each"):
        yield f"side is {side} and encoder.joint on; the joint embedding stays clean, so choose side a or each"


def _of_negatives(recipe: Recipe) -> Iterator[str]:
    entry = LOSSES.of(recipe.loss)
    if "negatives" not in entry.inputs:
        yield (
            f"{MIXINGS.of(recipe.mixing).title} mixes the negatives and {entry.title} takes none of its own; choose "
            "triplet or another loss that takes negatives"
        )


def _of_pairs(recipe: Recipe) -> Iterator[str]:
    p, loss = recipe.mixing, asked_loss(recipe)
    entry = LOSSES.of(loss)
    if p.target == "mask_partner" and "exclude" not in entry.inputs:
        yield (
            f"target is mask_partner and {entry.title} cannot leave a pair out; choose target hard, or a loss that "
            "takes exclude"
        )
    if p.target == "soft" and not of_pairs(entry):
        yield f"target is soft and {entry.title} is not paid by pairs; choose target hard, or another loss"
    if p.rule == "learned" and "margin" not in entry.inputs:
        yield f"rule is learned and {entry.title} knows no margin; choose another rule, or a loss with a margin"
    if p.append and not _takes_one_more(entry, loss):
        yield (
            f"append is on and {entry.title} cannot take one more negative for each anchor; turn append off, or choose "
            "ranking, InfoNCE or CLIP"
        )


def _takes_one_more(entry: LossEntry, loss: Params) -> bool:
    """Whether pairs can be left out of the loss and it pays by the items of one matrix a against b."""
    if "exclude" not in entry.inputs or not set(entry.needed) <= {"a", "b"}:
        return False
    x = F.normalize(torch.eye(3) + 0.1, dim=-1)
    paid = entry.pay({"a": x, "b": x}, loss, torch.Generator())
    return all(term.per.shape == (3,) for term in paid.terms.values()) and all(
        pairs.scores.shape == (3, 3) for pairs in paid.pairs
    )


def _of_partner(recipe: Recipe, data: DataSet) -> Iterator[str]:
    p = recipe.mixing
    if p.partner in ("same_class", "other_class") and len(data.classes) < 2:
        yield (
            f"partner is {p.partner} and the data set '{recipe.data.kind}' has {len(data.classes) or 'no'} classes; "
            "choose another partner, or data with classes"
        )
    if p.append and p.partner != "bank":
        yield f"append is on and partner {p.partner}; only partners from the bank are not in the batch, so turn it off"


def _of_hidden(recipe: Recipe, data: DataSet) -> Iterator[str]:
    p: Any = recipe.mixing
    if p.level != "hidden":
        return
    for m in data.modalities:
        settings: Any = encoder_of(recipe, m)
        with torch.device("meta"):
            network = build(settings, tuple(prepared(recipe, m).shape[1:]), recipe.encoder.dim, recipe.seed, m.tower)
        if (layers := hidden_layers(network)) < p.layer:
            yield (
                f"hidden layer {p.layer} is to be mixed and the encoder {settings.kind} of {m.name} has {layers}; "
                "choose a smaller layer, a deeper encoder, or level input"
            )
            return
