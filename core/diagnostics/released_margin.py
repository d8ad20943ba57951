"""The margin that is really applied, call by call: drawn anew as in the paper, or multiplied in place as released.

The released recommender losses say `margin *= lam` on every call, so the margin only ever shrinks; and one of them
subtracts shapes that torch spreads out to a table of every user against every user. Both faults are rebuilt here, with
words and code of our own, so that they can be seen beside their repair.
"""

import math
import random
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from core.diagnostics.registry import diagnostic
from core.diagnostics.verdicts import Verdict

Form = Literal["min", "sum"]
Applied = Literal["paper", "released"]
EPOCH = 256
GONE = 1e-9  # a margin below it is none
FALL_PER_CALL = {"min": math.log(0.5) - 1, "sum": -1.0}  # E[log lam] for U(0, ½) and U(0, 1)


@dataclass(frozen=True)
class Course:
    """`lam` and `margin` of each call, the first call first; `margin` after it was multiplied."""

    lam: tuple[float, ...]
    margin: tuple[float, ...]

    def first_below(self, level: float) -> int | None:
        """Number of the first call, from 1, whose margin is below the level; None where there is none."""
        return next((k for k, m in enumerate(self.margin, 1) if m < level), None)

    def first_zero(self) -> int | None:
        """Number of the first call, from 1, whose margin is exactly 0."""
        return next((k for k, m in enumerate(self.margin, 1) if m == 0), None)


def _draw(rng: random.Random, applied: Applied, form: Form) -> float:
    """First uniform number that the law lets through, drawn as the released code draws it."""
    while True:
        lam = rng.random()
        if (applied == "paper" and lam >= 0.5) or (applied == "released" and (form == "sum" or lam <= 0.5)):
            return lam


@diagnostic(
    "released_margin",
    title="Margin applied, call by call",
    source="So et al. 2023 for the rule; the released recommender losses for the fault",
    origin="code",
    values="lam m in the paper's form; as released, from m down to exactly 0",
    chance="m itself, which a plain hinge keeps",
)
def margin_course(applied: Applied, form: Form, margin: float, calls: int, seed: int = 0) -> Course:
    """The margin of each call of the mixed loss.

    Paper: lam ~ U(½, 1), margin lam m. Released: lam ~ U(0, ½] (Min) or U(0, 1) (Sum), and the margin keeps every
    factor. Python's own generator draws, as in the released code, so that its numbers come out.

    Args:
        applied: the rule.
        form: which of the two released losses; the paper's rule is the same for both.
        margin: m at the start.
        calls: how many.
        seed: of Python's generator.
    """
    rng, left, lams, margins = random.Random(seed), margin, [], []
    for _ in range(calls):
        lam = _draw(rng, applied, form)
        left *= lam
        lams.append(lam)
        margins.append(lam * margin if applied == "paper" else left)
    return Course(tuple(lams), tuple(margins))


@diagnostic(
    "margin_left",
    title="Margin left when it counts",
    source="the margin after the first epoch, in which the mixed loss still weighs 0",
    origin="designed",
    values="as asked, falling, gone too soon",
    chance="as asked",
)
def margin_left(found: Course, applied: Applied) -> Verdict:
    """Whether there is a margin left once the mixed loss counts.

    Args:
        found: at least one call.
        applied: the rule that made it.
    """
    if applied == "paper":
        return Verdict("as asked", "ok", "Every call asks for λm.")
    after = found.margin[min(EPOCH, len(found.margin)) - 1]
    text = f"After {EPOCH} calls, when the mixed loss begins to count, the margin is {after:.1g}."
    return Verdict("gone too soon", "bad", text) if after < GONE else Verdict("falling", "watch", text)


@dataclass(frozen=True)
class Users:
    """`own` (N,) distance of each user to its item, `nearest` (N,) to the nearest of its negatives."""

    own: Tensor
    nearest: Tensor


def users(n: int, separation: float, g: Generator, *, dim: int = 16, negatives: int = 10) -> Users:
    """Made-up users in neighbourhoods of different width: the item of each inside, its negatives at the rim.

    Args:
        n: users.
        separation: 0 puts the items at the rim too, 1 on the users.
        g: a CPU generator.
        dim: dimensions.
        negatives: per user.
    """
    u = F.normalize(torch.randn(n, dim, generator=g, dtype=torch.float64), dim=1)
    aside = F.normalize(torch.randn(n, 1 + negatives, dim, generator=g, dtype=torch.float64), dim=2)
    width = 0.3 + 0.7 * torch.rand(n, 1, generator=g, dtype=torch.float64)
    rim = 1 + torch.rand(n, 1 + negatives, generator=g, dtype=torch.float64) / 2
    rim[:, 0] = 1 - separation
    distance = (u[:, None] - (u[:, None] + (width * rim)[..., None] * aside)).norm(dim=2)
    return Users(distance[:, 0], distance[:, 1:].amin(1))


@diagnostic(
    "broadcast_hinge",
    title="Hinge of each user, or of every two",
    source="the released Min loss, whose shapes (N, 1, 1) and (N, 1) torch spreads to (N, N)",
    origin="code",
    values="0 upwards; entry (a, b) holds user a's item against user b's nearest negative",
    chance="none: it is a property of the distances",
)
def broadcast_hinge(found: Users, margin: float) -> Tensor:
    """(N, N) hinges [m + d(u_a, item_a) - min_k d(u_b, negative_bk)]_+; the diagonal is what each user should pay.

    Args:
        found: distances of N users.
        margin: the margin m.
    """
    return torch.relu(margin + found.own[:, None] - found.nearest[None, :])


def without_gradient(hinge: Tensor, released: bool) -> float:
    """Share of the users who pay nothing and so learn nothing, out of the table of `broadcast_hinge`.

    As released a user learns through its whole row and its whole column; repaired, through its own entry alone.
    """
    paid = hinge > 0
    learns = paid.any(0) | paid.any(1) if released else paid.diagonal()
    return float((~learns).double().mean())
