"""Batches of pairs to look at: made here without any training, turned pair by pair, and paid for by any loss."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from core.diagnostics.forces import forces, gradient_norms
from core.diagnostics.hardness import gaps
from core.losses.registry import LOSSES
from core.mixing.registry import MIXINGS, Known
from core.mixing.targets import partner_pairs
from core.paid import Paid, Pairs
from core.params import Params
from core.refusal import Refusal
from core.streams import stream
from core.vocabulary import SMALL, VOCABULARY

WIDEST = 0.99
BINS = 8
GIVEN = ("a", "b", "labels", "joint", "modalities", "bags", "other_bags")


@dataclass(frozen=True)
class Batch:
    """n pairs: `a` and `b` (n, D) float64 unit embeddings without a graph, `labels` (n,) int64."""

    a: Tensor
    b: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.a)


def synthetic(n: int, dim: int, closeness: float, spread: float, g: Generator) -> Batch:
    """Random anchors, each with a positive at its own cosine; two neighbouring pairs are one class.

    Args:
        n: pairs.
        dim: dimensions, at least 2.
        closeness: middle of the cosines of the pairs.
        spread: half the width of their range; cosines are evenly drawn and kept within -.99 and .99.
        g: a CPU generator.
    """
    a = F.normalize(torch.randn(n, dim, generator=g, dtype=torch.float64), dim=1)
    aside = torch.randn(n, dim, generator=g, dtype=torch.float64)
    aside = F.normalize(aside - (aside * a).sum(1, keepdim=True) * a, dim=1)
    rho = closeness + spread * (2 * torch.rand(n, 1, generator=g, dtype=torch.float64) - 1)
    rho = rho.clamp(-WIDEST, WIDEST)
    return Batch(a, rho * a + (1 - rho.square()).sqrt() * aside, torch.arange(n) // 2)


def turned(batch: Batch, i: int, j: int, similarity: float) -> Batch:
    """The batch with pair j turned as a whole until its b has the given cosine with anchor i.

    The turn is a rotation in the plane of a_i and b_j, so the similarity within pair j stays what it was.

    Raises:
        ValueError: if i is j.
    """
    if i == j:
        raise ValueError(f"pair {j} cannot be turned against its own anchor; choose another anchor")
    u, old = batch.a[i], batch.b[j]
    aside = old - (old @ u) * u
    if float(aside.norm()) < 1e-9:
        aside = F.one_hot(u.abs().argmin(), len(u)).to(u.dtype)
        aside = aside - (aside @ u) * u
    w = F.normalize(aside, dim=0)
    turn = math.acos(similarity) - math.atan2(float(old @ w), float(old @ u))

    def rotate(x: Tensor) -> Tensor:
        along, across = x @ u, x @ w
        return x + (math.cos(turn) - 1) * (along * u + across * w) + math.sin(turn) * (along * w - across * u)

    a, b = batch.a.clone(), batch.b.clone()
    a[j], b[j] = rotate(a[j]), rotate(b[j])
    return replace(batch, a=a, b=b)


def invented(p: Params) -> list[str]:
    """Inputs that a registered loss needs and pairs cannot stand for; `pay` fills them with random numbers."""
    return [name for name in LOSSES.of(p).needed if name not in GIVEN]


def of_pairs_alone(p: Params) -> bool:
    """Whether a batch of pairs is all that a loss needs: nothing is invented for it, planned, or seen in many views."""
    entry = LOSSES.of(p)
    return not invented(p) and entry.plan is None and "views" not in entry.inputs


def losses_of_pairs(p: Params) -> list[str]:
    """The losses, by key, that a batch of pairs suffices, and that of `p`, first where no list names it."""
    own = LOSSES.of(p).key
    found = [entry.key for entry in LOSSES if entry.key == own or of_pairs_alone(entry.params())]
    return found if own in found else [own, *found]


def check_of_pairs(p: Params) -> None:
    """Refuse a loss that a batch of pairs does not suffice.

    Raises:
        Refusal: naming the loss and where it can be looked at.
    """
    if not of_pairs_alone(p):
        title = LOSSES.of(p).title
        raise Refusal(f"{title} takes more than pairs; open it on Losses, or choose a loss of pairs here")


def stand_ins(a: Tensor, b: Tensor, alone: bool) -> dict[str, Tensor]:
    """What a batch of pairs (n, D) is to a loss that calls it otherwise.

    The a are the joint embeddings and the b their one modality. For a loss of bags `alone` the pairs are the members
    of one bag, in order; beside a and b, each is the only member of its bag.
    """
    members = {"bags": a[None], "other_bags": b[None]} if alone else {"bags": a[:, None], "other_bags": b[:, None]}
    return {"joint": a, "modalities": b[None], **members}


def pay(
    p: Params,
    a: Tensor,
    b: Tensor,
    labels: Tensor,
    margin: Tensor | None = None,
    *,
    exclude: Tensor | None = None,
    negatives: Tensor | None = None,
) -> Paid:
    """What a registered loss asks of a batch.

    Args:
        p: params of the loss; for a learned temperature, the one it stands at.
        a: (n, D) anchors.
        b: (n, D) positives, row by row.
        labels: (n,) classes, for losses that need them.
        margin: (n,) instead of the loss's own, for losses that know one.
        exclude: (n, n) pairs that take no part, for losses that can leave some out.
        negatives: (n, K, D) instead of the other pairs, for losses that take an anchor's own.
    """
    n, dim = a.shape
    entry = LOSSES.of(p)
    declared = entry.inputs
    inputs: dict[str, Any] = {"a": a, "b": b, "labels": labels} | stand_ins(a, b, alone="a" not in declared)
    inputs = {name: value for name, value in inputs.items() if declared.get(name)}
    sizes = {**SMALL, "A": n, "B": n, "D": dim, "P": 1 + int(labels.max())}
    for name in invented(p):
        example = VOCABULARY[name].make(stream(0, "pairs", name), sizes)
        inputs[name] = example.to(a.dtype) if example.is_floating_point() else example
    if margin is not None and "margin" in declared:
        inputs["margin"] = margin
    if exclude is not None and "exclude" in declared:
        inputs["exclude"] = exclude
    if negatives is not None and "negatives" in declared:
        inputs["negatives"] = negatives
    return entry.pay(inputs, p, stream(0, "pairs", "plan"))


def along_similarity(p: Params, batch: Batch, i: int, j: int, similarity: Tensor) -> tuple[Tensor, Tensor]:
    """Pull on pair i and push between anchor i and the b of pair j, while pair j is turned.

    Args:
        p: params of a registered loss that shows its scores.
        batch: the pairs.
        i: the anchor.
        j: the negative's pair, another one.
        similarity: (T,) cosines to turn it to.

    Returns:
        (T,) -dL/ds of the positive and (T,) dL/ds of the negative, at each.
    """
    found = []
    for s in similarity.tolist():
        now = turned(batch, i, j, s)
        force = forces(pay(p, now.a.requires_grad_(), now.b.requires_grad_(), now.labels))[0]
        shift = force.shape[1] - len(batch)
        found.append(torch.stack([-force[i, shift + i], force[i, shift + j]]))
    pull, push = torch.stack(found).T
    return pull, push


@dataclass(frozen=True)
class Strength:
    """Mean |dL/dz| of clean and of mixed anchors in groups of like `gap`, easier to the right, (K,) each."""

    gap: Tensor
    clean: Tensor
    mixed: Tensor


def _gaps_of(pairs: Pairs, n: int, side: str) -> Tensor:
    if len(pairs.scores) == 2 * n:
        return gaps(pairs)[:n] if side == "a" else gaps(pairs)[n:]
    return gaps(pairs if side == "a" else Pairs(pairs.scores.T, pairs.role.T))


def strength(p: Params, batch: Batch, mixing: Any, seed: int, draws: int = 40) -> Strength:
    """How long the gradient of each anchor is, against the lead of its pair, clean beside mixed.

    The pairs are mixed as embeddings, whatever the level of the mixing, and the gradient is taken at the unmixed ones;
    the mixed loss counts before its weight, averaged over the draws. Where both sides are mixed, each or in turn, side
    a is looked at.

    Args:
        p: params of a registered loss that shows its scores.
        batch: the pairs.
        mixing: params of a registered mixing that mixes.
        seed: of the draws.
        draws: how many plans are averaged.
    """
    n, at_embedding = len(batch), mixing.model_copy(update={"level": "embedding"})
    call = MIXINGS.of(mixing).call()
    assert call is not None
    own, side = getattr(p, "margin", 0.0), "b" if getattr(mixing, "side", "a") == "b" else "a"
    masked = getattr(mixing, "target", "hard") == "mask_partner"

    def norms(plan: Any) -> tuple[Tensor, Paid]:
        z = {"a": batch.a.clone().requires_grad_(), "b": batch.b.clone().requires_grad_()}
        if plan is None:
            paid = pay(p, **z, labels=batch.labels)
        else:
            x = call.apply(z, plan, at_embedding)
            out = partner_pairs(plan, side) if masked else None
            paid = pay(p, x["a"], x["b"], batch.labels, plan.margin, exclude=out, negatives=x.get("negatives"))
        return gradient_norms(paid.total(), z[side]), paid

    clean, paid = norms(None)
    known = Known(own, batch.b if side == "b" else batch.a, batch.labels)
    drawn = (call.plan(n, at_embedding, stream(seed, "strength", k), known) for k in range(draws))
    plans = [plan if plan.side == "both" else replace(plan, side=side) for plan in drawn]
    mixed = torch.stack([norms(plan)[0] for plan in plans]).mean(0)
    gap = _gaps_of(paid.pairs[0], n, side)
    order = gap.argsort()
    groups = order[torch.isfinite(gap[order])].tensor_split(min(BINS, max(1, n // 3)))
    return Strength(*(torch.stack([x[group].mean() for group in groups]) for x in (gap, clean, mixed)))
