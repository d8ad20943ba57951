"""What a loss pays, and how hard it pulls and pushes, while one positive and one negative of the batch are moved."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.loss_lens import Lens, Sample, Side, cosines, each_pays, lens, motions, moving, pay, sample, sides
from core.losses.registry import LOSSES
from core.paid import Role
from core.vocabulary import VOCABULARY

EDGE, POINTS, CELLS, MANY = 0.995, 33, 11, 10_000
SCORES, SAME = "candidate_scores", 1e-9


def turning(u: Tensor, old: Tensor, similarity: float) -> Callable[[Tensor], Tensor]:
    """The rotation in the plane of `u` and `old` that brings `old` (D,) to a cosine with `u` (D,): rows -> rows."""
    u, length = F.normalize(u, dim=0), old.norm()
    aside = old - (old @ u) * u
    if float(aside.norm()) < 1e-9 * float(length):
        aside = F.one_hot(u.abs().argmin(), len(u)).to(u.dtype)
        aside = aside - (aside @ u) * u
    w = F.normalize(aside, dim=0)
    angle = torch.acos(torch.tensor(similarity, dtype=u.dtype)) - torch.atan2(old @ w, old @ u)
    cos, sin = torch.cos(angle), torch.sin(angle)

    def rotate(x: Tensor) -> Tensor:
        along, across = (x @ u)[..., None], (x @ w)[..., None]
        return x + (cos - 1) * (along * u + across * w) + sin * (along * w - across * u)

    return rotate


def _rows_of_items(given: Mapping[str, Tensor]) -> list[str]:
    """Inputs that hold an embedding of each item along their last dimension but one."""
    return [
        name
        for name in given
        if VOCABULARY[name].meaning.startswith("embedding") and VOCABULARY[name].shape.split()[-2:] == ["B", "D"]
    ]


@dataclass(frozen=True)
class Path:
    """One anchor, its positive and its hardest negative, by their rows, in a batch whose other items stand still.

    `away`: where the negative's row `other` is; another item's, or one of the bank or of the anchor's own negatives.
    `column`: which of the loss's own tables holds the two, and in which columns; None where none does, so that the
    motion is read instead of the force. `scores`: how many the loss looks at. `pair` is None where the scores
    themselves are handed in and moved; then the rows are numbers of the candidates of the query `anchor`.
    """

    p: Any
    s: Sample
    given: Mapping[str, Tensor]
    pair: tuple[Side, Side] | None
    anchor: int
    positive: int
    other: int
    positive_at: float
    at: float
    column: tuple[int, int, int] | None
    scores: int
    away: Side | None = None

    @property
    def large(self) -> bool:
        """Whether the loss looks at so many scores that fewer places have to do."""
        return self.scores > MANY

    @property
    def kind(self) -> Literal["force", "motion"]:
        return "motion" if self.column is None else "force"

    @property
    def ends(self) -> tuple[float, float]:
        """The places between which the two are moved: nearly all cosines, or a little more than the query's scores."""
        if self.pair is not None:
            return -EDGE, EDGE
        row = self.given[SCORES][self.anchor]
        return math.floor(float(row.min())) - 1.0, math.ceil(float(row.max())) + 1.0

    def moved(self, positive: float | None = None, negative: float | None = None) -> dict[str, Tensor]:
        """The inputs with the positive, the negative or both at another cosine with the anchor.

        The negative's item is turned as a whole, with all its embeddings; of the positive only the row that is looked
        at, except where it is another item, which is turned as a whole too.
        """
        if self.pair is None:
            scores = self.given[SCORES].clone()
            for column, score in ((self.positive, positive), (self.other, negative)):
                if score is not None:
                    scores[self.anchor, column] = score
            return dict(self.given) | {SCORES: scores}
        given = {
            name: value.clone() if name in _rows_of_items(self.given) else value for name, value in self.given.items()
        }
        x, y = self.pair
        u = x.of(self.given)[self.anchor]
        away = self.away or y
        moves = ((y, self.positive, positive, x == y), (away, self.other, negative, away == y))
        for side, row, similarity, whole in moves:
            if similarity is None:
                continue
            rotate = turning(u, side.of(self.given)[row], similarity)
            if whole:
                for name in _rows_of_items(given):
                    given[name][..., row, :] = rotate(given[name][..., row, :])
            else:
                place = (row,) if side.part is None else (side.part, row)
                given[side.name] = given[side.name].index_put(
                    tuple(map(torch.tensor, place)), rotate(given[side.name][place])
                )
        return given

    def pull_and_push(self, given: Mapping[str, Tensor]) -> tuple[float, float]:
        """-dL/ds of the positive and dL/ds of the negative, or how fast the one comes near and the other goes away."""
        inputs = moving(given)
        paid = pay(self.p, inputs, self.s.seed)
        if self.pair is None:
            (force,) = torch.autograd.grad(paid.total(), [inputs[SCORES]])
            return -float(force[self.anchor, self.positive]), float(force[self.anchor, self.other])
        if self.column is None:
            change = motions(inputs, paid.total(), self.pair)
            return float(change[self.anchor, self.positive]), -float(change[self.anchor, self.other])
        table, near, far = self.column
        scores = [pairs.scores for pairs in paid.pairs if pairs.scores.requires_grad][table]
        (force,) = torch.autograd.grad(paid.total(), [scores], allow_unused=True)
        if force is None:
            return 0.0, 0.0
        return -float(force[self.anchor, near]), float(force[self.anchor, far])

    def price(self, given: Mapping[str, Tensor]) -> float:
        """What the anchor pays, or the whole batch where the loss is not paid by anchors."""
        with torch.no_grad():
            paid = pay(self.p, given, self.s.seed)
            each = each_pays(paid)
            return float(paid.total() if each is None or len(each) <= self.anchor else each[self.anchor])


