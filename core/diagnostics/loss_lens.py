"""What any registered loss does to a batch that is made for it: every pair's score, and its force or motion.

The batch is made from the vocabulary, whatever the loss takes: embeddings of one item stand at chosen cosines to each
other, everything else is the vocabulary's own example. Nothing is trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from core.diagnostics.forces import forces
from core.diagnostics.synthetic import WIDEST, synthetic
from core.losses.registry import LOSSES, LossEntry
from core.paid import Paid, Pairs, Role
from core.streams import stream
from core.vocabulary import SMALL, VOCABULARY

TINY, BANK = 1e-12, 16
PARTS = {"parts": "a", "other_parts": "b"}  # what is part of what


class Sample(NamedTuple):
    """A batch of n items: how close the embeddings of one item are, and how far that varies, in cosine."""

    n: int = 24
    closeness: float = 0.5
    seed: int = 0
    dim: int = 32
    spread: float = 0.3


class Side(NamedTuple):
    """Rows of one input: all of it, or its part `part` along the first dimension, flattened to (rows, D)."""

    name: str
    part: int | None = None

    def of(self, given: Mapping[str, Tensor]) -> Tensor:
        whole = given[self.name]
        part = whole if self.part is None else whole[self.part]
        return part.flatten(1) if part.ndim > 1 else part[:, None]


def near(x: Tensor, s: Sample, g: Generator) -> Tensor:
    """Unit vectors (..., D) at cosines to the rows of `x` that are drawn round the closeness, as in `synthetic`."""
    base = F.normalize(x, dim=-1)
    aside = torch.randn(x.shape, generator=g, dtype=x.dtype)
    aside = F.normalize(aside - (aside * base).sum(-1, keepdim=True) * base, dim=-1)
    rho = s.closeness + s.spread * (2 * torch.rand((*x.shape[:-1], 1), generator=g, dtype=x.dtype) - 1)
    rho = rho.clamp(-WIDEST, WIDEST)
    return rho * base + (1 - rho.square()).sqrt() * aside


def sizes(s: Sample) -> dict[str, int]:
    """How many of each: queries as items, classes as `synthetic` makes, a bank of sixteen, else the small ones."""
    return dict(SMALL) | {"A": s.n, "B": s.n, "Q": s.n, "D": s.dim, "K": BANK, "P": max(2, (s.n + 1) // 2)}


def sample(of: Any, s: Sample) -> dict[str, Tensor]:
    """The inputs that a loss needs, by name, float64 or whole numbers, without a graph.

    `of` is its params, or the entry itself where that need not be registered.

    Embeddings of the items are relatives of one set of random anchors, in the order in which the loss asks for them:
    the anchors, their positives (the pairs of `synthetic`), then further ones. An input called other_x is near x,
    where it has as many rows, and parts are near the item that they are of. Where classes have centres, these are the
    random ones, and the anchors stand at the chosen cosines to their own.
    """
    entry = of if isinstance(of, LossEntry) else LOSSES.of(of)
    pairs = synthetic(s.n, s.dim, s.closeness, s.spread, stream(s.seed, "pairs"))
    relatives, given = [pairs.a, pairs.b], {}

    def next_relative(taken: int) -> Tensor:
        while taken >= len(relatives):
            relatives.append(near(pairs.a, s, stream(s.seed, "lens", "relative", len(relatives))))
        return relatives[taken]

    taken = 0
    for name in entry.needed:
        slot, symbols, first = VOCABULARY[name], VOCABULARY[name].shape.split(), name.removeprefix("other_")
        embedding = slot.meaning.startswith("embedding")
        if name == "labels":
            given[name] = pairs.labels
        elif embedding and len(symbols) > 2 and first in given and slot.shape == VOCABULARY[first].shape:
            given[name] = near(given[first], s, stream(s.seed, "lens", name))
        elif name in PARTS and PARTS[name] in given:
            each = given[PARTS[name]][:, None].expand(-1, sizes(s)[symbols[1]], -1)
            given[name] = near(each, s, stream(s.seed, "lens", name))
        elif embedding and symbols == ["B", "D"]:
            given[name] = next_relative(taken)
            taken += 1
        elif embedding and len(symbols) == 3 and symbols[1:] == ["B", "D"] and f"other_{name}" not in entry.needed:
            count = sizes(s)[symbols[0]]
            given[name] = torch.stack([next_relative(taken + k) for k in range(count)])
            taken += count
        else:
            given[name] = slot.make(stream(s.seed, "lens", name), sizes(s))
    if "proxies" in given:
        given["a"] = near(given["proxies"][given["labels"]], s, stream(s.seed, "lens", "a"))
    return given


def moving(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same inputs, those that a step may move with a gradient of their own."""
    return {
        name: value.clone().requires_grad_() if value.is_floating_point() and not VOCABULARY[name].constant else value
        for name, value in given.items()
    }


