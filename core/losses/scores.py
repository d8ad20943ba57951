"""Shared arithmetic of the losses: similarities, margins on the positive logit, candidates left out."""

import torch
from torch import Tensor


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """(A, C) inner products of `a` (A, D) and `b` (C, D), in float32 at least."""
    exact = a.dtype if a.dtype == torch.float64 else torch.float32
    return a.to(exact) @ b.to(exact).T


def distance(a: Tensor, b: Tensor, squared: bool) -> Tensor:
    """(..., A, C) Euclidean distances of `a` (..., A, D) and `b` (..., C, D); gradient 0 where two points coincide."""
    exact = a.dtype if a.dtype == torch.float64 else torch.float32
    d = torch.cdist(a.to(exact), b.to(exact), compute_mode="donot_use_mm_for_euclid_dist")
    return d.square() if squared else d


def less_margin(scores: Tensor, positive: Tensor, margin: Tensor | float) -> Tensor:
    """`scores` (A, C) with the margin taken off where `positive` (A, C) holds: what a softmax is asked to win with.

    `margin` is a number, () or (A,), in units of similarity.
    """
    lead = margin.reshape(-1, 1) if isinstance(margin, Tensor) else margin
    return torch.where(positive, scores - lead, scores)


def without(logits: Tensor, exclude: Tensor | None) -> Tensor:
    """`logits` with minus infinity where `exclude` holds: those candidates do not take part."""
    return logits if exclude is None else logits.masked_fill(exclude, -torch.inf)


def twice(margin: Tensor | float) -> Tensor | float:
    """A margin per item, for losses whose anchors are both views of each item."""
    return margin if isinstance(margin, (int, float)) or margin.ndim == 0 else torch.cat([margin, margin])
