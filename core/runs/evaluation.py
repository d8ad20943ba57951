"""The figures of a finished run: flat, numbers only, equal for equal seeds."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from core.diagnostics.geometry import alignment, effective_rank, modality_gap, uniformity
from core.diagnostics.missing import fuse
from core.diagnostics.probes import knn_accuracy, linear_probe
from core.diagnostics.retrieval import every_way
from core.encoders.bags import Bag
from core.runs.networks import on_sphere
from core.runs.trainer import Trainer


def evaluate(trainer: Trainer, last: Mapping[str, float]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Measure a trained network on the test items.

    Args:
        trainer: after its last step.
        last: the last line of the metrics.

    Returns:
        Metrics by name (shares between 0 and 1), and modality -> (N, D) embeddings of all items.
        `test.r1.<from>_<to>` and its like for every ordered pair of modalities; `test.member.r1.<from>_<to>` and its
        like for all members of the test items, where all modalities are bags; `test.knn` and `test.linear` on the
        fused embeddings, where the data has classes; geometry of each modality on the test items.
    """
    embedded, bags = trainer.look()
    z = {name: value.cpu() for name, value in embedded.items()}
    split, data = trainer.data.split, trainer.data
    train = {name: value[split.train] for name, value in z.items()}
    test = {name: value[split.test] for name, value in z.items()}
    metrics = {f"train.{name}": value for name, value in last.items() if name != "step"}
    metrics |= {"train.n": float(len(split.train)), "test.n": float(len(split.test))}
    metrics |= _retrieval("test", test)
    if len(bags) == len(z):
        metrics |= _retrieval("test.member", members({name: _at(bag, split.test) for name, bag in bags.items()}))
    if data.classes:
        metrics |= _probes(fuse(train), data.labels[split.train], fuse(test), data.labels[split.test])
    for name, value in test.items():
        metrics |= {f"test.uniformity.{name}": uniformity(value), f"test.effective_rank.{name}": effective_rank(value)}
    for m, n in trainer.pairs:
        metrics |= {f"test.alignment.{m}_{n}": alignment(test[m], test[n])}
        metrics |= {f"test.modality_gap.{m}_{n}": modality_gap(test[m], test[n])}
    finite = {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
    return finite, {name: value.numpy() for name, value in z.items()}


def members(bags: Mapping[str, Bag]) -> dict[str, Tensor]:
    """Modality -> (M, D) unit embeddings of all members that are there in every one of the modalities."""
    here = torch.stack([bag.mask for bag in bags.values()]).all(dim=0)
    return {name: on_sphere(bag.members[here]) for name, bag in bags.items()}


def _at(bag: Bag, items: Tensor) -> Bag:
    return Bag(*(x.cpu()[items] for x in bag))


def _retrieval(what: str, z: Mapping[str, Tensor]) -> dict[str, float]:
    named = {}
    for (source, to), found in every_way(z).items():
        way = f"{source}_{to}"
        named |= {f"{what}.r1.{way}": found.r1, f"{what}.r5.{way}": found.r5, f"{what}.r10.{way}": found.r10}
        named |= {f"{what}.median_rank.{way}": found.median_rank, f"{what}.ties.{way}": found.ties}
    return named


def _probes(z: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor) -> dict[str, float]:
    near = knn_accuracy(z, labels, test, test_labels)
    linear = linear_probe(z, labels, test, test_labels)
    return {
        "test.knn": near.accuracy,
        "test.linear": linear.accuracy,
        "test.chance": near.chance,
        "test.majority": near.majority,
    }
