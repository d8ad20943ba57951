"""M3CoL: embeddings of one modality are mixed and have to find both of their items in the next modality."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term, diagonal_roles, joined
from core.params import Params

EPS = 1e-6


class M3Col(Params):
    kind: Literal["m3col"] = "m3col"
    temperature: float = temperature(0.1)
    alpha: float = Field(
        0.15,
        ge=0.05,
        le=5,
        title="Concentration α",
        description="Shares come from Beta(α, α); smaller is more extreme.",
    )
    chance: float = Field(0.5, ge=0, le=1, title="Mixed", description="Share of the items that are mixed at all.")
    as_released: bool = Field(
        False,
        title="As released",
        description="An item that is its own partner has the partner's share for its target, as in the code.",
    )


class MultiSClip(Params):
    kind: Literal["multi_sclip"] = "multi_sclip"
    temperature: float = temperature(0.125)


def beta(size: tuple[int, ...], alpha: float, g: Generator) -> Tensor:
    """`size` draws of Beta(α, α) in float64, from two uniforms each, by Bailey (1994), Math. Comp. 62, 779."""
    radius, angle = torch.rand((2, *size), generator=g, dtype=torch.float64)
    cosine = torch.cos(2 * torch.pi * angle)
    ratio = torch.expm1(-radius.log() / alpha) * cosine.square()
    return 0.5 + 0.5 * cosine.sign() / torch.sqrt(1 + 1 / ratio)


def mixed(given: Mapping[str, Tensor], p: Any, g: Generator) -> dict[str, Tensor]:
    """In each modality a partner and a share for each item; the share is 1 where the item is not mixed."""
    z = given["modalities"]
    count, size = z.shape[:2]
    partners = torch.stack([torch.randperm(size, generator=g) for _ in range(count)])
    drawn = torch.rand(count, size, generator=g) < p.chance
    shares = torch.where(drawn, beta((count, size), p.alpha, g), 1)
    exact = torch.promote_types(z.dtype, torch.float32)
    return {"partners": partners.to(z.device), "shares": shares.to(z.device, exact)}


@loss(
    M3Col,
    title="M3Co (mixed across modalities)",
    source="Kumar et al. 2024, arXiv:2409.17777, first phase; embeddings are mixed as in the released code",
    origin="code",
    papers=("m3col",),
    family="none",
    formula=r"-\tfrac12\sum_q\sum_jY_{ij}\left(\log\frac{e^{s_{ij}/\tau}}{\sum_ke^{s_{ik}/\tau}}"
    r"+\log\frac{e^{s_{ij}/\tau}}{\sum_ke^{s_{kj}/\tau}}\right),\quad "
    r"Y_{ij}=\lambda_i[j=i]+(1-\lambda_i)[j=\pi(i)],\ "
    r"s_{ij}=\Big\langle\frac{\lambda_iz^q_i+(1-\lambda_i)z^q_{\pi(i)}}{\lVert\lambda_iz^q_i+(1-\lambda_i)z^q_{\pi(i)}\rVert},"
    r"z^{q+1}_j\Big\rangle",
    relations={
        "clip": "with one side mixed, and the targets mixed alike",
        "multi_sclip": "with targets from the mixture instead of the other modality",
    },
    plan=mixed,
    planned=("partners", "shares"),
    variants=({}, {"temperature": 0.5, "as_released": True}),
    claims=Claims(
        pulls="an item that has a small share in its mixture is pushed",
        margin="it takes no margin of its own",
    ),
    work="A matrix of N x N scores for each of M modalities, with soft targets along both its sides.",
)
def m3col(modalities: Tensor, partners: Tensor, shares: Tensor, p: M3Col) -> Paid:
    """Mixes two items in one modality and lets the mixture find both in the next, each by its share.

    Args:
        modalities: (M, B, D) embeddings of each modality; the last is followed by the first.
        partners: (M, B) the item that is mixed into each, in each modality.
        shares: (M, B) share of each item in its own mixture, 0 to 1, in each modality.
        p: temperature, how the plan draws, `as_released`.

    Returns:
        Two terms for each modality, (B,), each worth half of its mean: what the mixtures pay to find their items, and
        what the items of the next modality pay to be found. A (B, B) matrix of pairs for each, mixtures in its rows.
    """
    z = modalities.to(torch.promote_types(modalities.dtype, torch.float32))
    parts = []
    for q, (own, partner, share) in enumerate(zip(z, partners, shares, strict=True)):
        lam = share.to(z.dtype)[:, None]
        mixture = F.normalize(lam * own + (1 - lam) * own[partner], dim=-1, eps=EPS)
        here = torch.arange(len(own), device=z.device)
        itself, other = here[:, None] == here, partner[:, None] == here
        first = lam * itself
        target = torch.where(other, 1 - lam + (0 if p.as_released else first), first)
        role = diagonal_roles(len(own), len(own), z.device).masked_fill(other & ~itself, int(Role.PARTNER))
        scores = similarity(mixture, z[(q + 1) % len(z)])
        parts.append((str(q), soft_both_ways(Pairs(scores, role), p.temperature, target, target)))
    return joined(parts)


def soft_both_ways(pairs: Pairs, temperature: float, rows: Tensor, columns: Tensor) -> Paid:
    """Half the cross entropy with soft targets along the rows, and half of that along the columns.

    The targets `rows` (B, B) of an anchor stand in its row, `columns` (B, B) of a candidate in its column.
    """
    half, logits = 0.5 / len(pairs.scores), pairs.scores / temperature
    there = log_sum(logits) * rows.sum(dim=1) - (rows * logits).sum(dim=1)
    back = logits.logsumexp(dim=0) * columns.sum(dim=0) - (columns * logits).sum(dim=0)
    return Paid({"there": Term(there, weight=half), "back": Term(back, weight=half)}, (pairs,))


@loss(
    MultiSClip,
    title="MultiSClip (soft targets from the other modality)",
    source="Kumar et al. 2024, arXiv:2409.17777, second phase, as in the released code",
    origin="code",
    papers=("m3col",),
    family="none",
    formula=r"-\tfrac12\sum_q\sum_jP_{ij}\left(\log\frac{e^{s_{ij}/\tau}}{\sum_ke^{s_{ik}/\tau}}"
    r"+\log\frac{e^{s_{ji}/\tau}}{\sum_ke^{s_{ki}/\tau}}\right),\quad "
    r"P_{ij}=\frac{e^{\langle z^{q+1}_i,z^{q+1}_j\rangle/\tau}}{\sum_ke^{\langle z^{q+1}_i,z^{q+1}_k\rangle/\tau}}",
    relations={"clip": "with soft targets: how similar the items are within the other modality"},
    variants=({}, {"temperature": 0.5}),
    claims=Claims(
        pulls="a positive is pushed once it has more than its share of the softmax",
        pushes="items that are similar in the other modality are pulled to each other",
        margin="it takes no margin of its own",
    ),
    work="Two matrices of N x N scores for each of M modalities: across two and within the next.",
)
def multi_sclip(modalities: Tensor, p: MultiSClip) -> Paid:
    """Matches each modality to the next, by targets that say how similar the items are within that next one.

    Args:
        modalities: (M, B, D) embeddings of each modality; the last is followed by the first.
        p: temperature, of the targets as well; these are not held fixed.

    Returns:
        Two terms for each modality, (B,), each worth half of its mean, and a (B, B) matrix of pairs.
    """
    parts = []
    for q, a in enumerate(modalities):
        b = modalities[(q + 1) % len(modalities)]
        scores, target = similarity(a, b), F.softmax(similarity(b, b) / p.temperature, dim=1)
        role = diagonal_roles(len(a), len(b), a.device)
        parts.append((str(q), soft_both_ways(Pairs(scores, role), p.temperature, target, target.T)))
    return joined(parts)
