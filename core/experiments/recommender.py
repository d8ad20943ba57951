"""Recommending by distance: users and items in one unit ball, trained on likes, with or without DMM.

Collaborative metric learning (Hsieh et al. 2017) and BPR (Rendle et al. 2009) as the released experiment of DMM has
them, repaired; its departures are settings of the losses and mixings, not of this trainer.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from core.data.ratings import LIKED, Parts, Ratings, parts, read
from core.experiments.measures import CHECK, Alive, Diverged
from core.losses.registry import LOSSES
from core.mixing.registry import MIXINGS, Known, Step
from core.mixing.targets import weighted
from core.optimisers import Adam
from core.paid import Paid, joined
from core.params import Params
from core.streams import stream

REDRAWS = 8

if TYPE_CHECKING:
    RankingLoss = AnyMixing = Any
else:
    RankingLoss = LOSSES.union(lambda entry: entry.key in ("triplet", "bpr"))
    AnyMixing = MIXINGS.union()


class Recommending(Params):
    """What a training of the recommender is made of."""

    ratings: str = Field("", title="Ratings", description="The file of ratings.")
    split: Literal["random", "time"] = Field("random", title="Split", description="Of the ratings.")
    loss: RankingLoss = LOSSES["triplet"].params()
    mixing: AnyMixing = MIXINGS["none"].params()
    dim: int = Field(32, ge=2, le=256, title="Dimensions", description="Of the ball that users and items live in.")
    negatives: int = Field(10, ge=1, le=500, title="Negatives", description="Drawn for each like, never a like itself.")
    batch: int = Field(256, ge=2, le=4096, title="Batch", description="Likes in a step.")
    lr: float = Field(5e-3, gt=0, le=1, title="Learning rate", description="Of Adam.")
    steps: int = Field(2000, ge=1, le=100_000, title="Steps", description="How long to train.")
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Weights, batches and every other draw.")


@dataclass(frozen=True)
class Likes:
    """Ratings split, and who likes what in training.

    `liked` (U, I) bool: train ratings of `LIKED` or more. `pairs` (n, 2) int64: the same as pairs of user and item.
    """

    ratings: Ratings
    split: Parts
    liked: Tensor
    pairs: Tensor

    def table(self, part: Tensor, least: float = -torch.inf) -> Tensor:
        """(U, I) bool: which items a user has rated `least` or more within `part` (R,) bool."""
        kept = part & (self.ratings.value >= least)
        seen = torch.zeros(self.ratings.users, self.ratings.items, dtype=torch.bool)
        seen[self.ratings.user[kept], self.ratings.item[kept]] = True
        return seen


def likes(p: Recommending) -> Likes:
    """The likes that a recipe trains on."""
    ratings = read(p.ratings)
    split = parts(ratings, p.split)
    kept = split.train & (ratings.value >= LIKED)
    pairs = torch.stack([ratings.user[kept], ratings.item[kept]], dim=1)
    liked = torch.zeros(ratings.users, ratings.items, dtype=torch.bool)
    liked[pairs[:, 0], pairs[:, 1]] = True
    return Likes(ratings, split, liked, pairs)


def _first_rows(count: int, dim: int, g: torch.Generator) -> Tensor:
    return (torch.randn(count, dim, generator=g) / dim**0.5).renorm(2, 0, 1)


class Ball(nn.Module):
    """Users (U, D) and items (I, D), every row of length at most 1; the first weights depend on the seed alone."""

    def __init__(self, users: int, items: int, p: Recommending) -> None:
        super().__init__()
        self.users, self.items = (
            nn.Parameter(_first_rows(count, p.dim, stream(p.seed, "weights", name)))
            for name, count in (("users", users), ("items", items))
        )

    @torch.no_grad()
    def project(self) -> None:
        """Bring every row that left the ball back to its surface."""
        for rows in self.parameters():
            rows.copy_(rows.renorm(2, 0, 1))

    @torch.no_grad()
    def scores(self) -> Tensor:
        """(U, I) minus the distance of user and item: the released ranking, whatever the loss was."""
        return -torch.cdist(self.users, self.items)


def draw_negatives(user: Tensor, liked: Tensor, k: int, g: torch.Generator) -> Tensor:
    """(n, k) items drawn evenly, none of which the user (n,) likes in training, as far as redrawing goes.

    Whoever likes nearly everything keeps a like among them after a few redraws.
    """
    shape = (len(user), k)
    drawn = torch.randint(liked.shape[1], shape, generator=g)
    for _ in range(REDRAWS):
        again = liked[user[:, None], drawn]
        drawn = torch.where(again, torch.randint(liked.shape[1], shape, generator=g), drawn)
    return drawn


class Fit:
    """One training: the ball, Adam, and the step."""

    def __init__(self, p: Recommending, data: Likes) -> None:
        self.p, self.data, self.step = p, data, 0
        self.ball = Ball(data.ratings.users, data.ratings.items, p)
        self.optimiser = Adam(self.ball.parameters(), lr=p.lr)
        self.mixing = MIXINGS.of(p.mixing).call()
        self.memory: dict[str, Tensor] = {}
        self.epoch_steps = max(1, len(data.pairs) // p.batch)
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """User (n,), liked item (n,) and negatives (n, K) of the present step."""
        epoch, place = divmod(self.step, self.epoch_steps)
        if epoch != self._epoch:
            order = torch.randperm(len(self.data.pairs), generator=stream(self.p.seed, "batches", epoch))
            self._epoch, self._order = epoch, order
        pairs = self.data.pairs[self._order[place * self.p.batch : (place + 1) * self.p.batch]]
        g = stream(self.p.seed, "negatives", self.step)
        return pairs[:, 0], pairs[:, 1], draw_negatives(pairs[:, 0], self.data.liked, self.p.negatives, g)

    def payment(self) -> Paid:
        """What the batch of the present step pays, with its graph."""
        user, item, negative = self.batch()
        u, v, n = self.ball.users[user], self.ball.items[item], self.ball.items[negative]
        clean = pay(self.p, u, v, n)
        if self.mixing is None:
            return clean
        mixed = self.mix(u, v, n)
        clock = Step(self.step, self.step // self.epoch_steps)
        return self.mixing.combine(clean, mixed, clock, self.p.mixing)

    def mix(self, u: Tensor, v: Tensor, n: Tensor) -> Paid:
        """What the mixed users, or the mixed negatives, pay; also at weight 0, so that draws and memory go on alike."""
        p, mixing = self.p.mixing, self.mixing
        assert mixing is not None
        g = stream(self.p.seed, "mixing", self.step)
        own = float(self.p.loss.margin)
        plan = mixing.plan(len(u), p, g, Known(margin=own, z=u.detach(), step=self.step, memory=self.memory))
        self.memory = mixing.remember(self.memory, plan, {"a": u}, p)
        made = mixing.apply({"a": u, "b": v, "negatives": n}, plan, p)
        paid = pay(self.p, made["a"], made["b"], made["negatives"], plan.margin)
        if plan.partner_margin is None:
            return paid
        theirs = pay(self.p, made["a"], v[plan.partner], n[plan.partner], plan.partner_margin)
        return joined([("own", weighted(paid, plan.lam)), ("partner", weighted(theirs, 1 - plan.lam))])

    def advance(self) -> None:
        """Take the present step."""
        self.optimiser.zero_grad(set_to_none=True)
        self.payment().total().backward()
        self.optimiser.step()
        self.ball.project()
        self.step += 1


def pay(p: Recommending, u: Tensor, v: Tensor, n: Tensor, margin: Tensor | None = None) -> Paid:
    """What the loss asks of users (n, D), their likes (n, D) and their negatives (n, K, D)."""
    return LOSSES.of(p.loss).call(a=u, b=v, p=p.loss, negatives=n, margin=margin)


def fit(p: Recommending, data: Likes, alive: Alive) -> Ball:
    """Train to the last step.

    Raises:
        Diverged: if a weight is not finite.
    """
    training = Fit(p, data)
    for step in itertools.count():
        if step == p.steps:
            break
        if step % CHECK == 0:
            alive()
        training.advance()
    if not all(bool(torch.isfinite(rows).all()) for rows in training.ball.parameters()):
        raise Diverged(f"the weights are not finite after {p.steps} steps")
    return training.ball
