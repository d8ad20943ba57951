"""Which loss made these embeddings? The one under which they are at rest, or *not sure*.

Training stops where its gradient vanishes. The last layer of almost every network is linear, and its gradient can be
written down without it: with t_i the part of dL/dz_i along the sphere, it is the sum of t_i h_i^T / |h_i|, h_i the
embedding before it was brought to length 1, so the sum of t_i z_i^T, whatever the lengths were. Each candidate loss
splits it into what positives pull and what negatives push; under the loss that made the embeddings the two cancel, at
its own temperature or margin. What does not cancel, as a share of both, is the candidate's *unrest*.

It needs the items that were trained on (on others the pull is larger), a training that came to rest and did not learn
its items by heart (then hardly anyone feels a force), and a loss of pairs. Where any of it is missing no candidate is
at rest, or several are alike, and the answer is *not sure*.

Thresholds and candidates were set on linear towers over two pairs of feature sets of mfeat. On a zoo that nothing was
set on (three other pairs, another seed and split, 18 losses and settings each, trained to rest: `python -m tests.bench
zoo`) 48 of 54 families are named rightly, 4 are not sure and 2 wrong: both times a sigmoid loss at a temperature
between the candidates, whose rest is a valley so narrow that the search steps over it. Networks that have not come to
rest are mostly not sure: without the search between the candidates, 21 of 42 were named after a quarter of the steps,
and 4 of 42 from held-out items, all rightly. So are networks that learned their pairs by heart.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.diagnostics.arrays import UNIT_TOLERANCE, Array, rows
from core.diagnostics.registry import diagnostic
from core.diagnostics.retrieval import place_both, summarise
from core.diagnostics.verdicts import THRESHOLDS, guessing_does_as_well
from core.streams import stream

Family = Literal["softmax", "hinge", "logistic", "contrastive"]
SEEN = 4_096
FEWEST = 64
MODES = 64
FELT = 30
ONE_POINT = 0.99
AT_REST = 0.10
AHEAD = 1.2
ALIKE = 1.25
REACH = 4
Batch = Annotated[int, Field(ge=8, le=4096, title="Batch", description="How many items were told apart at once.")]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A loss of pairs at one setting. `force`: scores (B, B), positives on the diagonal -> dL/ds up to a factor."""

    family: Family
    setting: Mapping[str, float]
    force: "partial[Tensor]"


@dataclass(frozen=True)
class Unrest:
    """A candidate's setting and the share of its pull and push that does not cancel, 0 (at rest) to 1."""

    family: Family
    setting: Mapping[str, float]
    share: float


@dataclass(frozen=True)
class Guess:
    """`family`: None is *not sure*. `setting`: the best temperature, margin or bias of it, by name, and in `between`
    the lowest and highest that are nearly as good; both empty where not sure. `evidence`: sentences. `tried`: the best
    setting of each family, the most at rest first; empty where it could not be asked.
    """

    family: Family | None
    setting: Mapping[str, float]
    between: Mapping[str, tuple[float, float]]
    evidence: tuple[str, ...]
    tried: tuple[Unrest, ...]


def softmax_force(s: Tensor, temperature: float) -> Tensor:
    """Of both directions of InfoNCE."""
    logits = s / temperature
    return logits.softmax(dim=1) + logits.softmax(dim=0) - 2 * torch.eye(len(s), dtype=s.dtype, device=s.device)


def hinge_force(s: Tensor, margin: float, hardest: bool) -> Tensor:
    """Of both directions of the ranking hinge, summed over all negatives or of the hardest alone."""
    positive = torch.eye(len(s), dtype=torch.bool, device=s.device)
    own, force = s.diagonal(), torch.zeros_like(s)
    for scores, out in ((s, force), (s.T, force.T)):
        late = (margin + scores - own[:, None] > 0) & ~positive
        if hardest:
            late &= F.one_hot(scores.masked_fill(positive, -torch.inf).argmax(dim=1), len(s)).bool()
        out += late.to(s) - torch.diag(late.sum(dim=1).to(s))
    return force


def logistic_force(s: Tensor, temperature: float, bias: float) -> Tensor:
    """Of the pairwise sigmoid loss."""
    sign = 2 * torch.eye(len(s), dtype=s.dtype, device=s.device) - 1
    return -sign * torch.sigmoid(-sign * (s / temperature + bias))


def contrastive_force(s: Tensor, margin: float) -> Tensor:
    """Of the contrastive loss of distances, the negatives of an anchor averaged."""
    positive = torch.eye(len(s), dtype=s.dtype, device=s.device)
    distance = (2 - 2 * s).clamp(min=1e-9).sqrt()
    return (1 - positive) * (margin - distance).clamp(min=0) / distance / (len(s) - 1) - positive


def softmax(temperature: float) -> Candidate:
    return Candidate("softmax", {"temperature": temperature}, partial(softmax_force, temperature=temperature))


def hinge(margin: float, hardest: bool) -> Candidate:
    return Candidate("hinge", {"margin": margin}, partial(hinge_force, margin=margin, hardest=hardest))


