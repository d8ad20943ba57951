"""MCLRec: encodings and what learned augmenters make of them are contrasted, and a regulariser keeps them apart."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from core.losses.fields import temperature, weight
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.registry import Claims, Companion, loss
from core.losses.scores import without
from core.losses.two_views import other_view
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class MCLRec(Params):
    kind: Literal["mclrec"] = "mclrec"
    temperature: float = temperature(1)
    encoded: float = weight(0.03, "Encodings λ", "the contrast of the two encodings")
    augmented: float = weight(0.1, "Augmented β", "the contrasts with what the augmenters make")
    regulariser: float = weight(0.1, "Regulariser γ", "the part that keeps positives and negatives close")
    turns: bool = Field(
        True, title="In turns", description="A run moves the networks in one step and the augmenters in the next."
    )
    as_released: bool = Field(
        False,
        title="As released",
        description="The regulariser compares each anchor with its own negatives only and is paid for three pairings.",
    )


class Augmenters(nn.Module):
    """One network for each side, through half and a quarter of its dimensions and back, scaled to length 1."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        half, quarter = max(1, dimensions // 2), max(1, dimensions // 4)
        self.first, self.second = (
            nn.Sequential(
                nn.Linear(dimensions, half),
                nn.GELU(),
                nn.Linear(half, quarter),
                nn.GELU(),
                nn.Linear(quarter, dimensions),
            )
            for _ in range(2)
        )

    def forward(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`augmented` of `a` and `other_augmented` of `b`, all (B, D)."""
        made = {"augmented": self.first(given["a"]), "other_augmented": self.second(given["b"])}
        return {name: F.normalize(value, dim=1) for name, value in made.items()}


def _augmenters(p: MCLRec, sizes: Mapping[str, int]) -> nn.Module:
    return Augmenters(sizes["D"])


def spread(pairs: Pairs, whole: bool) -> Tensor:
    """(2B,) how far the positive lies above the hardest negative, and the negatives below it or below the positive.

    The positive and the hardest negative that mark the ends are those of the whole batch, or each anchor's own.
    """
    negative = pairs.role == Role.NEGATIVE
    positive = other_view(pairs.scores)
    hardest, lowest = without(pairs.scores, ~negative).amax(dim=1), positive
    if whole:
        hardest, lowest = hardest.amax().expand_as(positive), positive.amin().expand_as(positive)
    low, high = torch.minimum(lowest, hardest), torch.maximum(lowest, hardest)
    below = (high[:, None] - pairs.scores).masked_fill(~negative, 0).sum(dim=1) / negative.sum(dim=1)
    return positive - low + below


@loss(
    MCLRec,
    title="MCLRec (learned augmenters)",
    source="Qin et al. 2023, arXiv:2304.07763",
    origin="code",
    papers=("mclrec",),
    family="softmax",
    formula=r"\lambda\,\ell(h,h')+\beta\,[\ell(z,z')+\ell(h,z')+\ell(h',z)]+\gamma\Big[[\sigma^+-o_{\min}]_+"
    r"+\overline{[o_{\max}-\sigma^-]_+}\Big],\quad \ell=\text{NT-Xent}",
    claims=Claims(
        pulls="the regulariser pushes a positive that lies above the hardest negative",
        pushes="the regulariser pulls a negative that lies below the lowest positive",
        margin="it takes no margin of its own: the regulariser sets the lead of the positives",
    ),
    relations={"nt_xent": "four times over, with learned augmentations and a regulariser of their spread"},
    variants=({}, {"as_released": True, "encoded": 0, "temperature": 0.3, "regulariser": 1.0}),
    companion=Companion(_augmenters, makes=("augmented", "other_augmented"), eats=("a", "b"), turns=lambda p: p.turns),
    work="NT-Xent of four pairs of embeddings: four times (2N)² scores.",
)
def mclrec(a: Tensor, b: Tensor, augmented: Tensor, other_augmented: Tensor, p: MCLRec) -> Paid:
    """Contrasts two encodings of each item with each other and with their learned augmentations, kept moderately apart.

    Args:
        a: (B, D) encoding of each item, B >= 2; any length, the scores are inner products.
        b: (B, D) encoding of its other view.
        augmented: (B, D) what one augmenter makes of a.
        other_augmented: (B, D) what the other augmenter makes of b.
        p: temperature, weights of the parts, as released or not, and whether a run takes turns. The authors take
            both turns on one batch, and the augmenters' without the weight β; here each step has its own batch.

    Returns:
        "encoded", "augmented", "crossed" and "crossed_back", as NT-Xent pays, and "regulariser", each (2B,). A
        (2B, 2B) matrix of pairs for each of the first four.
    """
    asks = NTXent(temperature=p.temperature)
    sides = {
        "encoded": (a, b, p.encoded),
        "augmented": (augmented, other_augmented, p.augmented),
        "crossed": (a, other_augmented, p.augmented),
        "crossed_back": (b, augmented, p.augmented),
    }
    paid = {name: nt_xent(x, y, asks) for name, (x, y, _) in sides.items()}
    terms = {name: each.terms[""].scaled(sides[name][2]) for name, each in paid.items()}
    pairs = {name: each.pairs[0] for name, each in paid.items()}
    regulated = ("augmented", "crossed", "crossed_back") if p.as_released else ("augmented",)
    apart = torch.stack([spread(pairs[name], not p.as_released) for name in regulated]).sum(dim=0)
    terms["regulariser"] = Term(apart).scaled(p.regulariser)
    return Paid(terms, tuple(pairs.values()))