def pay(p: Any, given: Mapping[str, Tensor], seed: int = 0) -> Paid:
    """What the loss asks of these inputs; what it draws or mines, it plans from one seed."""
    return LOSSES.of(p).pay(given, p, stream(seed, "lens", "plan"))


def sides(given: Mapping[str, Tensor]) -> tuple[Side, Side] | None:
    """Which rows are set against which, where scores have to be made from the embeddings; None where there are none.

    The first two embeddings of the items; else the first two of several views, modalities or heads; else the first
    bag and its counterpart; else the rows of the first thing with rows against themselves.
    """
    for name in given:
        if f"other_{name}" in given and VOCABULARY[name].shape.split()[1:] == ["B", "D"]:
            return Side(name, 0), Side(f"other_{name}", 0)
    rows: list[Side] = []
    for name, value in given.items():
        symbols = VOCABULARY[name].shape.split()
        if VOCABULARY[name].meaning.startswith("embedding") and symbols[-2:] == ["B", "D"]:
            rows += [Side(name)] if len(symbols) == 2 else [Side(name, k) for k in range(len(value))]
    if len(rows) > 1:
        return rows[0], rows[1]
    if rows:
        return rows[0], rows[0]
    if "bags" in given:
        return Side("bags", 0), Side("other_bags" if "other_bags" in given else "bags", 0)
    if "sequence" in given:
        return Side("sequence", 0), Side("other_sequence" if "other_sequence" in given else "sequence", 0)
    return (Side("maps"), Side("maps")) if "maps" in given else None


def cosines(x: Tensor, y: Tensor) -> Tensor:
    """(A, C) cosines of the rows of x (A, D) and y (C, D)."""
    return F.normalize(x, dim=1) @ F.normalize(y, dim=1).T


def motions(given: Mapping[str, Tensor], total: Tensor, pair: tuple[Side, Side]) -> Tensor:
    """(A, C) change of every cosine between the two sides for each unit of one small descent step of all inputs.

    For unit embeddings it is `forces.motion`; rows of other lengths turn by what is left across them, over the length.
    """
    leaves = [given[side.name] for side in pair]
    wanted = [leaf for leaf in dict.fromkeys(leaves) if leaf.requires_grad]
    found = torch.autograd.grad(total, wanted, retain_graph=True, allow_unused=True) if wanted else ()
    slopes = {id(leaf): g for leaf, g in zip(wanted, found, strict=True)}
    unit, step = [], []
    for side, leaf in zip(pair, leaves, strict=True):
        slope = slopes.get(id(leaf))
        g = side.of({side.name: torch.zeros_like(leaf) if slope is None else slope})
        x = side.of({side.name: leaf.detach()})
        length = x.norm(dim=1, keepdim=True).clamp_min(TINY)
        unit.append(x / length)
        step.append((g - (g * unit[-1]).sum(1, keepdim=True) * unit[-1]) / length)
    return -(step[0] @ unit[1].T + unit[0] @ step[1].T)


Kind = Literal["force", "motion", "slope"]


@dataclass(frozen=True)
class Layer:
    """One table of pairs.

    `scores` (A, C); `role` (A, C) int8 of `Role`; `push` (A, C): above 0 the pair is pushed apart, below 0 pulled
    together. `kind` says what push is: dL/ds, minus the motion, or the slope of a number that was handed in, which is
    no pair at all: its roles are 0 then.
    """

    scores: Tensor
    role: Tensor
    push: Tensor
    kind: Kind

    @property
    def pairs(self) -> Pairs:
        return Pairs(self.scores, self.role)


@dataclass(frozen=True)
class Lens:
    """A loss on its batch: `given` with gradients, what is `paid`, the tables of its own scores, and that of motion.

    `layers` are the force on the scores that the loss shows, or the motion, or, for a loss of neither scores nor
    embeddings, the slope of what it was handed; `motion` is None where there are no embeddings.
    """

    given: Mapping[str, Tensor]
    paid: Paid
    total: float
    each: Tensor | None
    layers: tuple[Layer, ...]
    motion: Layer | None

    @property
    def is_force(self) -> bool:
        return self.layers[0].kind == "force"


