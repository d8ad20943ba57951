"""Who is mixed in."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from core.mixing.options import DMM


def in_one_ring(n: int, g: Generator) -> Tensor:
    """(n,) partners along one random ring through all items: a permutation in which nobody is its own partner."""
    order = torch.randperm(n, generator=g)
    return torch.empty_like(order).scatter_(0, order, order.roll(1))


def by_similarity(z: Tensor, nearest: bool) -> Tensor:
    """(n,) for each item the other one whose embedding, a row of `z` (n, D), has the largest or smallest cosine."""
    unit = F.normalize(z.detach().float(), dim=-1)
    cosine = unit @ unit.T if nearest else -(unit @ unit.T)
    return cosine.fill_diagonal_(-torch.inf).argmax(dim=1)


def by_class(labels: Tensor, same: bool, g: Generator) -> Tensor:
    """(n,) for each item a random other one of the same class, or of another; itself where there is none.

    Args:
        labels: (n,) classes.
        same: of the same class, not of another one.
        g: a CPU generator.
    """
    n = len(labels)
    lots = torch.rand((n, n), generator=g).to(labels.device)
    allowed = (labels[:, None] == labels[None, :]) == same
    lots = lots.masked_fill(~allowed, -1).fill_diagonal_(-0.5)
    return lots.argmax(dim=1)


def _needed(value: Tensor | None, partner: str, what: str) -> Tensor:
    if value is None:
        raise ValueError(f"partner is {partner} and no {what} were given; give {what}, or choose partner flip")
    return value


def draw_partner(n: int, p: DMM, g: Generator, *, z: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
    """(n,) index of each item's partner in the batch; the middle of an odd batch turned round is its own.

    Args:
        n: items in the batch.
        p: the params.
        g: a CPU generator.
        z: (n, D) embeddings, for the partners hard and farthest.
        labels: (n,) classes, for the partners same_class and other_class.

    Raises:
        ValueError: if what the partner is chosen by is missing.
    """
    if p.partner in ("hard", "farthest"):
        return by_similarity(_needed(z, p.partner, "embeddings"), nearest=p.partner == "hard")
    if p.partner in ("same_class", "other_class"):
        return by_class(_needed(labels, p.partner, "labels"), p.partner == "same_class", g)
    if p.partner == "roll":
        return torch.arange(n).roll(p.shift)
    if p.partner == "derangement":
        return in_one_ring(n, g)
    return torch.randperm(n, generator=g) if p.partner == "shuffle" else torch.arange(n - 1, -1, -1)


def bank_size(memory: Mapping[str, Tensor] | None) -> int:
    """How many items the bank of `memory` holds; 0 before the first step."""
    return next((len(value) for name, value in (memory or {}).items() if name.startswith("bank.")), 0)


def draw_from_bank(n: int, held: int, g: Generator) -> Tensor:
    """(n,) random rows of a bank that holds `held` items, at least one."""
    return torch.randint(held, (n,), generator=g)


def turned_members(present: Tensor) -> Tensor:
    """(n k,) partner of each member of n bags of k, all present ones in a row turned round; absent ones are alone.

    The released retrieval code mixes clips in this way, so that a clip's partner is of another video than its video's.

    Args:
        present: (n, k) bool.
    """
    flat = present.flatten()
    place = torch.arange(len(flat), device=flat.device)
    rank = flat.cumsum(0) - 1
    at = place.new_zeros(len(flat) + 1).scatter_(0, torch.where(flat, rank, len(flat)), place)
    return torch.where(flat, at[(flat.sum() - 1 - rank).clamp(min=0)], place)
