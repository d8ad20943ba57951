"""Which losses do the same thing: each is measured by how it moves every pair of standard batches, and placed by that.

A *behaviour* is the motion of all pairs among the 2n points a_1 .. a_n, b_1 .. b_n of each batch of `GRID`, as one
vector: each batch has length 1 or, where the loss is at rest, 0, and so has the whole, so that no scale of a loss, and
no batch on which it happens to be large, counts. Two losses that are one formula up to a factor have one behaviour.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor

from core.diagnostics.arrays import Array, rows
from core.diagnostics.loss_lens import TINY, Sample, Side, moving, sample, sides
from core.diagnostics.registry import diagnostic
from core.diagnostics.synthetic import Batch, synthetic
from core.diagnostics.trust import trustworthiness
from core.losses.registry import LOSSES, LossEntry
from core.params import Params, domain, matters
from core.refusal import Refusal
from core.streams import stream
from core.vocabulary import VOCABULARY

# Close and loose pairs, alike and unlike each other, among few and many strangers of which some or none are near.
GRID = (
    Sample(8, 0.2, 0, 8, 0.1),
    Sample(16, 0.5, 1, 8, 0.3),
    Sample(16, 0.8, 2, 8, 0.15),
    Sample(8, 0.2, 3, 32, 0.1),
    Sample(16, 0.5, 4, 32, 0.3),
    Sample(16, 0.8, 5, 32, 0.15),
)
PROBE = (GRID[0], GRID[4])
TEMPERATURE = 0.1
SAME = 1e-6
REST, NOTHING = 1e-9, 1e-12
STARTS, STEPS, STILL = 5, 500, 1e-10
STOPS = 7
NEAR = 5

Setting = Literal["alike", "own"]
Loss = LossEntry | Callable[[Tensor, Tensor], Any]
Said = Callable[[int, int, str], object]

NO_EMBEDDINGS = "it is handed scores or likelihoods, and no embeddings that could move"
NO_ITEMS = "it moves steps, places or members within an item, and not items"
NO_PAIRS = "it is not told which items belong together"
AT_REST = "it moves no pair of any batch"


class Apart(Refusal):
    """A loss that has no place among the others; the message says why."""


class Measured(NamedTuple):
    """A behaviour: `vector` (P,) of length 1, float64; `active`: on how many batches anything moves."""

    vector: Tensor
    active: int


def settings(entry: LossEntry, setting: Setting) -> Params:
    """The params that a loss is placed with: its own, or with one temperature for all that have one."""
    field = entry.params.model_fields.get("temperature")
    if setting == "own" or field is None:
        return entry.params()
    found = domain(field)
    low, high = (end if limit is None else limit for limit, end in ((found.low, 0.0), (found.high, math.inf)))
    return entry.params.model_validate({"temperature": min(max(TEMPERATURE, low), high)})


def _made(s: Sample) -> Batch:
    return synthetic(s.n, s.dim, s.closeness, s.spread, stream(s.seed, "pairs"))


def _copied(given: Mapping[str, Tensor], pair: tuple[Side, Side]) -> dict[str, Tensor]:
    """What is held fixed of the points, by name: each side where both are held, else the second; or all views."""
    first, second = (side.of(given) for side in pair)
    held = [name for name in given if VOCABULARY[name].constant and name not in (pair[0].name, pair[1].name)]
    items = {name: first if f"other_{name}" in given else second for name in held if VOCABULARY[name].shape == "B D"}
    whole = VOCABULARY[pair[0].name].shape
    views = {name: given[pair[0].name] for name in held if VOCABULARY[name].shape == whole == "V B D"}
    return {name: x for name, x in (items | views).items() if VOCABULARY[name].meaning.startswith("embedding")}


def _handed(entry: LossEntry, s: Sample, single: bool) -> tuple[dict[str, Tensor], tuple[Side, ...]]:
    """The batch as the loss takes it, and the sides whose rows are the 2n points.

    It is that of the lens, with as few views and modalities as the loss can do with, and with a teacher that has just
    copied its student. A loss of one set of items with labels is handed all 2n as items. `single`: every pair is a
    class of its own.

    Raises:
        Apart: if it takes no such points, or cannot know which of them belong together.
    """
    given = sample(entry, s)
    pair = sides(given)
    if pair is None:
        raise Apart(NO_EMBEDDINGS)
    if any(VOCABULARY[side.name].shape.split()[-2] != "B" for side in pair):
        raise Apart(NO_ITEMS)
    labels = torch.arange(s.n) if single else given.get("labels")
    if pair[0] != pair[1]:
        given = given | _copied(given, pair) | ({} if labels is None or "labels" not in given else {"labels": labels})
        few = {name: x[: entry.fewest] for name, x in given.items() if VOCABULARY[name].shape.startswith(("V", "M"))}
        return given | few, pair
    if labels is None or "labels" not in given:
        raise Apart(NO_PAIRS)
    made = _made(s)
    given = sample(entry, s._replace(n=2 * s.n))
    return given | {pair[0].name: torch.cat([made.a, made.b]), "labels": labels.repeat(2)}, pair[:1]


def _motion(given: Mapping[str, Tensor], total: Tensor, points: Sequence[Side]) -> tuple[Tensor, float]:
    """(n (2n - 1),) change of the cosine of each two of the 2n points in a small step, and the length of the gradient.

    The change is that of `forces.motion`, all in this order: first with second, first with third, and so on.
    """
    leaves = [given[side.name] for side in points]
    wanted = [leaf for leaf in dict.fromkeys(leaves) if leaf.requires_grad]
    moved = bool(wanted) and total.requires_grad
    found = torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True) if moved else ()
    slopes = {id(leaf): g for leaf, g in zip(wanted, found, strict=moved)}
    unit, step, size = [], [], 0.0
    for side, leaf in zip(points, leaves, strict=True):
        g, x = (side.of({side.name: each}) for each in (slopes.get(id(leaf), torch.zeros_like(leaf)), leaf.detach()))
        length = x.norm(dim=1, keepdim=True).clamp_min(TINY)
        unit.append(x / length)
        step.append((g - (g * unit[-1]).sum(1, keepdim=True) * unit[-1]) / length)
        size = math.hypot(size, float(g.norm()))
    z, d = torch.cat(unit), torch.cat(step)
    i, j = torch.triu_indices(len(z), len(z), 1)
    return -(d @ z.T + z @ d.T)[i, j], size


def _seen(loss: Loss, p: Any, s: Sample, single: bool) -> Tensor:
    """The motion of one batch at length 1, or at 0 where it is nothing beside the gradient."""
    if isinstance(loss, LossEntry):
        given, points = _handed(loss, s, single)
        inputs = moving(given)
        total = loss.pay(inputs, p, stream(s.seed, "lens", "plan")).total()
    else:
        made = _made(s)
        inputs, points = moving({"a": made.a, "b": made.b}), (Side("a"), Side("b"))
        paid = loss(inputs["a"], inputs["b"])
        total = paid if isinstance(paid, Tensor) else paid.total()
    found, size = _motion(inputs, total, points)
    length = float(found.norm())
    if not math.isfinite(length):
        raise Apart(f"its motion is not finite on {s.n} pairs at closeness {s.closeness}")
    return found / length if length > max(NOTHING, REST * size) else torch.zeros_like(found)


def measure(loss: Loss, p: Any = None, grid: Sequence[Sample] = GRID, *, single: bool = False) -> Measured:
    """The behaviour of a loss.

    Args:
        loss: an entry, registered or not, or a function of a and b (n, D) that returns () or a `Paid`.
        p: params of the entry.
        grid: the batches.
        single: every pair is a class of its own, for losses that take labels.

    Raises:
        Apart: if it cannot be compared, moves nothing at all, or moves by what is not finite.
    """
    found = [_seen(loss, p, s, single) for s in grid]
    active = sum(bool(each.any()) for each in found)
    if not active:
        raise Apart(AT_REST)
    return Measured(torch.cat(found) / math.sqrt(active), active)


@diagnostic(
    "behaviour_distance",
    title="Distance of two behaviours",
    source="1 - cosine of the motions of all pairs",
    origin="designed",
    values="0 (every pair moves alike) to 2 (every pair moves the other way)",
    chance="1 for motions that have nothing in common",
)
def distances(z: Array, to: Array | None = None) -> Tensor:
    """(N, M) distance of each behaviour to each other one.

    Args:
        z: (N, P) behaviours, of length 1.
        to: (M, P) others; by default the same.
    """
    ours = rows(z)
    return (1 - ours @ (ours if to is None else rows(to)).T).clamp(min=0)


class Twin(NamedTuple):
    """Losses of one behaviour, by key, and how far they are from another."""

    keys: tuple[str, ...]
    distance: float


@dataclass(frozen=True, eq=False)
class FamilyMap:
    """All losses that can be compared, by key in alphabetical order, N of them.

    `vectors` (N, P) behaviours; `active` (N,) on how many batches each moves anything; `places` (N, 2), in units of
    distance. `stress`: how far distances on the picture are from the true ones, root of the sum of squares over that of
    the true ones, 0 for none. `trust`: `trustworthiness` of the picture. `apart`: key -> why it has no place.
    """

    keys: tuple[str, ...]
    vectors: Tensor
    active: Tensor
    places: Tensor
    stress: float
    trust: float
    apart: Mapping[str, str]

    @cached_property
    def distances(self) -> Tensor:
        """(N, N) between all of them, 0 to 2."""
        return distances(self.vectors)

    def twins(self, key: str, count: int = NEAR) -> list[Twin]:
        """The nearest others of a loss on the map, in all dimensions."""
        return nearest(self, self.distances[self.keys.index(key)], count, but=key)


def nearest(found: FamilyMap, away: Tensor, count: int = NEAR, but: str = "") -> list[Twin]:
    """The `count` nearest twins by `away` (N,) from each loss on the map, all but one; losses of one behaviour are one.

    Equal distances come in the order of keys.
    """
    order = sorted((round(d, 9), k) for k, d in enumerate(away.tolist()) if found.keys[k] != but)
    groups: list[list[int]] = []
    for _, k in order:
        home = next((group for group in groups if float(found.distances[group[0], k]) < SAME), None)
        if home is not None:
            home.append(k)
        elif len(groups) < count:
            groups.append([k])
    return [Twin(tuple(found.keys[k] for k in group), float(away[group[0]])) for group in groups]


def _start(vectors: Tensor) -> Tensor:
    """(N, 2) along the two widest directions of the behaviours, each signed so that its largest entry is above 0."""
    centred = vectors - vectors.mean(dim=0)
    width, turned = torch.linalg.eigh(centred @ centred.T)
    turned = turned[:, -2:].flip(1)
    axes = centred.T @ turned
    sign = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    return turned * sign * width[-2:].flip(0).clamp(min=0).sqrt()


def _stress(places: Tensor, away: Tensor) -> float:
    return float((torch.cdist(places, places) - away).norm() / away.norm())


def family_map(measured: Mapping[str, Measured], apart: Mapping[str, str] | None = None) -> FamilyMap:
    """Place losses so that they lie as far from each other as their behaviours do, as well as two dimensions can.

    Metric multidimensional scaling by SMACOF (de Leeuw 1977), from the two widest directions: nothing is drawn, and
    the order of the losses does not matter.

    Args:
        measured: key -> behaviour, at least 3.
        apart: key -> why a loss is not among them.
    """
    from sklearn.manifold import smacof

    keys = tuple(sorted(measured))
    vectors = torch.stack([measured[key].vector for key in keys])
    away = distances(vectors)
    away = ((away + away.T) / 2).fill_diagonal_(0)
    placed, _ = smacof(away.numpy(), init=_start(vectors).numpy(), n_init=1, max_iter=3000, eps=1e-12)
    places = torch.from_numpy(placed)
    return FamilyMap(
        keys,
        vectors,
        torch.tensor([measured[key].active for key in keys]),
        places,
        _stress(places, away),
        trustworthiness(vectors, places, neighbours=min(NEAR, (len(keys) - 1) // 2)),
        dict(sorted((apart or {}).items())),
    )


def every_loss(setting: Setting, said: Said | None = None) -> FamilyMap:
    """The map of all registered losses.

    Args:
        setting: at one temperature for all, or each at its own.
        said: told of each loss before it is measured: how many are done, of how many, and its title.
    """
    measured, apart = {}, {}
    for count, entry in enumerate(LOSSES):
        if said:
            said(count, len(LOSSES), entry.title)
        try:
            measured[entry.key] = measure(entry, settings(entry, setting))
        except Apart as reason:
            apart[entry.key] = str(reason)
    return family_map(measured, apart)


class Placed(NamedTuple):
    """A loss beside the map: its behaviour, its `distances` (N,) to all on the map, and its `place` (2,) there."""

    measured: Measured
    distances: Tensor
    place: Tensor


def put(measured: Measured, found: FamilyMap) -> Placed:
    """Where a behaviour stands on a map that has been drawn, without moving the others.

    It takes the place of its nearest twin where the two are the same; else that of least stress to all others which is
    reached from one of its nearest twins.
    """
    away = distances(measured.vector[None], found.vectors)[0]
    order = away.argsort(stable=True)[:STARTS]
    if float(away[order[0]]) < SAME:
        return Placed(measured, away, found.places[order[0]])
    ends = torch.stack([_settled(found.places[start], found.places, away) for start in order])
    stress = (torch.cdist(ends, found.places) - away).square().sum(dim=1)
    return Placed(measured, away, ends[stress.argmin()])


def place(loss: Loss, p: Any, found: FamilyMap, *, single: bool = False) -> Placed:
    """Where any loss stands on a map that has been drawn, as `put`; arguments and errors as for `measure`."""
    return put(measure(loss, p, single=single), found)


def variants(entry: LossEntry, found: FamilyMap) -> list[tuple[Params, Placed]]:
    """The further settings under which the tests hold a loss, each with its place; those that rest have none."""
    placed = []
    for given in entry.variants:
        p = entry.params.model_validate(dict(given))
        try:
            placed += [(p, place(entry, p, found))] if given else []
        except Apart:
            continue
    return placed


def _settled(y: Tensor, places: Tensor, away: Tensor) -> Tensor:
    """(2,) where one more point comes to lie from `y`, by the steps of SMACOF for that point alone."""
    for _ in range(STEPS):
        apart = y - places
        new = (places + away[:, None] * apart / apart.norm(dim=1, keepdim=True).clamp_min(TINY)).mean(dim=0)
        if float((new - y).norm()) < STILL:
            return new
        y = new
    return y


class Change(NamedTuple):
    """One setting of a loss: `key` of the loss, `field`, its `value`; `field` is empty where each pair is a class."""

    key: str
    field: str
    value: Any


class Bridge(NamedTuple):
    """What turns one loss into another, or brings the two at least half as near: their distance before and after."""

    change: Change
    before: float
    after: float


def _stops(p: Params, name: str) -> list[Any]:
    """Other values of a field: all choices, or a few numbers over its range, by ratios where that is wide."""
    found = domain(type(p).model_fields[name])
    now = getattr(p, name)
    if found.kind is bool or found.choices:
        return [value for value in found.choices or (False, True) if value != now]
    if found.kind not in (int, float) or found.low is None or found.high is None:
        return []
    low, high = float(found.low), float(found.high)
    if low > 0 and high / low > 100:
        stops = [low * (high / low) ** (k / (STOPS - 1)) for k in range(STOPS)]
    else:
        stops = [low + (high - low) * k / (STOPS - 1) for k in range(STOPS)]
    rounded = (min(max(float(f"{stop:.2g}"), low), high) for stop in stops)
    return [value for value in dict.fromkeys(map(found.kind, rounded)) if value != now]


def changes(entry: LossEntry, p: Params) -> Iterator[Change]:
    """Every single change of a loss that is tried: one field to another value, or every pair a class of its own."""
    for name, field in entry.params.model_fields.items():
        if name != "kind" and matters(p, field):
            yield from (Change(entry.key, name, value) for value in _stops(p, name))
    if "labels" in entry.needed:
        yield Change(entry.key, "", None)


def _changed(entry: LossEntry, p: Params, change: Change, grid: Sequence[Sample]) -> Tensor | None:
    """The behaviour after a change; None where the params refuse it, or nothing moves any more."""
    try:
        new = type(p).model_validate(p.model_dump() | ({change.field: change.value} if change.field else {}))
        return measure(entry, new, grid, single=not change.field).vector
    except (ValidationError, Apart):
        return None


def _tried(entry: LossEntry, p: Params) -> list[tuple[Change, Tensor]]:
    every = ((change, _changed(entry, p, change, PROBE)) for change in changes(entry, p))
    return [(change, vector) for change, vector in every if vector is not None]


def bridges(
    key: str, others: Sequence[str], setting: Setting, said: Callable[[int, int], object] | None = None
) -> dict[str, Bridge | None]:
    """Key of each other loss -> the change of either that brings the two nearest; None where none halves the distance.

    All single changes are looked at on the batches of `PROBE`, and the best of each loss then on all of `GRID`.

    Args:
        key: of a registered loss that has a place.
        others: keys of others.
        setting: as for the map.
        said: told before each of the losses how many are done, and of how many.
    """
    tell = said or (lambda count, of: None)
    entries = {name: (LOSSES[name], settings(LOSSES[name], setting)) for name in (key, *others)}
    tell(0, len(entries))
    ours, us = _tried(*entries[key]), entries[key]
    probe, whole = (measure(*us, grid).vector for grid in (PROBE, GRID))
    found: dict[str, Bridge | None] = {}
    for count, name in enumerate(others, 1):
        tell(count, len(entries))
        them = entries[name]
        far, there = (measure(*them, grid).vector for grid in (PROBE, GRID))
        before = float(distances(whole[None], there[None]))
        best = []
        for (entry, p), tries, target, end in ((us, ours, far, there), (them, _tried(*them), probe, whole)):
            if not tries:
                continue
            change = min(tries, key=lambda each: float(distances(each[1][None], target[None])))[0]
            vector = _changed(entry, p, change, GRID)
            if vector is not None:
                best.append(Bridge(change, before, float(distances(vector[None], end[None]))))
        nearer = min(best, key=lambda bridge: bridge.after, default=None)
        found[name] = nearer if nearer is not None and before >= SAME and nearer.after <= before / 2 else None
    return found
