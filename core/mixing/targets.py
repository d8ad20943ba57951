"""What of the mixed loss is paid, by whom, and which pairs take no part."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from core.mixing.registry import Plan
from core.paid import Paid, Term

LEFT_OUT: Mapping[str, tuple[str, ...]] = {"all": ("cycle",), "align": ("cycle", "cluster")}


def partner_pairs(plan: Plan, side: str) -> Tensor:
    """(n, n) bool: the pairs (a_i, b_j) of a mixed item and its partner's own positive; never a positive pair.

    Args:
        plan: as drawn; partners from the bank have no pair in the batch.
        side: "b" where the items of b were mixed, anything else where those of a were.
    """
    n = len(plan.partner)
    here = torch.arange(n, device=plan.partner.device)
    absent = plan.alone if plan.from_bank is None else plan.alone | plan.from_bank
    other = torch.where(absent, here, plan.partner)
    row, column = (other, here) if side == "b" else (here, other)
    met = torch.zeros((n, n), dtype=torch.bool, device=here.device)
    met[row, column] = True
    return met & (here[:, None] != here[None, :])


def weighted(paid: Paid, share: Tensor) -> Paid:
    """The payment with anchor i worth `share[i]` of what it was; (n,) shares.

    A loss over both views has 2n anchors, both views of an item in the same order. A term that is not of the batch's
    anchors (clips, dimensions, the batch) is scaled by the mean share.
    """
    return replace(paid, terms={name: _weighted(term, share) for name, term in paid.terms.items()})


def _weighted(term: Term, share: Tensor) -> Term:
    n, count = len(share), term.per.numel()
    share = share.to(term.per.dtype)
    usual = 1 / max(count, 1) if term.weight is None else term.weight
    by_anchor = term.axis == "anchor" and term.per.ndim == 1 and count and count % n == 0
    return replace(term, weight=(share.repeat(count // n) if by_anchor else share.mean()) * usual)


def kept(paid: Paid, terms: Literal["all", "align"]) -> Paid:
    """The payment without the terms of a composite loss that get no mixed version; where none would stay, as it is."""
    left = {name: term for name, term in paid.terms.items() if name.split(".")[0] not in LEFT_OUT[terms]}
    return replace(paid, terms=left) if left else paid
