"""Losses over several modalities, of their authors' own code."""

import re

import torch
from torch import Tensor

from core.losses.symile import PairwiseClip, Symile, pairwise_clip, symile
from tests.golden.families import Family, Golden, close, close_gradients, leaf

SCALES = {"14.286": 100 / 7, "1.000": 1.0}


def shuffles(perms: Tensor) -> Tensor:
    """Their rows are (anchor 0: r1, r2), (anchor 1: r0, r2), (anchor 2: r0, r1); mine have one for the anchor too."""
    orders = torch.zeros(3, 3, perms.shape[1], dtype=torch.int64)
    orders[[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]] = perms
    return orders


def all_modalities(z: Golden, case: str) -> None:
    size, form, scale = re.fullmatch(r"(N\d+)_(\w+)_s([\d.]+)", case).groups()
    r = [leaf(z[f"{size}_r{q}"]) for q in range(3)]
    modalities, tau = torch.stack(r), 1 / SCALES[scale]
    if form == "pairclip":
        value = pairwise_clip(modalities, PairwiseClip(temperature=tau)).total()
    else:
        planned = shuffles(z[f"{case}_perms"]) if form == "n" else torch.empty(3, 3, 0, dtype=torch.int64)
        value = symile(modalities, planned, Symile(temperature=tau, candidates=form)).total()
    close(value, z[f"{case}_loss"])
    close_gradients(z, value, {f"{case}_grad_r{q}": r[q] for q in range(3)})


FAMILIES = (
    Family(
        "symile",
        r"N\d+_r\d|meta_json",
        r"(N\d+_(?:n|n_squared|pairclip)_s[\d.]+)_(?:loss|perms|grad_r\d)",
        all_modalities,
    ),
)
