"""What a loss returns: who pays how much, and the pair scores that took part, nothing reduced."""

import functools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

import torch
from torch import Tensor

Axis = Literal["anchor", "pair", "item", "dimension", "class", "batch"]


class Role(IntEnum):
    """What a candidate is to its anchor."""

    EXCLUDED = 0
    POSITIVE = 1
    NEGATIVE = 2
    PARTNER = 3
    SYNTHETIC = 4


@dataclass(frozen=True)
class Term:
    """One part of what is paid.

    `per` is unreduced along its axis, () for "batch". Its value is the mean of `per`, or, where there is a `weight`,
    the sum of `per * weight`.
    """

    per: Tensor
    axis: Axis = "anchor"
    weight: Tensor | float | None = None

    def value(self) -> Tensor:
        return self.per.mean() if self.weight is None else (self.per * self.weight).sum()

    def scaled(self, factor: float) -> "Term":
        """The same term, worth `factor` times as much."""
        weight = 1 / max(self.per.numel(), 1) if self.weight is None else self.weight
        return replace(self, weight=weight * factor)


@dataclass(frozen=True)
class Pairs:
    """Scores that took part, still in the graph.

    `scores` (A, C): similarity of anchor i to candidate j, larger is closer. `role` (A, C) int8 holds `Role`.
    """

    scores: Tensor
    role: Tensor


@dataclass(frozen=True)
class Paid:
    """Terms by name ("" where there is only one) and, where the loss has them, its pairs."""

    terms: Mapping[str, Term]
    pairs: tuple[Pairs, ...] = ()

    def total(self) -> Tensor:
        """() the sum of all terms: the only reduction, made by whoever trains or looks."""
        return functools.reduce(operator.add, [term.value() for term in self.terms.values()])

    def scaled(self, factor: float) -> "Paid":
        return replace(self, terms={name: term.scaled(factor) for name, term in self.terms.items()})


def joined(parts: Iterable[tuple[str, Paid]]) -> Paid:
    """Several payments side by side: term names get the part's name as a prefix, pairs are kept in order.

    Raises:
        ValueError: if two terms end up with one name; the second would be paid instead of the first, not beside it.
    """
    terms: dict[str, Term] = {}
    pairs: tuple[Pairs, ...] = ()
    for name, paid in parts:
        named = {".".join(filter(None, (name, inner))): term for inner, term in paid.terms.items()}
        if clash := terms.keys() & named.keys():
            raise ValueError(f"two terms are called '{min(clash)}'; join the payments under different names")
        terms |= named
        pairs += paid.pairs
    return Paid(terms, pairs)


def barred(role: Tensor, exclude: Tensor | None) -> Tensor:
    """(A, C) roles with the negatives that `exclude` (A, C) names taken out; a positive always stays."""
    return role if exclude is None else role.masked_fill(exclude & (role == Role.NEGATIVE), Role.EXCLUDED)


def diagonal_roles(anchors: int, candidates: int, device: torch.device) -> Tensor:
    """(A, C) int8: candidate i is the positive of anchor i, every other one a negative."""
    return torch.full((anchors, candidates), Role.NEGATIVE, dtype=torch.int8, device=device).fill_diagonal_(
        Role.POSITIVE
    )
