"""Shared arithmetic of the losses: similarities, margins on the positive logit, candidates left out."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

COINCIDE = 1e-14  # of the squared lengths: a squared distance below that is one of roundings in float32


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """(A, C) inner products of `a` (A, D) and `b` (C, D), in float32 at least."""
    exact = a.dtype if a.dtype == torch.float64 else torch.float32
    return a.to(exact) @ b.to(exact).T


def distance(a: Tensor, b: Tensor, squared: bool) -> Tensor:
    """(..., A, C) Euclidean distances of `a` (..., A, D) and `b` (..., C, D); gradient 0 where two points coincide.

    On a CPU those of float32 are products in float64: they keep every digit of float32, and take a third of the time
    of differences. These are taken of float64 itself, and on other devices.
    """
    exact = a.dtype if a.dtype == torch.float64 else torch.float32
    a, b = a.to(exact), b.to(exact)
    if exact == torch.float32 and a.device.type == "cpu":
        return _Distance.apply(a, b, squared)
    d = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return d.square() if squared else d


def nearness(a: Tensor, b: Tensor) -> Tensor:
    """(A, C) minus the Euclidean distances: larger is closer."""
    return -distance(a, b, False)


class _Distance(torch.autograd.Function):
    """Distances by |a|² + |b|² - 2<a, b>, one product of longer vectors; what float32 cannot tell apart is at 0."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, squared: bool) -> Tensor:
        x, y = a.double(), b.double()
        xx, yy = (z.square().sum(dim=-1, keepdim=True) for z in (x, y))
        d = torch.cat([-2 * x, xx, torch.ones_like(xx)], dim=-1) @ torch.cat([y, torch.ones_like(yy), yy], dim=-1).mT
        least = COINCIDE * (xx.max() + yy.max())
        d = torch.where(d > least, d, 0).float()
        ctx.squared = squared
        ctx.save_for_backward(a, b, d if squared else d.sqrt_())
        return d

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, paid: Tensor) -> tuple[Tensor, Tensor, None]:
        a, b, d = ctx.saved_tensors
        force = 2 * paid
        if not ctx.squared:
            a, b, force = a.double(), b.double(), torch.where(d > 0, paid / d, 0).double()
        of_a = force.sum(dim=-1, keepdim=True) * a - force @ b
        of_b = force.sum(dim=-2)[..., None] * b - force.mT @ a
        return of_a.to(d.dtype), of_b.to(d.dtype), None


def less_margin(scores: Tensor, positive: Tensor, margin: Tensor | float) -> Tensor:
    """`scores` (A, C) with the margin taken off where `positive` (A, C) holds: what a softmax is asked to win with.

    `margin` is a number, () or (A,), in units of similarity.
    """
    if not isinstance(margin, Tensor) and margin == 0:
        return scores
    lead = margin.reshape(-1, 1) if isinstance(margin, Tensor) else margin
    return torch.where(positive, scores - lead, scores)


def without(logits: Tensor, exclude: Tensor | None) -> Tensor:
    """`logits` with minus infinity where `exclude` holds: those candidates do not take part."""
    return logits if exclude is None else logits.masked_fill(exclude, -torch.inf)


def twice(margin: Tensor | float) -> Tensor | float:
    """A margin per item, for losses whose anchors are both views of each item."""
    return margin if isinstance(margin, (int, float)) or margin.ndim == 0 else torch.cat([margin, margin])
