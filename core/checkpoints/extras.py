"""Networks that other libraries build: used where the library is installed, else named with the line to install it.

What is needed stands in `requirements-vision.txt` and `requirements-texts.txt` beside this module, as `tests` has its
own: nothing of Pushpull itself needs them, and they hold torch at the version of the project. No library is asked for
weights and nothing is fetched; the only numbers that are loaded are those behind the fence, strictly, by name and
shape. The tests run these paths against stand-ins of the libraries, not against the libraries themselves.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.checkpoints.embedding import Embedded, finite, shapes_of, whole
from core.checkpoints.families import Recognition, counted, quoted, recognise
from core.checkpoints.opened import Checkpoint
from core.data.emoji import Emoji
from core.data.loading import load
from core.data.registry import DataSet, Split
from core.environment import ROOT
from core.refusal import Refusal

TRAIN, TEST, CHUNK = 200, 150, 50
SECOND, SPARE = ("queue", "teacher", "optimiser"), ("head", "projector", "predictor", "temperature")
Encode = Callable[[nn.Module, Any], Tensor]
# Layout as it is recognised -> names under which timm has such networks.
TIMM = {
    "a vision transformer": ("vit_*", "deit*"),
    "a Swin transformer": ("swin_*",),
    "an EfficientNet or MobileNet": ("*efficientnet*", "mobilenet*"),
    "a ConvNeXt": ("convnext*",),
    "a ResNet with a deep stem": ("resnet*d", "seresnet*d"),
}
RESNETS = ("resnet*", "resnext*", "wide_resnet*")
# Rows of a table of words -> whose vocabulary has so many.
VOCABULARIES = {30522: "bert-base-uncased", 28996: "bert-base-cased", 119547: "bert-base-multilingual-cased"}


@dataclass(frozen=True)
class Extra:
    """A library that builds networks: the module to import, the file of requirements, and how it embeds."""

    module: str
    requirements: str
    run: Callable[[Checkpoint, Recognition], Embedded]

    @property
    def here(self) -> bool:
        return find_spec(self.module) is not None

    @property
    def line(self) -> str:
        """The command that installs it into this Python."""
        python, file = Path(sys.executable), Path(__file__).with_name(self.requirements)
        shown = python.relative_to(ROOT) if python.is_relative_to(ROOT) else python
        return f"{shown} -m pip install -r {file.relative_to(ROOT)}"


def installed() -> tuple[str, ...]:
    """The modules of this table that can be imported."""
    return tuple(sorted({each.module for each in EXTRAS.values() if each.here}))


def needed(found: Recognition) -> Extra | None:
    """The library that builds what was recognised, or None where none is known here."""
    return EXTRAS.get(found.family)


def embed(checkpoint: Checkpoint) -> Embedded:
    """Built-in pictures or texts, as a network of another library sees them, with the numbers of a file.

    Raises:
        Refusal: if the library is not installed, with the line to install it; or if it has no such network.
    """
    found = recognise(checkpoint)
    extra = needed(found)
    if extra is None:
        raise Refusal(f"No library is known here that builds {found.title}; expected {', '.join(EXTRAS)}: embed there")
    if not extra.here:
        raise Refusal(
            f"{found.title} builds this network, and the library {extra.module} is not installed; expected it in this "
            f"Python: run {extra.line}"
        )
    os.environ["HF_HUB_OFFLINE"] = "1"
    return extra.run(checkpoint, found)


def evenly(items: Tensor, most: int) -> Tensor:
    """At most so many of the items, at even distances."""
    return items[torch.linspace(0, len(items) - 1, min(most, len(items)), dtype=torch.float64).round().long()]


def some(data: DataSet) -> DataSet:
    """Training and test items, evenly chosen: networks of this size are slow."""
    parts = evenly(data.split.train, TRAIN), evenly(data.split.test, TEST)
    rows = torch.cat(parts).sort().values

    def values(given: Tensor | tuple[str, ...]) -> Any:
        return given[rows] if isinstance(given, Tensor) else tuple(given[row] for row in rows.tolist())

    train, test = (torch.searchsorted(rows, part) for part in parts)
    return replace(
        data,
        modalities=tuple(replace(m, values=values(m.values)) for m in data.modalities),
        labels=data.labels[rows],
        names=values(data.names),
        split=Split(train, torch.empty(0, dtype=torch.int64), test),
        thumbnails=None if data.thumbnails is None else data.thumbnails[rows.numpy()],
        note="200 training and 150 test items of the emoji; the network has seen none of them here.",
    )


def _loaded(checkpoint: Checkpoint, build: Callable[[], nn.Module], names: Mapping[str, str]) -> list[nn.Module]:
    """The network with the numbers of the file, and one with random weights."""
    made = []
    for seed in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made.append(build().eval())
    made[0].load_state_dict({bare: finite(checkpoint, name) for bare, name in names.items()}, strict=True)
    return made


@torch.no_grad()
def _embedded(networks: list[nn.Module], data: DataSet, how: Mapping[str, Encode], said: tuple[str, ...]) -> Embedded:
    z, random = (
        {
            m.name: F.normalize(
                torch.cat(
                    [how[m.form](network, m.values[k : k + CHUNK]).float() for k in range(0, len(m.values), CHUNK)]
                ),
                dim=1,
            )
            for m in data.modalities
        }
        for network in networks
    )
    return Embedded(data, whole(z), (random,), said)


def _inside(checkpoint: Checkpoint, found: Recognition, inside: str = "") -> dict[str, str]:
    """Name in the library's network -> name in the file, without a queue, a teacher and an optimiser."""
    role = found.role_of()
    named = {bare.removeprefix(inside): name for name, bare in found.bare.items() if bare.startswith(inside)}
    return {bare: name for bare, name in named.items() if role[name] not in SECOND}


