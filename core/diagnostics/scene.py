"""The margin scene: a mixed pair on the circle, how far it leads, how far it must, and whom that drives where.

Two pictures and their names stand on the circle; the first picture is mixed with the second. Everything is asked of the
registered mixing and the registered ranking loss: this module only places the points and reads off the answers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.diagnostics.forces import gradients
from core.diagnostics.verdicts import Verdict
from core.losses.ranking import Ranking
from core.losses.registry import LOSSES
from core.losses.scores import similarity
from core.mixing.dmm import DMM, MarginRule, draw_lam, mixed_margin
from core.mixing.options import FixedRule
from core.mixing.registry import MIXINGS, Known, Level, Plan
from core.params import Params
from core.streams import stream

STEP = 0.6
DRAWS = 2**16
FINE = 1001
AS_ASKED = 1e-4
CHOSEN = ("hard", "farthest", "same_class", "other_class", "bank")  # partners that depend on the embeddings or labels


@dataclass(frozen=True)
class Situation:
    """Degrees from the anchor out to its own name, from the anchor to its partner, from the partner out to its name."""

    own: float
    partner: float
    other: float = 12


SITUATIONS: Mapping[str, Situation] = {
    "apart": Situation(12, 75),
    "together": Situation(60, 110),
    "twins": Situation(12, 28),
}


@dataclass(frozen=True)
class Pair:
    """One pair: `lead` of its own name over the other one and the lead `asked`, in units of similarity.

    `near`: degrees round the picture within which the other name is too close, 0 to 180. `paid`: what it costs.
    """

    lead: float
    asked: float
    near: float
    paid: float


@dataclass(frozen=True)
class Stand:
    """Where all stand, in degrees anticlockwise from the right, and what the loss does.

    `angles`: of the anchor, its partner, the mixed picture, the own and the other name. `turns`: by how many degrees
    a descent step of length `STEP` on what the mixed pair pays turns the anchor, the partner and the two names.
    """

    angles: Mapping[str, float]
    clean: Pair
    mixed: Pair
    turns: Mapping[str, float]


def _places(s: Situation) -> dict[str, float]:
    """Angles; the middle between the two pictures is at the top."""
    anchor, partner = 90 + s.partner / 2, 90 - s.partner / 2
    return {"anchor": anchor, "partner": partner, "own": anchor + s.own, "other": partner - s.other}


def _points(degrees: Sequence[float]) -> Tensor:
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def _pictures_and_names(situation: Situation) -> tuple[Tensor, Tensor]:
    """(2, 2) pictures and (2, 2) names, the anchor's first."""
    at = _places(situation)
    return _points([at["anchor"], at["partner"]]), _points([at["own"], at["other"]])


def _pair(paid: Any, asked: float) -> Pair:
    """The first pair of a batch of two, searched for from its picture."""
    own, other = paid.pairs[0].scores[0].tolist()
    near = math.degrees(math.acos(max(-1.0, min(1.0, own - asked))))
    return Pair(own - other, asked, near, float(paid.terms["a_to_b"].per[0].detach()))


def stand(situation: Situation, lam: float, margin: float, rule: FixedRule) -> Stand:
    """The scene at one lambda.

    The gradients are those of what the first mixed picture pays for its row, [mu + s(x~, y') - s(x~, y)]_+, by autograd
    through the mixing and its renormalisation.

    Args:
        situation: where the pictures and their names stand.
        lam: share of the anchor, 0 to 1.
        margin: the margin m of the clean pair.
        rule: how the margin of the mixed pair follows lambda.
    """
    pictures, names = _pictures_and_names(situation)
    a, b = pictures.requires_grad_(), names.requires_grad_()
    p = DMM(margin=margin, rule=rule, law="fixed", fixed=lam, level="embedding")
    asks = Ranking(margin=margin)
    mixing, loss = MIXINGS.of(p).call(), LOSSES.of(asks)
    assert mixing is not None
    plan = mixing.plan(2, p, stream(0, "scene"), Known(margin=margin))
    mixed_picture = mixing.apply({"a": a, "b": b}, plan, p)["a"]
    clean = loss.call(a=a, b=b, p=asks)
    mixed = loss.call(a=mixed_picture, b=b, p=asks, margin=plan.margin)
    moved = [-g for g in gradients(mixed.terms["a_to_b"].per[0], a, b)]
    ahead = [torch.stack([-z[:, 1], z[:, 0]], dim=1) for z in (a.detach(), b.detach())]
    turned = torch.cat([(g * t).sum(1) for g, t in zip(moved, ahead, strict=True)]).mul(STEP).rad2deg().tolist()
    x, y = mixed_picture[0].tolist()
    return Stand(
        angles=_places(situation) | {"mixed": math.degrees(math.atan2(y, x)) % 360},
        clean=_pair(clean, margin),
        mixed=_pair(mixed, float(plan.margin[0])),
        turns=dict(zip(("anchor", "partner", "own", "other"), turned, strict=True)),
    )