FORMS: tuple[Callable[[float], float], ...] = (
    lambda cosine: cosine,
    lambda cosine: -math.sqrt(max(2 - 2 * cosine, 0)),
    lambda cosine: 2 * cosine - 2,
)


def _column(seen: Lens, anchor: int, cosine: tuple[float, float]) -> tuple[int, int, int] | None:
    """The first table whose row of the anchor holds both cosines, or minus the distances, plain or squared.

    The positive has to be one there, and the negative another kind of candidate.
    """
    for table, layer in enumerate(seen.layers):
        if layer.kind != "force" or len(layer.scores) <= anchor:
            continue
        row, role = layer.scores[anchor], layer.role[anchor]
        for form in FORMS:
            near, far = (
                ((row - form(each)).abs() < SAME) & right
                for each, right in zip(cosine, (role == Role.POSITIVE, role >= Role.NEGATIVE), strict=True)
            )
            if bool(near.any()) and bool(far.any()):
                return table, int(near.nonzero()[0]), int(far.nonzero()[0])
    return None


def path(p: Any, s: Sample, anchor: int = 0) -> Path | None:
    """The path of an anchor, its positive and its hardest negative; None where a loss has no such.

    Args:
        p: params of a registered loss.
        s: the batch.
        anchor: row of the anchor.
    """
    given = sample(p, s)
    if SCORES in given:
        row = given[SCORES][anchor]
        other = 1 + int(row[1:].argmax())
        return Path(p, s, given, None, anchor, 0, other, float(row[0]), float(row[other]), (0, 0, other), row.numel())
    pair = sides(given)
    if pair is None or not {side.name for side in pair} <= set(_rows_of_items(given)):
        return None
    x, y = (side.of(given) for side in pair)
    scores = cosines(x[anchor : anchor + 1], y)[0]
    own = torch.arange(len(y), device=y.device) == anchor
    same, positive = own, anchor
    if "labels" in LOSSES.of(p).needed:
        same = same | (given["labels"] == given["labels"][anchor])
    if pair[0] == pair[1]:
        others = same & ~own
        if not bool(others.any()):
            return None
        positive = int(others.nonzero()[0])
    seen = lens(p, s, given)
    count = sum(layer.scores.numel() for layer in seen.layers)
    at, tries = float(scores[positive]), [(pair[1], scores.masked_fill(same, -torch.inf))]
    for side in (Side("bank"), Side("negatives", anchor)):
        if side.name in given:
            tries.append((side, cosines(x[anchor : anchor + 1], side.of(given))[0]))
    for away, row in tries:
        other = int(row.argmax())
        column = _column(seen, anchor, (at, float(row[other])))
        if column is not None:
            return Path(p, s, given, pair, anchor, positive, other, at, float(row[other]), column, count, away)
    other = int(tries[0][1].argmax())
    return Path(p, s, given, pair, anchor, positive, other, at, float(scores[other]), None, count, pair[1])


@dataclass(frozen=True)
class Along:
    """Pull on the positive and push on the negative while the negative moves: (T,) each."""

    similarity: Tensor
    pull: Tensor
    push: Tensor


def along(road: Path) -> Along:
    """The negative from far to near, through where it stands, everything else where it is."""
    points = POINTS * 2 // 3 if road.large else POINTS
    low, high = road.ends
    even = torch.linspace(low, high, points, dtype=torch.float64)
    at = torch.cat([even, torch.tensor([road.at], dtype=torch.float64)]).clamp(low, high).unique()
    found = [road.pull_and_push(road.moved(negative=s)) for s in at.tolist()]
    pull, push = torch.tensor(found, dtype=torch.float64).T
    return Along(at, pull, push)


@dataclass(frozen=True)
class Surface:
    """`value` (T, T) over the similarity of the hardest negative (rows) and of the positive (columns), both `at` (T,).

    `here`: the value where the two stand in the batch.
    """

    at: Tensor
    value: Tensor
    here: float


def surface(road: Path, what: Literal["loss", "push"] = "loss") -> Surface:
    """What the anchor pays, or the push on the negative, for every place of the two.

    Args:
        road: the anchor and its two.
        what: what is drawn.
    """
    cells = CELLS // 2 + 2 if road.large else CELLS

    def value(given: Mapping[str, Tensor]) -> float:
        return road.price(given) if what == "loss" else road.pull_and_push(given)[1]

    at = torch.linspace(*road.ends, cells, dtype=torch.float64)
    rows = [[value(road.moved(positive, negative)) for positive in at.tolist()] for negative in at.tolist()]
    return Surface(at, torch.tensor(rows, dtype=torch.float64), value(road.given))