def logistic(temperature: float, bias: float) -> Candidate:
    return Candidate(
        "logistic",
        {"temperature": temperature, "bias": bias},
        partial(logistic_force, temperature=temperature, bias=bias),
    )


def contrastive(margin: float) -> Candidate:
    return Candidate("contrastive", {"margin": margin}, partial(contrastive_force, margin=margin))


TEMPERATURES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
MARGINS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8)
REACHES = (0.5, 0.7, 1.0, 1.2, 1.5)
CANDIDATES: tuple[Candidate, ...] = (
    *map(softmax, TEMPERATURES),
    *itertools.starmap(hinge, itertools.product(MARGINS, (False, True))),
    *itertools.starmap(logistic, itertools.product((0.05, 0.1, 0.14, 0.2, 0.5), (-10.0, -7.0, -5.0, -3.0, 0.0))),
    *map(contrastive, REACHES),
)
NEARER = (0.76, 0.83, 0.91, 1.1, 1.2, 1.32)
NEARER_BIAS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)


def finer(candidate: Candidate) -> list[Candidate]:
    """Settings between a candidate's and its neighbours in `CANDIDATES`: margins and temperatures by factors."""
    known = candidate.force.keywords
    match candidate.family:
        case "softmax":
            return [softmax(known["temperature"] * by) for by in NEARER]
        case "hinge":
            return [hinge(known["margin"] * by, known["hardest"]) for by in NEARER]
        case "contrastive":
            return [contrastive(known["margin"] * by) for by in NEARER]
        case "logistic":
            grid = itertools.product((0.71, 0.84, 1.0, 1.19, 1.41), NEARER_BIAS)
            return [
                logistic(known["temperature"] * by, known["bias"] + more) for by, more in grid if (by, more) != (1, 0)
            ]