def each_pays(paid: Paid) -> Tensor | None:
    """(A,) what each anchor pays, so that the mean is the total; None where not every term is by anchors."""
    terms = list(paid.terms.values())
    if any(t.axis != "anchor" or t.per.shape != terms[0].per.shape for t in terms):
        return None
    return torch.stack([t.per.detach() * (1 if t.weight is None else t.weight * len(t.per)) for t in terms]).sum(0)


def _roles(given: Mapping[str, Tensor], pair: tuple[Side, Side], shape: torch.Size) -> Tensor:
    """What rows are to each other: the same row or class a positive, a row to itself nothing, within a whole nothing.

    Rows of one sequence or map have no positives that could be known here, so that they all stay without a role.
    """
    first, second = pair
    role = torch.full(shape, Role.NEGATIVE, dtype=torch.int8)
    if first == second and "B" not in VOCABULARY[first.name].shape.split()[-2:-1]:
        return torch.zeros(shape, dtype=torch.int8)
    by_items = VOCABULARY[first.name].shape.split()[-2] == "B"
    if by_items and "labels" in given:
        same = given["labels"][:, None] == given["labels"][None, :]
        role = torch.where(same, Role.POSITIVE, role).to(torch.int8)
    if shape[0] == shape[1]:
        role.fill_diagonal_(Role.EXCLUDED if first == second else Role.POSITIVE)
    return role


def _from_scores(given: Mapping[str, Tensor], total: Tensor) -> Layer:
    """The slope of the first number that was handed in; of a query's candidates the first is the positive."""
    name = next(name for name, value in given.items() if value.requires_grad)
    (slope,) = torch.autograd.grad(total, [given[name]], retain_graph=True, allow_unused=True)
    value = given[name].detach()
    slope = torch.zeros_like(value) if slope is None else slope
    if name == "candidate_scores":
        role = torch.full(value.shape, Role.NEGATIVE, dtype=torch.int8)
        role[:, 0] = Role.POSITIVE
        return Layer(value, role, slope, "force")
    flat = value.reshape(1, -1)
    return Layer(flat, torch.zeros(flat.shape, dtype=torch.int8), slope.reshape(1, -1), "slope")


def lens(p: Any, s: Sample, given: Mapping[str, Tensor] | None = None) -> Lens:
    """A loss on the batch that is made for it, or on the inputs `given`."""
    inputs = moving(sample(p, s) if given is None else given)
    paid = pay(p, inputs, s.seed)
    total = paid.total()
    pair = sides(inputs)
    motion = None
    if pair is not None:
        push = -motions(inputs, total, pair)
        scores = cosines(*(side.of(inputs).detach() for side in pair))
        motion = Layer(scores, _roles(inputs, pair, scores.shape), push, "motion")
    shown = [pairs for pairs in paid.pairs if pairs.scores.requires_grad]
    if shown:
        found = forces(Paid(paid.terms, tuple(shown)))
        layers = tuple(Layer(x.scores.detach(), x.role, f, "force") for x, f in zip(shown, found, strict=True))
    else:
        layers = (motion if motion is not None else _from_scores(inputs, total),)
    return Lens(inputs, paid, float(total.detach()), each_pays(paid), layers, motion)


def through_scores(seen: Lens) -> float | None:
    """What share of the gradient at the inputs the weights on the shown scores account for: weight x direction.

    The direction of a pair is the gradient of its score, its weight is its force; their sum is the whole gradient
    where the loss pays by its scores alone. 1 - |g - rebuilt| / |g|, at least 0; None without scores or gradient.
    """
    leaves = [leaf for leaf in seen.given.values() if leaf.requires_grad]
    shown = [pairs.scores for pairs in seen.paid.pairs if pairs.scores.requires_grad]
    if not seen.is_force or not shown:
        return None

    def all_of(outcome: Tensor) -> Tensor:
        found = torch.autograd.grad(outcome, leaves, retain_graph=True, allow_unused=True)
        return torch.cat(
            [(torch.zeros_like(x) if g is None else g).flatten() for x, g in zip(leaves, found, strict=True)]
        )

    whole = all_of(seen.paid.total())
    weighed = sum((scores * layer.push).sum() for scores, layer in zip(shown, seen.layers, strict=True))
    length = float(whole.norm())
    if length == 0 or not isinstance(weighed, Tensor):
        return None
    return max(0.0, 1 - float((whole - all_of(weighed)).norm()) / length)
