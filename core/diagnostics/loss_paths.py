"""What a loss pays, and how hard it pulls and pushes, while one positive and one negative of the batch are moved."""

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

EDGE, POINTS, CELLS, MANY = 0.995, 33, 11, 20_000


def turning(u: Tensor, old: Tensor, similarity: float) -> Callable[[Tensor], Tensor]:
    """The rotation in the plane of `u` and `old` that brings `old` (D,) to a cosine with `u` (D,): rows -> rows."""
    u, length = F.normalize(u, dim=0), old.norm()
    aside = old - (old @ u) * u
    if float(aside.norm()) < 1e-9 * float(length):
        aside = torch.eye(len(u), dtype=u.dtype)[u.abs().argmin()]
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

    `column`: what the column of a candidate in the loss's own scores is ahead of its row, None where these scores are
    not the cosines (or distances) of the two sides, so that the motion is read instead of the force. `scores`: how
    many the loss looks at.
    """

    p: Any
    s: Sample
    given: Mapping[str, Tensor]
    pair: tuple[Side, Side]
    anchor: int
    positive: int
    other: int
    positive_at: float
    at: float
    column: int | None
    scores: int

    @property
    def large(self) -> bool:
        """Whether the loss looks at so many scores that half of the places have to do."""
        return self.scores > MANY

    @property
    def kind(self) -> Literal["force", "motion"]:
        return "motion" if self.column is None else "force"

    def moved(self, positive: float | None = None, negative: float | None = None) -> dict[str, Tensor]:
        """The inputs with the positive, the negative or both at another cosine with the anchor.

        The negative's item is turned as a whole, with all its embeddings; of the positive only the row that is looked
        at, except where it is another item, which is turned as a whole too.
        """
        given = {
            name: value.clone() if name in _rows_of_items(self.given) else value for name, value in self.given.items()
        }
        x, y = self.pair
        u = x.of(self.given)[self.anchor]
        alone = x != y
        for row, similarity, whole in ((self.positive, positive, not alone), (self.other, negative, True)):
            if similarity is None:
                continue
            rotate = turning(u, y.of(self.given)[row], similarity)
            if whole:
                for name in _rows_of_items(given):
                    given[name][..., row, :] = rotate(given[name][..., row, :])
            elif y.part is None:
                given[y.name][row] = rotate(given[y.name][row])
            else:
                given[y.name][y.part, row] = rotate(given[y.name][y.part, row])
        return given

    def pull_and_push(self, given: Mapping[str, Tensor]) -> tuple[float, float]:
        """-dL/ds of the positive and dL/ds of the negative, or how fast the one comes near and the other goes away."""
        inputs = moving(given)
        paid = pay(self.p, inputs, self.s.seed)
        if self.column is None:
            change = motions(inputs, paid.total(), self.pair)
            return float(change[self.anchor, self.positive]), -float(change[self.anchor, self.other])
        scores = next(pairs.scores for pairs in paid.pairs if pairs.scores.requires_grad)
        (force,) = torch.autograd.grad(paid.total(), [scores], allow_unused=True)
        if force is None:
            return 0.0, 0.0
        row = force[self.anchor]
        return -float(row[self.column + self.positive]), float(row[self.column + self.other])

    def price(self, given: Mapping[str, Tensor]) -> float:
        """What the anchor pays, or the whole batch where the loss is not paid by anchors."""
        with torch.no_grad():
            paid = pay(self.p, given, self.s.seed)
            each = each_pays(paid)
            return float(paid.total() if each is None or len(each) <= self.anchor else each[self.anchor])


def _column(seen: Lens, anchor: int, positive: int, other: int) -> int | None:
    """Where the loss's first scores hold those of the two sides: cosines, or minus distances, plain or squared."""
    layer, motion = seen.layers[0], seen.motion
    if motion is None or layer.kind != "force":
        return None
    rows, columns = motion.scores.shape
    apart = (2 - 2 * motion.scores).clamp_min(0)
    for shift in dict.fromkeys((0, rows, layer.scores.shape[1] - columns)):
        block = layer.scores[:rows, shift : shift + columns]
        if shift < 0 or block.shape != motion.scores.shape:
            continue
        known = any(torch.allclose(block, each, atol=1e-6) for each in (motion.scores, -apart.sqrt(), -apart))
        role = layer.role[anchor, [shift + positive, shift + other]].tolist()
        if known and role[0] == Role.POSITIVE and role[1] >= Role.NEGATIVE:
            return shift
    return None


def path(p: Any, s: Sample, anchor: int = 0) -> Path | None:
    """The path of an anchor, its positive and its hardest negative; None where the loss has no rows of items.

    Args:
        p: params of a registered loss.
        s: the batch.
        anchor: row of the anchor.
    """
    given = sample(p, s)
    pair = sides(given)
    if pair is None or not {side.name for side in pair} <= set(_rows_of_items(given)):
        return None
    x, y = (side.of(given) for side in pair)
    scores = cosines(x[anchor : anchor + 1], y)[0]
    same = torch.arange(len(y)) == anchor
    positive = anchor
    if "labels" in LOSSES.of(p).needed:
        same = same | (given["labels"] == given["labels"][anchor])
    if pair[0] == pair[1]:
        others = same & (torch.arange(len(y)) != anchor)
        if not bool(others.any()):
            return None
        positive = int(others.nonzero()[0])
    other = int(scores.masked_fill(same, -torch.inf).argmax())
    seen = lens(p, s, given)
    column = _column(seen, anchor, positive, other)
    count = sum(layer.scores.numel() for layer in seen.layers)
    at = float(scores[positive]), float(scores[other])
    return Path(p, s, given, pair, anchor, positive, other, *at, column, count)


@dataclass(frozen=True)
class Along:
    """Pull on the positive and push on the negative while the negative moves: (T,) each."""

    similarity: Tensor
    pull: Tensor
    push: Tensor


def along(road: Path) -> Along:
    """The negative from far to near, through where it stands, everything else where it is."""
    points = POINTS // 2 + 1 if road.large else POINTS
    even = torch.linspace(-EDGE, EDGE, points, dtype=torch.float64)
    at = torch.cat([even, torch.tensor([road.at], dtype=torch.float64)]).clamp(-EDGE, EDGE).unique()
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

    at = torch.linspace(-EDGE, EDGE, cells, dtype=torch.float64)
    rows = [[value(road.moved(positive, negative)) for positive in at.tolist()] for negative in at.tolist()]
    return Surface(at, torch.tensor(rows, dtype=torch.float64), value(road.given))
