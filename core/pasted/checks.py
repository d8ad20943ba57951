"""What is asked of a pasted loss before it is shown or trained, each answer one sentence with its numbers."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.forces import motion
from core.diagnostics.synthetic import synthetic
from core.pasted.calls import Answer, Bounds, Fault, call
from core.pasted.source import Source
from core.streams import stream

State = Literal["ok", "watch", "bad"]
WORDS: Mapping[State, str] = {"ok": "sound", "watch": "remark", "bad": "refused"}
TITLES = {
    "runs": "Does it run on any batch?",
    "returns": "Does it return a loss?",
    "pure": "Does it only compute?",
    "finite": "Is every number finite?",
    "differentiable": "Can it be learned from?",
    "order": "Does the order of the batch matter?",
    "start": "Whom does it move at the start?",
    "perfect": "What does it do to pairs that lie together?",
    "collapse": "Can it leave a collapse?",
    "speed": "How long does a step take?",
}
OF_FAULT = {
    "raised": "runs",
    "gone": "runs",
    "late": "speed",
    "memory": "speed",
    "returned": "returns",
    "shape": "returns",
}
N, D, LARGE = 24, 16, (256, 64)
SIZES = ((2, 3), (7, 5))
SAME, SLOPE, STEP, SLIGHT, HALF, SLOW, NEARLY = 1e-9, 1e-4, 1e-6, 0.02, 0.5, 0.05, 0.05
TRIES = 3
LINE_ENDS = "look for .item(), .detach(), torch.no_grad, argmax or a rounding"


@dataclass(frozen=True)
class Check:
    """One question: sound, a remark that leaves the choice to the user, or the reason why the loss is refused."""

    key: str
    state: State
    sentence: str

    @property
    def word(self) -> str:
        return WORDS[self.state]

    @property
    def title(self) -> str:
        return TITLES[self.key]


def _sound(key: str, sentence: str) -> Check:
    return Check(key, "ok", sentence)


def _remark(key: str, sentence: str) -> Check:
    return Check(key, "watch", sentence)


def _bad(key: str, sentence: str) -> Check:
    return Check(key, "bad", sentence)


def accepted(checks: tuple[Check, ...]) -> bool:
    return all(check.state != "bad" for check in checks)


def headline(checks: tuple[Check, ...]) -> str:
    """What became of a loss, in one sentence."""
    bad, watch = (sum(check.state == state for check in checks) for state in ("bad", "watch"))
    if bad:
        return f"Refused: {bad} of {len(checks)} checks found a fault."
    said = f" {watch} of them with a remark." if watch else ""
    return f"Accepted: it passed {len(checks)} checks.{said}"


@dataclass(frozen=True)
class Seen:
    """What the loss makes of unit embeddings: an answer, and the gradient at both sides, (B, D) each."""

    answer: Answer
    a: Tensor
    b: Tensor
    of_a: Tensor
    of_b: Tensor

    @property
    def value(self) -> float:
        return float(self.answer.paid.mean())

    @property
    def motion(self) -> Tensor:
        """(B, B) change of every cosine for each unit of one small descent step."""
        a, b = self.a.clone().requires_grad_(), self.b.clone().requires_grad_()
        return motion(a, b, (a * self.of_a + b * self.of_b).sum())

    @property
    def moves(self) -> tuple[float, float]:
        """Mean change of the cosines of positives, and of negatives."""
        change = self.motion
        positive = torch.eye(len(change), dtype=torch.bool)
        return float(change[positive].mean()), float(change[~positive].mean())

    @property
    def spreads(self) -> float:
        """Share by which the spread of all embeddings, their mean squared distance from their middle, grows."""
        z, g = torch.cat([self.a, self.b]), torch.cat([self.of_a, self.of_b])
        g, out = g - (g * z).sum(1, keepdim=True) * z, z - z.mean(0)
        return -2 * float((out * g).sum()) / float(out.square().sum())


def given(source: Source, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """What the function takes, of unit embeddings (B, D)."""
    return {"scores": a @ b.T} if source.form == "scores" else {"a": a, "b": b}


def seen(source: Source, a: Tensor, b: Tensor, bounds: Bounds) -> Seen:
    """Value and gradient at these embeddings."""
    inputs = given(source, a, b)
    paid = call(source, inputs, None, bounds).paid
    answer = call(source, inputs, torch.full_like(paid, 1 / max(1, paid.numel())), bounds)
    if source.form == "scores":
        force = answer.slopes.get("scores", torch.zeros_like(inputs["scores"]))
        return Seen(answer, a, b, force @ b, force.T @ a)
    return Seen(answer, a, b, *(answer.slopes.get(name, torch.zeros_like(x)) for name, x in inputs.items()))


def unrelated(n: int = N, dim: int = D) -> tuple[Tensor, Tensor]:
    """Pairs as an untrained encoder has them: a positive is as far as any stranger."""
    made = synthetic(n, dim, 0, 0.3, stream(0, "pasted", "unrelated"))
    return made.a, made.b


def close() -> tuple[Tensor, Tensor]:
    """Pairs at a cosine of .95, in random directions."""
    made = synthetic(N, D, 0.95, 0, stream(0, "pasted", "close"))
    return made.a, made.b


def perfect() -> tuple[Tensor, Tensor]:
    """Every pair in one place, and all pairs at right angles."""
    one = torch.eye(D, dtype=torch.float64)
    return one, one.clone()


def collapsed(width: float) -> tuple[Tensor, Tensor]:
    """All embeddings in one place, or related pairs drawn together to `width` of their spread."""
    middle = F.one_hot(torch.zeros(N).long(), D).double()
    made = synthetic(N, D, 0.5, 0, stream(0, "pasted", "collapsed"))
    a, b = (F.normalize(middle + width * x, dim=1) for x in (made.a, made.b))
    return a, b


PLACES: Mapping[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "at random embeddings": unrelated,
    "at the perfect embedding, each pair in one place": perfect,
    "at collapse, everything in one place": lambda: collapsed(0),
}


def checked(source: Source, bounds: Bounds | None = None) -> tuple[Check, ...]:
    """Every check, in order; where the first ones find a fault, the others are not asked."""
    bounds = bounds or Bounds()
    done: list[Check] = []
    for step in (_runs, _returns_and_pure, _finite, _learnable, _rest):
        try:
            done += step(source, bounds)
        except Fault as error:
            done.append(Check(OF_FAULT[error.kind], "bad", str(error)))
        if not accepted(tuple(done)):
            break
    return tuple(done)


def _runs(source: Source, bounds: Bounds) -> Iterator[Check]:
    call(source, given(source, *unrelated()), None, bounds)
    for n, dim in SIZES:
        call(source, given(source, *unrelated(n, dim)), None, bounds)
    sizes = " and ".join(str(n) for n, _ in SIZES)
    takes = "the scores of all pairs" if source.form == "scores" else "both embeddings"
    yield _sound("runs", f"It takes {takes} and ran for {N}, {sizes} pairs.")


def _returns_and_pure(source: Source, bounds: Bounds) -> Iterator[Check]:
    found = seen(source, *unrelated(), bounds)
    each = "one number for each pair" if found.answer.paid.ndim else "one number"
    yield _sound("returns", f"It returns {each}; {N} unrelated pairs pay {found.value:.3g}.")
    again = call(source, given(source, *unrelated()), None, bounds).paid
    if found.answer.changed:
        changed = " and ".join(found.answer.changed)
        yield _bad("pure", f"It changes {changed} in place; expected its inputs as they were: compute a new tensor")
    elif found.answer.drew:
        yield _bad(
            "pure",
            "It draws random numbers, so that no step could be replayed; expected the same value for the "
            "same batch: leave them out",
        )
    elif not torch.equal(again.nan_to_num(), found.answer.paid.nan_to_num()):
        yield _bad(
            "pure",
            f"The same batch pays {found.value:.3g} and then {float(again.mean()):.3g}; expected one value: "
            "let it remember nothing",
        )
    else:
        yield _sound("pure", "The same batch pays the same, its inputs stay as they are, and nothing is drawn.")


def _finite(source: Source, bounds: Bounds) -> Iterator[Check]:
    for where, place in PLACES.items():
        found = seen(source, *place(), bounds)
        if not math.isfinite(found.value):
            yield _bad(
                "finite",
                f"It pays {found.value} {where}; expected a number everywhere: look for a division by "
                "0, a log of 0, or an exp without logsumexp",
            )
            return
        slope = torch.cat([found.of_a, found.of_b]).flatten()
        lost = int((~torch.isfinite(slope)).sum())
        if lost:
            yield _bad(
                "finite",
                f"Its gradient is not finite {where}, in {lost} of {len(slope)} numbers, though it pays "
                f"{found.value:.3g}; expected a slope everywhere: a root or norm of 0 has none, add a little inside",
            )
            return
    yield _sound("finite", "Value and gradient are finite at random, perfect and collapsed embeddings.")


def _learnable(source: Source, bounds: Bounds) -> Iterator[Check]:
    yield _differentiable(source, seen(source, *unrelated(), bounds), bounds)


def _rest(source: Source, bounds: Bounds) -> Iterator[Check]:
    start = seen(source, *unrelated(), bounds)
    yield _order(source, start, bounds)
    yield _start(start)
    scale = max(abs(start.moves[0]), abs(start.moves[1]))
    yield _perfect(seen(source, *close(), bounds), scale)
    yield _collapse(seen(source, *collapsed(NEARLY), bounds), scale)
    yield _speed(source, bounds)


def _differentiable(source: Source, start: Seen, bounds: Bounds) -> Check:
    inputs = given(source, start.a, start.b)
    without = [name for name in inputs if name not in start.answer.slopes]
    if len(without) == len(inputs):
        return _bad("differentiable", f"No gradient reaches {' or '.join(without)}; expected one: {LINE_ENDS}")
    if without:
        return _bad(
            "differentiable",
            f"No gradient reaches {without[0]}, so that side is never moved; expected both to learn: {LINE_ENDS}",
        )
    worst = max((_slope_beside(source, inputs, start.answer, k, bounds) for k in range(TRIES)), key=lambda p: p[2])
    if worst[2] > SLOPE:
        return _remark(
            "differentiable",
            f"Along a random direction it changes by {worst[0]:.3g}, and its gradient says "
            f"{worst[1]:.3g}: a part of it is detached, or it has an edge there. As you like it, if you mean to hold "
            "that part fixed.",
        )
    return _sound(
        "differentiable",
        f"Its gradient is the slope of its value along {TRIES} random directions, off by at most {worst[2]:.0e} of it.",
    )


def _slope_beside(
    source: Source, inputs: Mapping[str, Tensor], answer: Answer, draw: int, bounds: Bounds
) -> tuple[float, float, float]:
    """Slope of the value along a random direction, slope by the gradient, and their difference over the larger."""
    ways = {
        name: F.normalize(
            torch.randn(x.shape, generator=stream(0, "pasted", name, draw), dtype=x.dtype).flatten(), dim=0
        )
        for name, x in inputs.items()
    }
    ends = []
    for side in (STEP, -STEP):
        moved = {name: x + side * ways[name].reshape(x.shape) for name, x in inputs.items()}
        ends.append(float(call(source, moved, None, bounds).paid.mean()))
    by_value = (ends[0] - ends[1]) / (2 * STEP)
    by_gradient = sum(float((answer.slopes[name].flatten() * way).sum()) for name, way in ways.items())
    size = math.sqrt(sum(float(g.square().sum()) for g in answer.slopes.values()))
    return by_value, by_gradient, abs(by_value - by_gradient) / max(abs(by_value), abs(by_gradient), size / N, 1e-12)


def _order(source: Source, start: Seen, bounds: Bounds) -> Check:
    order = torch.randperm(N, generator=stream(0, "pasted", "order"))
    paid, turned = start.answer.paid, call(source, given(source, start.a[order], start.b[order]), None, bounds).paid
    off = float((turned - (paid[order] if paid.ndim else paid)).abs().max())
    if off > SAME * max(1.0, float(paid.abs().max())):
        return _bad(
            "order",
            f"The same pairs in another order pay {float(turned.mean()):.6g} instead of {start.value:.6g}, "
            f"off by {off:.2g} at most; expected no difference: treat every pair alike",
        )
    return _sound("order", "The same pairs in another order pay the same.")


def _start(start: Seen) -> Check:
    near, far = start.moves
    told = f"In a small step the cosines of positives change by {near:+.2g}, of negatives by {far:+.2g}"
    if float(start.motion.abs().max()) == 0:
        return _bad(
            "start",
            "Nobody moves at random embeddings, so that training could not begin; expected a force: look "
            "for a constant, or a hinge that is never reached",
        )
    if near <= 0:
        return _bad("start", f"It pushes positives apart. {told}; expected them to come closer: turn its sign")
    if far > HALF * near:
        return _bad(
            "start",
            f"It pulls strangers as it pulls partners. {told}; expected a difference: let positives, on "
            "the diagonal, count otherwise than the rest",
        )
    return _sound("start", f"It brings positives together and not strangers. {told}.")


def _perfect(found: Seen, scale: float) -> Check:
    near, far = found.moves
    told = f"cosines of .95 change by {near:+.2g} in a small step, of their negatives by {far:+.2g}"
    if near < -SLIGHT * scale:
        return _remark("perfect", f"It pushes pairs apart that lie together: {told}. They would not stay so.")
    if max(abs(near), abs(far)) <= SAME * scale:
        return _sound("perfect", "Close pairs are at rest: nothing is paid for them any more.")
    return _sound("perfect", f"Close pairs hold: {told}.")


def _collapse(found: Seen, scale: float) -> Check:
    grows = found.spreads
    told = f"Near full collapse a small step changes the spread of all embeddings by {grows:+.2g} of it"
    if grows <= SAME * scale:
        return _remark("collapse", f"{told}: it would not leave a collapse.")
    return _sound("collapse", f"{told}: they come apart, so that it can leave a collapse.")


def _speed(source: Source, bounds: Bounds) -> Check:
    n, dim = LARGE
    a, b = (x.float() for x in unrelated(n, dim))
    spans = []
    for _ in range(TRIES):
        begun = time.perf_counter()
        seen(source, a, b, bounds)
        spans.append(time.perf_counter() - begun)
    best = min(spans)
    told = f"{n} pairs of {dim} dimensions take {1000 * best:.0f} ms, value and gradient"
    if best > SLOW:
        return _remark("speed", f"{told}: 500 such steps take {500 * best:.0f} s.")
    return _sound("speed", f"{told}.")
