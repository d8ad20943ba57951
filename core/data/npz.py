"""The user's own data: one .npz with an array per modality, known by the hash of its content, never by a path."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.data.contents import BadFile, Contents, check
from core.data.digest import digested
from core.data.distortions import noisy
from core.data.registry import DataSet, Modality, data
from core.data.scaling import standardised
from core.data.splits import at_random
from core.home import home
from core.params import Params
from core.streams import stream

NOISE = 0.1


class Npz(Params):
    kind: Literal["npz"] = "npz"
    digest: str = Field(
        "", pattern=r"^([0-9a-f]{64})?$", title="File", description="Sha256 of the content of a file that was added."
    )
    split_seed: int = Field(0, ge=0, le=999, title="Split seed", description="Another number, another split.")


def _file(digest: str) -> Path:
    return home() / "data" / f"{digest}.npz"


def add(content: bytes) -> str:
    """Check a file and keep it; return its sha256.

    Args:
        content: the bytes of an .npz.

    Raises:
        BadFile: if it is no data set; then nothing is kept.
        OSError: if it cannot be written; then nothing is left behind.
    """
    check(content)
    digest = hashlib.sha256(content).hexdigest()
    file = _file(digest)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=file.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(partial).replace(file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return digest


def read(digest: str) -> Contents:
    if not digest:
        raise BadFile("No file was chosen; expected the sha256 of an .npz: add a file on the page first")
    try:
        content = _file(digest).read_bytes()
    except FileNotFoundError:
        raise BadFile(
            f"No file {digest[:12]}… was added on this machine; expected a file of that content: add it on the page"
        ) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise BadFile(f"The stored file {digest[:12]}… has changed; expected its first content: add the file again")
    return check(content)


@dataclass(frozen=True)
class LightNoise:
    """Light normal noise on pictures, which stay between 0 and 1, and on vectors of `features` numbers."""

    features: int

    def __call__(self, modality: str, values: Tensor, g: Generator) -> Tensor:
        if values.ndim == 4:
            return noisy(values, NOISE, g).clamp(0, 1)
        return noisy(values, NOISE, g) if values.shape[1] == self.features else values


def _modalities(found: Contents, train: Tensor) -> tuple[Modality, ...]:
    made = [
        Modality(n, "vector", standardised(torch.from_numpy(x), train), f"own {n}") for n, x in found.vectors.items()
    ]
    made += [Modality(n, "image", _composited(x), f"own {n}") for n, x in found.images.items()]
    made += [Modality(n, "text", x, f"own {n}") for n, x in found.texts.items()]
    return tuple(made)


def _composited(pictures: np.ndarray) -> Tensor:
    """(N, 1 or 3, H, W) float32 between 0 and 1, on white where there is a fourth channel."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return x[:, :3] * x[:, 3:] + 1 - x[:, 3:] if x.shape[1] == 4 else x


def _two_views(only: Modality) -> tuple[tuple[Modality, ...], LightNoise]:
    """One modality as two: itself, and itself with a fixed draw of light noise, through one encoder."""
    assert isinstance(only.values, Tensor)
    augment = LightNoise(only.values.shape[1])
    views = {"a": only.values, "b": augment(only.name, only.values, stream(0, "npz", "view"))}
    return tuple(Modality(f"{only.name}_{end}", only.form, x, only.tower) for end, x in views.items()), augment


def _thumbnails(found: Contents) -> np.ndarray | None:
    """(N, 32, 32, 4) uint8 of the first pictures, or None where there are none."""
    if not found.images:
        return None
    x = F.interpolate(_composited(next(iter(found.images.values()))), size=(32, 32), mode="area").expand(-1, 3, -1, -1)
    rgba = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    return (255 * rgba).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@data(Npz, title="Your own file", source="the user", forms=("vector", "image", "text"), origin="designed")
def npz(p: Npz) -> DataSet:
    """An .npz of yours: 2-D numbers, uint8 pictures and strings are modalities, `labels` and `names` are optional.

    Split at random into 60 % training, 15 % validation and 25 % test; numbers are standardised with the training rows
    alone. A single modality becomes two views of itself. Without labels, `labels` is -1 and `classes` empty.

    Raises:
        BadFile: if no such file was added, or it is no data set.
    """
    found = read(p.digest)
    n = len(next(iter((found.vectors | found.images | found.texts).values())))
    split = at_random(n, round(0.15 * n), round(0.25 * n), stream(p.split_seed, "npz", "split"))
    modalities, note, augment = _modalities(found, split.train), "", None
    if len(modalities) == 1:
        note = f"One modality seen twice: {modalities[0].name}_b is {modalities[0].name}_a with light noise."
        modalities, augment = _two_views(modalities[0])
    classes, labels = (), np.full(n, -1)
    if found.labels is not None:
        known, labels = np.unique(found.labels, return_inverse=True)
        classes = tuple(map(str, known.tolist()))
    return digested(
        DataSet(
            title=f"File {p.digest[:8]}",
            modalities=modalities,
            labels=torch.from_numpy(labels).long(),
            classes=classes,
            split=split,
            names=found.names or tuple(f"row {i}" for i in range(n)),
            digest="",
            thumbnails=_thumbnails(found),
            note=note,
            augment=augment,
        )
    )
