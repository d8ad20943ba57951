"""How the share of the anchor is drawn."""

import torch
from torch import Generator, Tensor

from core.mixing.options import DMM


def _beta(size: tuple[int, ...], concentration: float, g: Generator) -> tuple[Tensor, Tensor]:
    """`size` shares max(x, 1 - x), x from Beta(α, α), and whether x was the larger one.

    t² / ν of Student's t with ν = 2α by Bailey (1994), Math. Comp. 62, 779; then x = (1 + t / √(ν + t²)) / 2. Two
    uniforms each, no rejection, sound for any α > 0.
    """
    radius, angle = torch.rand((2, *size), generator=g)
    cosine = torch.cos(2 * torch.pi * angle)
    ratio = torch.expm1(-radius.log() / concentration) * cosine.square()
    return 0.5 + 0.5 / torch.sqrt(1 + 1 / ratio), cosine >= 0


def folded_beta(size: tuple[int, ...], concentration: float, g: Generator) -> Tensor:
    """`size` shares max(x, 1 - x) in [½, 1], x from Beta(α, α)."""
    return _beta(size, concentration, g)[0]


def unfolded_beta(size: tuple[int, ...], concentration: float, g: Generator) -> Tensor:
    """`size` shares from Beta(α, α) in [0, 1]; folded they are those of `folded_beta` from the same generator."""
    larger, stays = _beta(size, concentration, g)
    return torch.where(stays, larger, 1 - larger)


def draw_lam(n: int, p: DMM, g: Generator) -> Tensor:
    """(n,) shares of the anchor, equal within the batch unless `p.per_sample`."""
    size = (n if p.per_sample else 1,)
    if p.law == "uniform":
        lam = p.low + (p.high - p.low) * torch.rand(size, generator=g)
    elif p.law == "beta":
        lam = folded_beta(size, p.concentration, g)
    elif p.law == "beta_unfolded":
        lam = unfolded_beta(size, p.concentration, g)
    else:
        lam = torch.full(size, p.fixed)
    return lam.expand(n).clone()


def shared_by_partners(lam: Tensor, partner: Tensor) -> Tensor:
    """(n,) shares, one for each two items that are each other's partner, on the device of `partner`."""
    lam, here = lam.to(partner.device), torch.arange(len(lam), device=partner.device)
    return torch.where(partner[partner] == here, lam[torch.minimum(here, partner)], lam)