def _choose(
    checkpoint: Checkpoint, found: Recognition, names: Mapping[str, str], models: Iterator[str], build: Any
) -> tuple[str, dict[str, str]]:
    """The first model whose tensors are all in the file by name and shape, and which they are; heads may be left over.

    Raises:
        Refusal: if there is none.
    """
    shapes, role = shapes_of(checkpoint), found.role_of()
    tried = 0
    for model in models:
        with torch.device("meta"):
            wanted = {name: tuple(value.shape) for name, value in build(model).state_dict().items()}
        tried += 1
        over = [name for bare, name in names.items() if bare not in wanted and role[name] not in SPARE]
        if not over and all(name in names and shapes[names[name]] == shape for name, shape in wanted.items()):
            return model, {name: names[name] for name in wanted}
    raise Refusal(
        f"None of {counted(tried, 'network')} of {found.title} has tensors like {quoted(tuple(names))}; expected one "
        "that fits by every name and shape: embed with the code that it was trained with"
    )


def _timm(checkpoint: Checkpoint, found: Recognition) -> Embedded:
    """Drawings of emoji in two styles through a network of timm, up to its features."""
    timm = importlib.import_module("timm")

    def build(model: str) -> nn.Module:
        return timm.create_model(model, pretrained=False, num_classes=0)

    models = (name for pattern in TIMM.get(found.layout, RESNETS) for name in timm.list_models(pattern))
    model, names = _choose(checkpoint, found, _inside(checkpoint, found, found.inside), models, build)
    networks = _loaded(checkpoint, lambda: build(model), names)
    config = timm.data.resolve_model_data_config(networks[0])
    data = some(load(Emoji(modalities=("noto", "twemoji"))))
    said = f"Built as '{model}' of timm, the first that fits by every name and shape; its features embed."
    return _embedded(networks, data, {"image": lambda network, x: network(_pictures(x, config))}, (said,))


def _pictures(x: Tensor, config: Mapping[str, Any]) -> Tensor:
    """Pictures (n, 3, H, W) between 0 and 1 at the size and with the mean and deviation that a network was made for."""
    x = F.interpolate(x, size=tuple(config["input_size"][-2:]), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(config[name]).reshape(1, -1, 1, 1) for name in ("mean", "std"))
    return (x - mean) / std


