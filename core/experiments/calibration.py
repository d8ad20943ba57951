"""Class Gaussians from labels that are partly wrong, of classes of very different size: what calibration mends.

The probe of RCal (Zhang et al. 2023, arXiv:2211.10955) on built-in digits. It embeds by PCA and trains no encoder, so
what it shows is the calibration alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Generator, Tensor

from core.data.digits import Digits
from core.data.loading import load
from core.diagnostics.maps import pca
from core.diagnostics.probes import linear_probe
from core.experiments.results import provenance
from core.procedures.class_gaussians import (
    ClassGaussians,
    ClassSamples,
    LocalOutlierFactor,
    TailBorrowing,
    class_gaussians,
    class_samples,
    local_outlier_factor,
    tail_borrowing,
)
from core.streams import stream

Way = Literal["raw", "lof", "tail"]
WAYS: tuple[Way, ...] = get_args(Way)
CLASSES, DIMS, MOST, LEAST = 10, 24, 110, 5
NOISES, SEEDS = (0.0, 0.2, 0.4), 10
OUTLIERS = ClassGaussians(most=1.2)
BORROWING = TailBorrowing(spread="convex")


@dataclass(frozen=True)
class Calibrated:
    """What one seed says: true sizes of the classes, largest first, and for each way of estimating

    `distance`, of each class, from its estimated mean to the mean of all its true items; `accuracy` on the test part
    of a logistic head, trained on the items as labelled and, but for "raw", on what is drawn from the Gaussians.
    """

    sizes: tuple[int, ...]
    distance: Mapping[Way, tuple[float, ...]]
    accuracy: Mapping[Way, float]

    def error(self, way: Way) -> float:
        """Mean distance over the classes."""
        return sum(self.distance[way]) / len(self.distance[way])


def long_tail(labels: Tensor, g: Generator) -> tuple[Tensor, Tensor]:
    """Places of items so that one class after another, in a drawn order, has fewer; and that order of the classes."""
    order = torch.randperm(CLASSES, generator=g)
    sizes = [round(MOST * (LEAST / MOST) ** (rank / (CLASSES - 1))) for rank in range(CLASSES)]
    chosen = []
    for kind, size in zip(order.tolist(), sizes, strict=True):
        own = (labels == kind).nonzero().squeeze(1)
        chosen.append(own[torch.randperm(len(own), generator=g)[:size]])
    return torch.cat(chosen), order


def flipped(labels: Tensor, noise: float, g: Generator) -> Tensor:
    """(N,) labels of which each becomes another class j with probability noise * n_j / N, so mostly a large one.

    The first item of each class keeps its label, so that no class is left empty.
    """
    counts = torch.bincount(labels, minlength=CLASSES).double()
    into = (noise * counts / counts.sum()).expand(CLASSES, -1).clone().fill_diagonal_(0)
    into += torch.diag(1 - into.sum(dim=1))
    drawn = torch.multinomial(into[labels], 1, generator=g).squeeze(1)
    first = torch.stack([(labels == kind).nonzero()[0, 0] for kind in range(CLASSES)])
    return drawn.index_copy(0, first, labels[first])


def calibrate(noise: float, seed: int) -> Calibrated:
    """Estimate the Gaussians of ten long-tailed classes of noisy labels in three ways.

    Args:
        noise: share of labels that are drawn anew, 0 to 1.
        seed: of sizes, items, labels and draws.
    """
    data = load(Digits())
    pool = torch.cat([data.split.train, data.split.validation])
    x = torch.as_tensor(data.modalities[0].values).double()
    z = pca(x[pool], dims=DIMS).project(x)
    true = torch.stack([z[pool][data.labels[pool] == kind].mean(dim=0) for kind in range(CLASSES)])
    g = stream(seed, "calibration")
    items, order = long_tail(data.labels[pool], g)
    labels = data.labels[pool][items]
    noisy, seen = flipped(labels, noise, g), z[pool][items]
    gaussians = _gaussians(seen, noisy)
    draws = torch.randn(CLASSES, MOST, DIMS, generator=g, dtype=z.dtype)
    accuracy = {}
    for way, (means, covariances) in gaussians.items():
        rows, kinds = (seen, noisy) if way == "raw" else _filled(seen, noisy, means, covariances, draws)
        accuracy[way] = linear_probe(rows, kinds, z[data.split.test], data.labels[data.split.test]).accuracy
    return Calibrated(
        tuple(torch.bincount(labels)[order].tolist()),
        {way: tuple((means - true).norm(dim=1)[order].tolist()) for way, (means, _) in gaussians.items()},
        accuracy,
    )


def _gaussians(seen: Tensor, noisy: Tensor) -> dict[Way, tuple[Tensor, Tensor]]:
    everybody = torch.ones(len(seen), dtype=seen.dtype)
    means, covariances, _ = class_gaussians(seen, noisy, everybody, OUTLIERS)
    factor = local_outlier_factor(seen, noisy, LocalOutlierFactor())
    cleaned = class_gaussians(seen, noisy, factor, OUTLIERS)
    return {"raw": (means, covariances), "lof": cleaned[:2], "tail": tail_borrowing(*cleaned, BORROWING)}


def _filled(seen: Tensor, noisy: Tensor, means: Tensor, covariances: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """The items and, for each class, as many draws as it lacks of `MOST`."""
    made = class_samples(means, covariances, draws, ClassSamples())
    lacking = (MOST - torch.bincount(noisy, minlength=CLASSES)).clamp_min(0).tolist()
    rows = [seen, *(made[kind, :count] for kind, count in enumerate(lacking))]
    return torch.cat(rows), torch.cat([noisy, torch.arange(CLASSES).repeat_interleave(torch.tensor(lacking))])


def survey() -> dict[str, Any]:
    """What `calibrate` says at each level of noise for each seed, as it is kept in a file."""
    found = {str(noise): [asdict(calibrate(noise, seed)) for seed in range(SEEDS)] for noise in NOISES}
    return {"noises": found} | provenance()
