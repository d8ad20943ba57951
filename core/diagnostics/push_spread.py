"""How a loss spreads its weight: pull and push of each anchor, and how many negatives really share the push."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.diagnostics.loss_lens import Layer
from core.paid import Pairs, Role

EVEN = 1e-6


@dataclass(frozen=True)
class Spread:
    """By anchor, (A,) each: summed pull on positives, summed push on negatives, both signed, and their numbers.

    `effective`: exp of the entropy (in nats) of the shares of the push: as many negatives as would share it equally;
    0 where the anchor pushes nothing.
    """

    pull: Tensor
    push: Tensor
    entropy: Tensor
    effective: Tensor
    negatives: Tensor

    @property
    def balanced(self) -> int:
        """Anchors whose pull is their push, but for rounding."""
        largest = torch.maximum(self.pull.abs(), self.push.abs())
        return int(((self.pull - self.push).abs() <= EVEN * largest.clamp_min(EVEN)).sum())

    @property
    def active(self) -> Tensor:
        return self.effective > 0


def flat(layers: Iterable[Layer]) -> tuple[Tensor, Pairs]:
    """All pairs of several tables as one row: push (1, n) and pairs (1, n)."""
    layers = list(layers)
    push, scores, role = (
        torch.cat([getattr(layer, name).flatten() for layer in layers])[None] for name in ("push", "scores", "role")
    )
    return push, Pairs(scores, role)


def spread(layers: Iterable[Layer]) -> Spread:
    """The anchors of all tables, one after the other."""
    parts = []
    for layer in layers:
        positive, negative = layer.role == Role.POSITIVE, layer.role >= Role.NEGATIVE
        push = torch.where(negative, layer.push, 0)
        taken = push.clamp(min=0)
        whole = taken.sum(1, keepdim=True)
        share = taken / torch.where(whole > 0, whole, 1)
        entropy = torch.special.entr(share).sum(1)
        effective = torch.where(whole[:, 0] > 0, entropy.exp(), 0)
        pull = -torch.where(positive, layer.push, 0).sum(1)
        parts.append((pull, push.sum(1), entropy, effective, negative.sum(1)))
    return Spread(*(torch.cat(each) for each in zip(*parts, strict=True)))
