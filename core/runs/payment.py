"""Paying for a batch of aligned modalities: what the trainer and the pages that replay a step have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

import torch
from torch import Generator, Tensor, nn

from core.encoders.bags import Bag
from core.losses.registry import LOSSES, LossEntry
from core.paid import Paid, joined
from core.recipe import Recipe
from core.streams import stream


@dataclass(frozen=True)
class Embedded:
    """An encoded batch.

    `z` modality -> (n, D) unit embeddings; `labels` (n,) classes; `learned` name -> () learned scalar; `joint` (n, D)
    unit embeddings of all modalities together, where there is a joint encoder; `bags` modality -> its members, where
    it has any; `step`, whose draws a loss with a plan makes; `teacher` modality -> (n, D) and
    `bank` modality -> (K, D) embeddings by the teacher, with `bank_labels` (K,), where the method has one; `clusters`
    (n,) where the method makes them; `memory` modality -> (N, D) every training item as last seen, with
    `memory_clusters` (N,), where it has one; `companion`, the network of the loss, where that has one.
    """

    z: Mapping[str, Tensor]
    labels: Tensor
    learned: Mapping[str, Tensor]
    joint: Tensor | None = None
    bags: Mapping[str, Bag] = field(default_factory=dict)
    step: int = 0
    teacher: Mapping[str, Tensor] = field(default_factory=dict)
    bank: Mapping[str, Tensor] = field(default_factory=dict)
    bank_labels: Tensor | None = None
    clusters: Tensor | None = None
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    memory_clusters: Tensor | None = None
    companion: nn.Module | None = None


def modality_pairs(names: Mapping[str, object]) -> list[tuple[str, str]]:
    """Every pair of modalities, in order: each is paid for, and each is worth the same."""
    return list(combinations(names, 2))


def of_pairs(entry: LossEntry) -> bool:
    """Whether a loss is paid for each pair of modalities, not for all of them at once."""
    return "a" in entry.taken


def _sides(entry: LossEntry, names: Mapping[str, object]) -> list[tuple[str, str]]:
    """The pairs of modalities, each both ways round where the loss moves one side alone: else the last never learns."""
    return modality_pairs(names) if "b" in entry.taken else list(permutations(names, 2))


def takes_bags(entry: LossEntry) -> bool:
    """Whether a loss is paid for members."""
    return "bags" in entry.inputs


def pair_inputs(entry: LossEntry, a: Tensor, b: Tensor, bags: Bag | None, other: Bag | None) -> dict[str, Tensor]:
    """What a loss is handed of one pair of modalities: a member counts where its counterpart is there as well.

    Args:
        entry: of the loss.
        a: (n, D) embeddings of one side.
        b: (n, D) of the other.
        bags: the members of a, where it has any.
        other: those of b, as many at most.
    """
    handed = {"a": a, "b": b}
    if bags is not None and other is not None:
        handed |= {"bags": bags.members, "other_bags": other.members, "bag_mask": bags.mask & other.mask}
    return {name: value for name, value in handed.items() if name in entry.taken}


def given_to(entry: LossEntry, batch: Embedded) -> dict[str, Any]:
    """What a loss is handed by name beside its embeddings: learned scalars, and labels and clusters that it needs."""
    given: dict[str, Any] = {name: value for name, value in batch.learned.items() if name in entry.taken}
    sorted_by = {"labels": batch.labels, "clusters": batch.clusters}
    return given | {name: value for name, value in sorted_by.items() if entry.taken.get(name)}


def whole(entry: LossEntry, batch: Embedded, z: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a loss over all modalities at once is handed: the joint embedding, and the others as (M, n, D)."""
    together = torch.stack(list(z.values()))
    handed = {"joint": batch.joint, "modalities": together, "views": together}
    return {name: value for name, value in handed.items() if name in entry.taken and value is not None}


def taught(entry: LossEntry, batch: Embedded, own: str, other: str) -> dict[str, Tensor]:
    """What a loss is handed by the teacher, of a pair of modalities: its embeddings of the batch, bank and memory.

    A loss that takes only one side's is handed those of the other modality, the keys of its anchors.
    """
    of = own if "other_teacher" in entry.taken else other
    handed = {
        "teacher": batch.teacher.get(of),
        "bank": batch.bank.get(of),
        "bank_labels": batch.bank_labels,
        "other_teacher": batch.teacher.get(other),
        "other_bank": batch.bank.get(other),
        "memory": batch.memory.get(of),
        "memory_clusters": batch.memory_clusters,
    }
    return {name: value for name, value in handed.items() if name in entry.taken and value is not None}


def equally(parts: Mapping[str, Paid]) -> Paid:
    """Several payments, each worth the same, and together as much as one; a single one keeps its names."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    return joined((name, paid.scaled(1 / len(parts))) for name, paid in parts.items())


def draws(recipe: Recipe, batch: Embedded, *purpose: str) -> Generator:
    """The generator of what a loss draws in the step of this batch."""
    return stream(recipe.seed, "loss", *purpose, batch.step)


def pay_all(recipe: Recipe, batch: Embedded) -> Paid:
    """What the recipe's loss asks of every pair of modalities, or of all modalities at once."""
    entry = LOSSES.of(recipe.loss)
    given = given_to(entry, batch)
    if not of_pairs(entry):
        return entry.pay(whole(entry, batch, batch.z) | given, recipe.loss, draws(recipe, batch), batch.companion)
    parts = {}
    for m, n in _sides(entry, batch.z):
        pair = pair_inputs(entry, batch.z[m], batch.z[n], batch.bags.get(m), batch.bags.get(n))
        pair |= taught(entry, batch, m, n)
        parts[f"{m}_{n}"] = entry.pay(pair | given, recipe.loss, draws(recipe, batch, m, n), batch.companion)
    return equally(parts)