def _open_clip(checkpoint: Checkpoint, found: Recognition) -> Embedded:
    """Drawings of emoji and their English names through the two towers of a network of open_clip."""
    open_clip = importlib.import_module("open_clip")
    names, shapes = _inside(checkpoint, found), shapes_of(checkpoint)

    def build(model: str) -> nn.Module:
        return open_clip.create_model(model, pretrained=None)

    def may(model: str) -> bool:
        said = open_clip.get_model_config(model)
        projection = names.get("visual.proj", names.get("text_projection", ""))
        text = said.get("text_cfg", {})
        return "hf_model_name" not in text and (not projection or shapes[projection][-1] == said.get("embed_dim"))

    models = (model for model in open_clip.list_models() if may(model))
    model, chosen = _choose(checkpoint, found, names, models, build)
    networks, tokens = _loaded(checkpoint, lambda: build(model), chosen), open_clip.get_tokenizer(model)
    config = open_clip.get_model_preprocess_cfg(networks[0])
    config = {"input_size": (config["size"],) * 2 if isinstance(config["size"], int) else config["size"]} | {
        name: config[name] for name in ("mean", "std")
    }
    how = {
        "image": lambda network, x: network.encode_image(_pictures(x, config)),
        "text": lambda network, texts: network.encode_text(tokens(list(texts))),
    }
    said = f"Built as '{model}' of open_clip, the first that fits by every name and shape; names do not tell QuickGELU."
    return _embedded(networks, some(load(Emoji())), how, (said,))


def _bert(checkpoint: Checkpoint, found: Recognition) -> Embedded:
    """Names of emoji in two languages through a BERT, averaged over the words."""
    transformers = importlib.import_module("transformers")
    names, shapes = _inside(checkpoint, found, found.inside), shapes_of(checkpoint)
    table = names.get("embeddings.word_embeddings.weight")
    if table is None or "encoder.layer.0.attention.self.query.weight" not in names:
        raise Refusal(f"The file holds {found.layout} of {found.title}; expected a BERT: embed with its own library")
    words, width = shapes[table]
    config = transformers.BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=sum(name.endswith("attention.self.query.weight") for name in names),
        num_attention_heads=12 if width == 384 else max(width // 64, 1),
        intermediate_size=shapes[names["encoder.layer.0.intermediate.dense.weight"]][0],
        max_position_embeddings=shapes[names["embeddings.position_embeddings.weight"]][0],
        type_vocab_size=shapes[names["embeddings.token_type_embeddings.weight"]][0],
    )
    pooled = any(name.startswith("pooler.") for name in names)
    names = {name: given for name, given in names.items() if not name.endswith("position_ids")}

    def build(model: str = "") -> nn.Module:
        return transformers.BertModel(config, add_pooling_layer=pooled)

    _, chosen = _choose(checkpoint, found, names, iter(["BertModel"]), build)
    tokens = _tokenizer(transformers, words)

    def encode(network: nn.Module, texts: tuple[str, ...]) -> Tensor:
        given = tokens(list(texts), padding=True, truncation=True, max_length=128, return_tensors="pt")
        states, mask = network(**given).last_hidden_state, given["attention_mask"][..., None]
        return (states * mask).sum(dim=1) / mask.sum(dim=1)

    said = (
        f"Built as a BERT of {config.num_hidden_layers} layers; {config.num_attention_heads} heads are assumed, as is "
        "usual at this width, and the mean over words embeds: shapes tell neither.",
    )
    data = some(load(Emoji(modalities=("en", "de"))))
    return _embedded(_loaded(checkpoint, build, chosen), data, {"text": encode}, said)


def _tokenizer(transformers: Any, words: int) -> Any:
    """The vocabulary that a table of so many words belongs to, out of what this machine already has."""
    name = VOCABULARIES.get(words, "")
    try:
        return transformers.AutoTokenizer.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError) as error:
        wanted = f"that of '{name}' on this machine: fetch it once with 'hf download {name}'" if name else "a known one"
        raise Refusal(f"The file has a table of {words:,} words and no vocabulary; expected {wanted}") from error


EXTRAS: Mapping[str, Extra] = {
    **{
        family: Extra("timm", "requirements-vision.txt", _timm)
        for family in ("timm", "torchvision", "moco", "lightly", "solo-learn")
    },
    "open_clip": Extra("open_clip", "requirements-vision.txt", _open_clip),
    "transformers": Extra("transformers", "requirements-texts.txt", _bert),
    "sentence-transformers": Extra("transformers", "requirements-texts.txt", _bert),
}