def mixtures(two: Tensor, lam: Tensor, level: Level) -> Tensor:
    """(T, ...) the first of two things mixed with the second by the registered mixing, at every lambda (T,).

    Args:
        two: (2, ...) embeddings or inputs.
        lam: (T,) shares of the first.
        level: embeddings are renormalised, inputs are not.
    """
    p, n = DMM(level=level), len(lam)
    mixing = MIXINGS.of(p).call()
    assert mixing is not None
    plan = Plan(lam.repeat(2), torch.arange(2 * n).roll(n), torch.zeros(2 * n))
    return mixing.apply({"a": two.repeat_interleave(n, dim=0)}, plan, p)["a"][:n]


def leads(situation: Situation, lam: Tensor, margin: float, rule: FixedRule) -> tuple[Tensor, Tensor]:
    """(T,) lead of the mixed picture's own name over the partner's, and (T,) the lead asked, at every lambda (T,)."""
    pictures, names = _pictures_and_names(situation)
    scores = similarity(mixtures(pictures, lam, "embedding"), names)
    return scores[:, 0] - scores[:, 1], mixed_margin(rule, lam, margin)


def pull_region(situation: Situation, margin: float, rule: FixedRule, low: float = 0.5) -> tuple[float, float] | None:
    """Smallest and largest lambda from `low` to 1 at which the mixed pair leads by too little; None where none does."""
    lam = torch.linspace(low, 1, FINE, dtype=torch.float64)
    lead, asked = leads(situation, lam, margin, rule)
    pulled = lam[lead < asked]
    return (float(pulled[0]), float(pulled[-1])) if len(pulled) else None


def pulled_share(situation: Situation, margin: float, rule: FixedRule, law: DMM) -> float:
    """Share of `DRAWS` draws from the law of lambda that pull; standard error at most 0.2 %."""
    lam = draw_lam(DRAWS, law.model_copy(update={"per_sample": True}), stream(0, "scene", "law")).double()
    lead, asked = leads(situation, lam, margin, rule)
    return float((lead < asked).double().mean())


@dataclass(frozen=True)
class Drawn:
    """What was drawn for each of T steps: mean `lam`, mean, smallest and largest `margin` of the batch."""

    steps: tuple[int, ...]
    lam: tuple[float, ...]
    margin: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def draw_plans(p: Params, n: int, steps: int, seed: int, margin: float) -> Drawn:
    """The plans that a run would draw for its first steps, from the addresses that its trainer draws them from.

    Args:
        p: params of a registered mixing that mixes.
        n: items in a batch.
        steps: how many plans.
        seed: of the recipe.
        margin: the loss's own margin, used where the mixing has none.
    """
    mixing = MIXINGS.of(p).call()
    assert mixing is not None
    if getattr(p, "partner", "flip") in CHOSEN:  # lambda is drawn before the partner, who does not matter here
        p = p.model_copy(update={"partner": "flip"})
    plans, memory = [], {}
    for step in range(steps):
        plan = mixing.plan(n, p, stream(seed, "mixing", step), Known(margin=margin, step=step, memory=memory))
        memory = mixing.remember(memory, plan, {}, p)
        plans.append(plan)
    return Drawn(
        tuple(range(steps)),
        tuple(float(plan.lam.mean()) for plan in plans),
        tuple(float(plan.margin.mean()) for plan in plans),
        tuple(float(plan.margin.min()) for plan in plans),
        tuple(float(plan.margin.max()) for plan in plans),
    )


def recorded(rows: Sequence[Mapping[str, float]]) -> Drawn:
    """What a run's metrics say was drawn; rows without a mixing are left out."""
    mixed = [row for row in rows if "margin" in row]
    names = ("lam", "margin", "margin.low", "margin.high")
    return Drawn(
        tuple(int(row["step"]) for row in mixed), *(tuple(row.get(name, math.nan) for row in mixed) for name in names)
    )


def as_asked(drawn: Drawn, rule: MarginRule, margin: float) -> Verdict:
    """Whether the applied margins are what the rule asks at the drawn lambda, within `AS_ASKED`.

    Every fixed rule is linear in lambda, so the mean margin of a batch belongs to its mean lambda. A learned margin is
    what it has learned, and one that keeps all lambdas so far decays as it says.
    """
    if not drawn.steps:
        return Verdict("no draws", "info", "Nothing has been drawn yet.")
    if rule == "learned":
        share = drawn.margin[-1] / margin if margin else 0.0
        return Verdict("learned", "info", f"The rule is learned: the last step asked for {share:.2f} of m.")
    if rule == "released_decay":
        return Verdict("decays", "bad", "Every λ so far is kept in the margin: it only falls, whatever the loss needs.")
    asked = mixed_margin(rule, torch.tensor(drawn.lam, dtype=torch.float64), margin)
    off = (torch.tensor(drawn.margin, dtype=torch.float64) - asked).abs()
    if bool((off > AS_ASKED).any()):
        first = drawn.steps[int((off > AS_ASKED).int().argmax())]
        return Verdict(
            "not as asked", "bad", f"The margin departs from its rule, first at step {first}, by up to {off.max():.2f}."
        )
    if margin == 0:
        return Verdict("no margin", "watch", "The margin is 0: no lead is asked of anyone.")
    return Verdict("as asked", "ok", "Every step asked for what its rule says.")
