"""Symile: three modalities and more at once, by the sum over dimensions of the product of all their embeddings."""

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.fields import lead, temperature
from core.losses.learned_scale import learned, learned_temperature
from core.losses.registry import Claims, loss
from core.losses.scores import less_margin, similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class Symile(Params):
    kind: Literal["symile"] = "symile"
    candidates: Literal["n", "n_squared"] = Field(
        "n",
        title="Candidates",
        description="One shuffled tuple for each item of the batch, or every tuple of the other modalities.",
    )
    temperature: float = temperature(0.07)
    margin: float = lead()
    learned: bool = learned()


class PairwiseClip(Params):
    kind: Literal["pairwise_clip"] = "pairwise_clip"
    temperature: float = temperature(0.07)
    margin: float = lead()
    learned: bool = learned()


def shuffled(given: Mapping[str, Tensor], p: Any, g: Generator) -> dict[str, Tensor]:
    """For the anchors of each modality, an order of the items of its own in every other modality."""
    modalities = given["modalities"]
    count, size = modalities.shape[:2]
    orders = torch.stack([torch.randperm(size, generator=g) for _ in range(count * count)])
    return {"shuffles": orders.reshape(count, count, size).to(modalities.device)}


def product(parts: Iterable[Tensor], one: Tensor) -> Tensor:
    return functools.reduce(operator.mul, parts, one)


def every_tuple(others: Iterable[Tensor], one: Tensor) -> Tensor:
    """(B^(M-1), D) the product of each choice of one item from each of the others, the last one changing fastest."""
    return functools.reduce(lambda made, z: (made[:, None] * z).flatten(0, 1), others, one)


@loss(
    Symile,
    title="Symile (all modalities at once)",
    source="Saporta et al. 2024, arXiv:2411.01053; candidates as in the released code",
    origin="code",
    papers=("symile",),
    fewest=3,
    family="softmax",
    formula=r"-\frac1M\sum_q\log\frac{e^{(t_{ii}-m)/\tau}}{e^{(t_{ii}-m)/\tau}+\sum_{k\neq i}e^{t^q_{ik}/\tau}},\quad "
    r"t^q_{ik}=\sum_dz^q_{id}\prod_{r\neq q}z^r_{\pi(k)d}",
    relations={
        "clip": "over the product of all modalities; with two of them and every candidate it is the same",
        "pairwise_clip": "over all modalities at once instead of two at a time",
    },
    learned=learned_temperature,
    plan=shuffled,
    planned=("shuffles",),
    variants=({}, {"candidates": "n_squared", "margin": 0.2, "temperature": 0.5}, {"learned": True}),
    claims=Claims(),
    work="Each of M modalities has its own candidates: M times N x N scores.",
)
def symile(
    modalities: Tensor,
    shuffles: Tensor,
    p: Symile,
    *,
    margin: Tensor | None = None,
    temperature: Tensor | None = None,
) -> Paid:
    """Picks out the other modalities of each item together, so that what only all of them tell is learned as well.

    Args:
        modalities: (M, B, D) embeddings of each modality.
        shuffles: (M, M, B) for the anchors of modality q, the item of modality r in candidate k; [q, q] is not read,
            and nothing is where every tuple is a candidate. A tuple that comes out true counts as a negative.
        p: candidates, temperature, margin, whether the temperature is learned.
        margin: () or (B,), instead of `p.margin`; entry i belongs to item i in every modality.
        temperature: () learned temperature, instead of `p.temperature`.

    Returns:
        One term per anchor, (MB,), modality by modality; one matrix of pairs, (MB, B) or (MB, B^(M-1)).
    """
    z = modalities.to(torch.promote_types(modalities.dtype, torch.float32))
    count, size = z.shape[:2]
    here = torch.arange(size, device=z.device)
    one = torch.ones_like(z[0])
    every = p.candidates == "n_squared"
    rows = []
    for q in range(count):
        others = [r for r in range(count) if r != q]
        if every:
            rows.append(similarity(z[q], every_tuple((z[r] for r in others), one[:1])))
        else:
            scores = similarity(z[q], product((z[r][shuffles[q, r]] for r in others), one))
            own = product(z, one).sum(dim=1)
            rows.append(torch.where(here[:, None] == here, own[:, None], scores))
    scores = torch.cat(rows)
    truth = (here * sum(size**k for k in range(count - 1)) if every else here).repeat(count)
    role = torch.full_like(scores, Role.NEGATIVE, dtype=torch.int8).scatter(1, truth[:, None], int(Role.POSITIVE))
    asked = less_margin(scores, role == Role.POSITIVE, of_all(p.margin if margin is None else margin, count))
    logits = asked / (p.temperature if temperature is None else temperature)
    return Paid({"": Term(F.cross_entropy(logits, truth, reduction="none"))}, (Pairs(scores, role),))


def of_all(margin: Tensor | float, count: int) -> Tensor | float:
    """A margin per item, for the anchors of each modality."""
    return margin.repeat(count) if isinstance(margin, Tensor) and margin.ndim else margin


@loss(
    PairwiseClip,
    title="Pairwise CLIP (modalities two at a time)",
    source="baseline of Saporta et al. 2024, arXiv:2411.01053, summed over the pairs as in the released code",
    origin="code",
    papers=("symile",),
    family="softmax",
    formula=r"-\tfrac12\sum_q\sum_{r\neq q}\log\frac{e^{(s^{qr}_{ii}-m)/\tau}}"
    r"{e^{(s^{qr}_{ii}-m)/\tau}+\sum_{k\neq i}e^{s^{qr}_{ik}/\tau}}",
    relations={"clip": "summed over each two of several modalities"},
    learned=learned_temperature,
    variants=({}, {"margin": 0.2, "temperature": 0.5}, {"learned": True}),
    work="Every two of M modalities are matched: (MN)² scores.",
)
def pairwise_clip(
    modalities: Tensor,
    p: PairwiseClip,
    *,
    margin: Tensor | None = None,
    temperature: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Paid:
    """Matches every two modalities of an item as CLIP matches two, and adds it all up.

    Args:
        modalities: (M, B, D) embeddings of each modality.
        p: temperature, margin, whether the temperature is learned.
        margin: () or (B,), instead of `p.margin`; entry i belongs to item i in every modality.
        temperature: () learned temperature, instead of `p.temperature`.
        exclude: (B, B) items j that are no negative of item i, whichever modalities the two are in.

    Returns:
        One term per anchor, (MB,), modality by modality: half of what it pays against every other modality. One
        (MB, MB) matrix of pairs, in which a modality takes no part against itself.
    """
    count, size = modalities.shape[:2]
    z = modalities.flatten(0, 1)
    scores = similarity(z, z)
    place = torch.arange(count * size, device=z.device)
    modality, item = place // size, place % size
    within = modality[:, None] == modality
    own = item[:, None] == item
    out = within if exclude is None else within | (exclude.repeat(count, count) & ~own)
    role = (Role.NEGATIVE - own.to(torch.int8)).masked_fill(out, Role.EXCLUDED)
    positive = role == Role.POSITIVE
    asked = less_margin(scores, positive, of_all(p.margin if margin is None else margin, count))
    logits = asked / (p.temperature if temperature is None else temperature)
    left = logits.masked_fill(out & ~within, -torch.inf)
    share = F.log_softmax(left.unflatten(1, (count, size)), dim=2).flatten(1)
    paid = -share.masked_fill(~positive, 0).sum(dim=1) / 2
    return Paid({"": Term(paid, weight=1 / size)}, (Pairs(scores, role),))
