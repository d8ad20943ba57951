"""Handwritten digits: 1,797 small images, each seen twice."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor

from core.data.digest import digested
from core.data.distortions import contrasted, moved, noisy
from core.data.registry import DataSet, Modality, data
from core.data.splits import stratified
from core.params import Params
from core.streams import stream

SIDE = 8


class Digits(Params):
    kind: Literal["digits"] = "digits"
    form: Literal["vector", "image"] = Field(
        "vector", title="Form", description="64 numbers, or a picture of 8 by 8 for a CNN."
    )
    split_seed: int = Field(0, ge=0, le=999, title="Split seed", description="Another number, another split.")


def distorted(x: Tensor, g: Generator) -> Tensor:
    """(n, C, H, W) between 0 and 1: moved by up to an eighth of the side, zoomed, in other contrast, with noise."""
    changed = contrasted(moved(x, shift=0.125, zoom=0.1, fill=0, g=g), change=0.3, background=0, g=g)
    return noisy(changed, strength=0.1, g=g).clamp(0, 1)


def augment(modality: str, values: Tensor, g: Generator) -> Tensor:
    """Pictures, or pictures written as rows of 64, freshly distorted; anything else as it is."""
    if values.ndim == 4:
        return distorted(values, g)
    if values.shape[1:] == (SIDE * SIDE,):
        return distorted(values.reshape(-1, 1, SIDE, SIDE), g).reshape(values.shape)
    return values


@data(
    Digits,
    title="Digits",
    source="scikit-learn's load_digits: test part of the UCI set of handwritten digits, doi 10.24432/C50P49",
    forms=("vector", "image"),
    origin="code",
)
def digits(p: Digits) -> DataSet:
    """scikit-learn's 1,797 images of 8 x 8, as two views through one encoder; 60 % of each digit is for training.

    `view_a` is the image itself, `view_b` one fixed distortion of it, the same for every seed. What the trainer draws
    afresh at each step, it draws on top of both.
    """
    from sklearn.datasets import load_digits

    known = load_digits()
    images = torch.from_numpy(known.images).float()[:, None] / 16
    labels = torch.from_numpy(known.target).long()
    views = {"view_a": images, "view_b": distorted(images, stream(0, "digits", "view_b"))}
    ink = (255 - 255 * images[:, 0]).round().to(torch.uint8).numpy().repeat(4, axis=1).repeat(4, axis=2)
    return digested(
        DataSet(
            title="Digits",
            modalities=tuple(
                Modality(name, p.form, view.flatten(1) if p.form == "vector" else view, tower="digit")
                for name, view in views.items()
            ),
            labels=labels,
            classes=tuple(map(str, range(10))),
            split=stratified(labels, 0.15, 0.25, stream(p.split_seed, "digits", "split")),
            names=tuple(f"{label} (image {i})" for i, label in enumerate(labels.tolist())),
            digest="",
            thumbnails=np.stack([ink, ink, ink, np.full_like(ink, 255)], axis=-1),
            note="Two views of each image: view_b is a fixed distortion of view_a (shift, zoom, contrast, noise); "
            "training distorts both afresh at each step.",
            augment=augment,
        )
    )
