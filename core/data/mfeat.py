"""Multiple features: 2,000 handwritten digits seen through six sets of features."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator

from core.data.digest import digested
from core.data.registry import DataSet, Modality, data
from core.data.scaling import standardised
from core.data.splits import stratified
from core.environment import ROOT
from core.params import Params
from core.streams import stream


class MFeat(Params):
    kind: Literal["mfeat"] = "mfeat"
    modalities: tuple[Literal["fou", "zer", "mor", "kar", "fac", "pix"], ...] = Field(
        ("fou", "zer", "mor"),
        min_length=2,
        max_length=6,
        title="Modalities",
        description="Fourier shape, Zernike moments, morphology, Karhunen-Loève, profile correlations, pixel means.",
    )
    split_seed: int = Field(0, ge=0, le=999, title="Split seed", description="Another number, another split.")

    @field_validator("modalities")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"{', '.join(names)} names a modality twice; name each once")
        return names


def pictures(pixels: np.ndarray) -> np.ndarray:
    """(N, 32, 32, 4) uint8 from (N, 240) means of ink between 0 and 6, 16 rows of 15: dark ink on white."""
    ink = np.rint(255 - 255 * pixels.reshape(-1, 16, 15) / 6).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    ink = np.pad(ink, ((0, 0), (0, 0), (1, 1)), constant_values=255)
    return np.stack([ink, ink, ink, np.full_like(ink, 255)], axis=-1)


@data(
    MFeat,
    title="Digits in six feature sets",
    source="UCI Multiple Features, doi 10.24432/C5HC70",
    forms=("vector",),
    origin="code",
)
def mfeat(p: MFeat) -> DataSet:
    """UCI Multiple Features: two to six feature sets of the same 2,000 digits; 1,000 train, 300 validate, 700 test.

    Each column is standardised with mean and standard deviation of the training items alone.
    """
    with np.load(ROOT / "assets" / "data" / "mfeat.npz", allow_pickle=False) as arrays:
        values = {name: torch.from_numpy(arrays[name]) for name in p.modalities}
        labels = torch.from_numpy(arrays["label"]).long()
        thumbnails = pictures(arrays["pix"])
    split = stratified(labels, 0.15, 0.35, stream(p.split_seed, "mfeat", "split"))
    return digested(
        DataSet(
            title="Digits in six feature sets",
            modalities=tuple(
                Modality(name, "vector", standardised(x, split.train), tower=name) for name, x in values.items()
            ),
            labels=labels,
            classes=tuple(map(str, range(10))),
            split=split,
            names=tuple(f"{label} (digit {i})" for i, label in enumerate(labels.tolist())),
            digest="",
            thumbnails=thumbnails,
        )
    )