def _halves(n: int, batch: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Items in batches, twice about half of `SEEN`; each epoch has an order of its own and belongs to one half."""
    epochs = max(1, math.ceil(SEEN / 2 / n))

    def half(first: int) -> list[Tensor]:
        orders = [torch.randperm(n, generator=stream(seed, "guess", first + 2 * k)) for k in range(epochs)]
        parts = [part for order in orders for part in order.split(batch) if len(part) == batch]
        return parts[: max(1, SEEN // 2 // batch)]

    return half(0), half(1)


def unrest(
    a: Array, b: Array, candidates: Sequence[Candidate] = CANDIDATES, *, batch: Batch = 128, seed: int = 0
) -> tuple[Unrest, ...]:
    """How far each candidate is from rest, in their order.

    Args:
        a: (N, D) rows, N at least 16.
        b: (N, D) rows, the positive of each.
        candidates: losses at their settings.
        batch: negatives were drawn among so many items; cut to N / 2.
        seed: address of the batches.

    Returns:
        The share of each; NaN where fewer than `FELT` items feel a force, counted as (sum of forces)^2 over the sum
        of their squares: the few would cancel or not by accident.

    Raises:
        ValueError: if the shapes differ, or rows are not finite.
    """
    x, y = F.normalize(rows(a), dim=1), F.normalize(rows(b), dim=1)
    if x.shape != y.shape or len(x) < 16:
        raise ValueError(f"got embeddings of shapes {tuple(x.shape)} and {tuple(y.shape)}; pair 16 rows or more")
    modes = [torch.linalg.svd(z, full_matrices=False)[2][:MODES].T for z in (x, y)]
    sums = torch.zeros(len(candidates), 2, 2, 2, x.shape[1], modes[0].shape[1], dtype=x.dtype, device=x.device)
    felt = torch.zeros(len(candidates), len(x), dtype=torch.float64, device=x.device)
    for half, batches in enumerate(_halves(len(x), min(batch, len(x) // 2), seed)):
        for items in batches:
            _gather(x, y, items.to(x.device), modes, candidates, sums[:, half], felt)
    enough = felt.sum(dim=1).square() >= FELT * felt.square().sum(dim=1).clamp(min=1e-30)
    return tuple(
        Unrest(c.family, c.setting, _share(*parts) if some else math.nan)
        for c, parts, some in zip(candidates, sums.flatten(3), enough.tolist(), strict=True)
    )


def _gather(
    x: Tensor,
    y: Tensor,
    items: Tensor,
    modes: list[Tensor],
    candidates: Sequence[Candidate],
    sums: Tensor,
    felt: Tensor,
) -> None:
    """Add a batch's t_i z_i^T, on the leading modes of z, to the sums (candidate, pull or push, side, D, modes)."""
    p, q = x[items], y[items]
    scores, seen = p @ q.T, (p @ modes[0], q @ modes[1])
    for candidate, parts, count in zip(candidates, sums, felt, strict=True):
        force = candidate.force(scores)
        count[items] += force.abs().sum(dim=1).double()
        for half, part in zip(parts, (force.clamp(max=0), force.clamp(min=0)), strict=True):
            for side, (own, moved) in enumerate(((p, part @ q), (q, part.T @ p))):
                along = moved - (moved * own).sum(dim=1, keepdim=True) * own
                half[side] += along.T @ seen[side]


def _share(one: Tensor, other: Tensor) -> float:
    """|pull + push| / (|pull| + |push|) of sums (pull or push, sides, all entries) from two draws of the batches.

    A length is the root of the inner product of the two, in which the accidents of either are no part.
    """

    def size(a: Tensor, b: Tensor) -> float:
        return math.sqrt(max(0.0, float((a.double() * b.double()).sum())))

    gross = size(one[0], other[0]) + size(one[1], other[1])
    return size(one.sum(dim=0), other.sum(dim=0)) / gross if gross > 1e-9 else math.nan


@diagnostic(
    "loss_guess",
    title="Guess of the loss",
    source="the vanishing gradient of the last linear layer, for each candidate loss of pairs",
    origin="designed",
    values="softmax, hinge, logistic, contrastive, or not sure; unrest 0 (at rest) to 1",
    chance="not sure",
)
def guess(a: Array, b: Array, *, batch: Batch = 128, seed: int = 0) -> Guess:
    """The family of losses, with its temperature or margin, under which paired embeddings are at rest; or *not sure*.

    A temperature is that of batches of the given size: with more negatives the same rest needs a lower one.

    Args:
        a: (N, D) rows of any length, best of items that were trained on.
        b: (N, D) rows, the positive of each.
        batch: negatives were drawn among so many items; cut to N / 2.
        seed: address of the batches.

    Raises:
        ValueError: if the shapes differ, or rows are not finite.
    """
    x, y = rows(a), rows(b)
    if x.shape != y.shape:
        raise ValueError(f"got embeddings of shapes {tuple(x.shape)} and {tuple(y.shape)}; pair them row by row")
    said = [_lengths(x, y)]
    x, y = F.normalize(x, dim=1), F.normalize(y, dim=1)
    if len(x) < FEWEST:
        return _not_sure(said, f"{len(x)} pairs are too few to ask; it takes {FEWEST}.")
    alone = max(float(z.mean(dim=0).square().sum()) for z in (x, y))
    if alone > ONE_POINT:
        return _not_sure(
            said, f"All items of a side are nearly one point (mean cosine {alone:.3f}): any loss may do that."
        )
    places = summarise(place_both(x[:SEEN], y[:SEEN])[0])
    if guessing_does_as_well(places.r1, places.n, places.chance1) > THRESHOLDS.near_chance_tail:
        return _not_sure(said, "Pairs find each other no better than by chance: untrained, or not paired row by row.")
    found = unrest(x, y, batch=batch, seed=seed)
    between = [each for one in _nearest(found) for each in finer(one)]
    return _weighed(said, (*found, *unrest(x, y, between, batch=batch, seed=seed)))


def _nearest(found: Sequence[Unrest]) -> list[Candidate]:
    """The best of the `CANDIDATES` in each family that is not out of reach of the best of all."""
    shares = {
        candidate: each.share for candidate, each in zip(CANDIDATES, found, strict=True) if not math.isnan(each.share)
    }
    best: dict[Family, Candidate] = {}
    for candidate in sorted(shares, key=shares.__getitem__):
        best.setdefault(candidate.family, candidate)
    return [candidate for candidate in best.values() if shares[candidate] <= REACH * min(shares.values())]


def _weighed(said: list[str], found: tuple[Unrest, ...]) -> Guess:
    every = sorted((each for each in found if not math.isnan(each.share)), key=lambda one: one.family)
    tried = tuple(
        sorted(
            (
                min(same, key=lambda one: one.share)
                for _, group in itertools.groupby(every, key=lambda one: one.family)
                for same in [list(group)]
            ),
            key=lambda one: one.share,
        )
    )
    said = [*said, *(_sentence(each) for each in tried)]
    if not tried or tried[0].share > AT_REST:
        return _not_sure(said, "No candidate is at rest: other items than those trained on, or another loss.", tried)
    best = tried[0]
    if len(tried) > 1 and tried[1].share < AHEAD * best.share:
        return _not_sure(said, f"A {best.family} and a {tried[1].family} loss are about as much at rest.", tried)
    near = [one.setting for one in every if one.family == best.family and one.share <= ALIKE * best.share]
    between = {name: (min(s[name] for s in near), max(s[name] for s in near)) for name in best.setting}
    return Guess(best.family, best.setting, between, tuple(said), tried)


def _not_sure(said: list[str], why: str, tried: tuple[Unrest, ...] = ()) -> Guess:
    return Guess(None, {}, {}, (*said, why), tried)


def _sentence(one: Unrest) -> str:
    at = ", ".join(f"{name} {value:g}" for name, value in one.setting.items()).replace("-", "−")
    return f"Under a {one.family} loss, {at}, {100 * one.share:.0f}% of pull and push do not cancel."


def _lengths(x: Tensor, y: Tensor) -> str:
    length = torch.cat([x.norm(dim=1), y.norm(dim=1)])
    if bool(((length - 1).abs() <= UNIT_TOLERANCE).all()):
        return "All rows have length 1: the loss compares directions."
    return f"Rows have lengths from {float(length.min()):.3g} to {float(length.max()):.3g}; their directions are read."
