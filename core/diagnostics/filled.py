"""Missing modalities of towers side by side: what each way to fill the gap keeps, item by item and class by class.

An item is the concatenation of its towers' unit embeddings, so towers may have different widths and the cosine of two
items is the mean of their towers' cosines. One tower is gone from a query; a rule says what stands in its place. What
becomes of a query depends on nothing but whether that tower is gone, so at a drop rate r the expected result is exactly
(1 - r) times the complete one plus r times the filled one: a straight line, whose area is the mean of its ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.arrays import CHUNK, Array, class_of, unit_rows
from core.diagnostics.probes import baseline, knn_vote, nearest_rows
from core.diagnostics.registry import diagnostic
from core.streams import stream

Rule = Literal["zeros", "mean", "random", "neighbour", "linear", "partner"]
Measure = Literal["accuracy", "neighbours"]
RULES: tuple[Rule, ...] = get_args(Rule)
VOTERS, NEAREST, DRAWS, RIDGE, Z_95 = 5, 10, 5, 1e-3, 1.959964


@dataclass(frozen=True)
class Kept:
    """What each of n test items keeps, by its complete self or with one tower filled by a rule.

    `neighbours` (n,): share of the 10 nearest other test items that are those of its complete self. `correct` (n,):
    share of the draws in which the 5-NN vote names its class, or None without labels.
    """

    neighbours: Tensor
    correct: Tensor | None

    def of(self, measure: Measure) -> Tensor:
        """(n,) the numbers of a measure.

        Raises:
            ValueError: if accuracy is asked for where there are no labels.
        """
        if measure == "neighbours":
            return self.neighbours
        if self.correct is None:
            raise ValueError("got no labels where accuracy is asked for; ask for neighbours, or give labels")
        return self.correct


@dataclass(frozen=True)
class Damage:
    """By class, in the order of the classes, (C,) each: the share lost, below 0 where it is gained, half its 95 %
    interval over the items (NaN for a single item), and how many items there are."""

    mean: Tensor
    half: Tensor
    items: Tensor


@dataclass(frozen=True)
class Filled:
    """What is kept complete, and under each rule, when the tower `gone` is missing from every query.

    `chance` of each measure by guessing; for accuracy None without labels.
    """

    gone: str
    complete: Kept
    rules: Mapping[Rule, Kept]
    chance: Mapping[Measure, float | None]

    def at(self, rule: Rule, measure: Measure, rate: float) -> float:
        """Expected share at a drop rate in [0, 1] of the tower.

        Raises:
            ValueError: if the rate is not between 0 and 1.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"got the drop rate {rate}; expected a share between 0 and 1")
        whole, without = (float(kept.of(measure).double().mean()) for kept in (self.complete, self.rules[rule]))
        return (1 - rate) * whole + rate * without

    def area(self, rule: Rule, measure: Measure) -> float:
        """Area under the curve over drop rates from 0 to 1."""
        return self.at(rule, measure, 0.5)

    def damage(self, rule: Rule, measure: Measure, labels: Array) -> Damage:
        """What each class loses when the tower is gone from all of its items; `labels` (n,) of the test items."""
        lost = self.complete.of(measure).double() - self.rules[rule].of(measure).double()
        _, which = class_of(labels, lost[:, None]).unique(return_inverse=True)
        counts = torch.bincount(which)
        mean = lost.new_zeros(len(counts)).index_add(0, which, lost) / counts
        square = lost.new_zeros(len(counts)).index_add(0, which, (lost - mean[which]) ** 2)
        return Damage(mean, Z_95 * (square / (counts - 1) / counts).sqrt(), counts)


def side_by_side(towers: Mapping[str, Tensor]) -> Tensor:
    """(N, sum of D) unit rows of N items: the towers' (N, D) embeddings one beside the other."""
    return F.normalize(torch.cat(list(towers.values()), dim=1), dim=1)


@diagnostic(
    "filled_modality",
    title="A missing tower, filled",
    source="zero, mean, hot-deck, nearest-neighbour and ridge imputation (Little and Rubin 2019, ch. 4), in the "
    "embedding space of each tower",
    origin="designed",
    values="accuracy and share of kept neighbours, 0 to 1",
    chance="accuracy 1 / classes; neighbours 10 / other items",
)
def filled(
    train: Mapping[str, Array],
    test: Mapping[str, Array],
    gone: str,
    labels: Array | None = None,
    test_labels: Array | None = None,
    *,
    seed: int = 0,
) -> Filled:
    """Measure every rule with the tower `gone` missing from every query.

    Rules: "zeros" leaves the place empty, which is the other towers alone; "mean" of the training embeddings;
    "random", the embedding of a training item drawn at random, over 5 draws; "neighbour", that of the training item
    nearest in the other towers; "linear", a ridge regression from the other towers fitted to the training items;
    "partner", the item's own embedding in the first other tower of equal width, where there is one.

    Args:
        train: tower -> (N, D) unit rows of the training items; widths may differ.
        test: tower -> (M, D) unit rows of the test items, the same towers. The vote is among the 5 nearest complete
            training items, neighbours are among the other complete test items.
        gone: the tower that is missing.
        labels: (N,) classes of the training items, or None.
        test_labels: (M,) classes of the test items, or None.
        seed: address of the draws of "random".

    Raises:
        ValueError: if there are fewer than two towers, `gone` is none of them, or rows are not of length 1.
    """
    known = {name: unit_rows(z) for name, z in train.items()}
    asked = {name: unit_rows(z) for name, z in test.items()}
    if len(asked) < 2 or set(known) != set(asked) or gone not in asked:
        raise ValueError(
            f"got the towers {sorted(known)} and {sorted(asked)} with '{gone}' gone; give both the same two or more"
        )
    known = {name: known[name] for name in asked}
    gallery, deck = side_by_side(asked), side_by_side(known)
    truth = None if labels is None else class_of(labels, deck)
    wanted = None if test_labels is None else class_of(test_labels, gallery)

    own = _others_nearest(gallery, gallery)

    def kept(*queries: Tensor) -> Kept:
        same = [_shared(_others_nearest(gallery, query), own) for query in queries]
        if truth is None or wanted is None:
            return Kept(torch.stack(same).mean(dim=0), None)
        right = [(knn_vote(deck, truth, query, VOTERS) == wanted).to(gallery) for query in queries]
        return Kept(torch.stack(same).mean(dim=0), torch.stack(right).mean(dim=0))

    made = {rule: FILL[rule](known, asked, gone, seed) for rule in RULES}
    guess = None if truth is None or wanted is None else baseline(truth, wanted)[0]
    return Filled(
        gone=gone,
        complete=kept(gallery),
        rules={rule: kept(*(side_by_side(asked | {gone: z}) for z in fills)) for rule, fills in made.items() if fills},
        chance={"accuracy": guess, "neighbours": own.shape[1] / (len(gallery) - 1)},
    )


def _others_nearest(gallery: Tensor, queries: Tensor) -> Tensor:
    """(M, k) the 10 rows of the gallery (M, D), fewer where it has fewer, nearest to each query, itself left out."""
    found, k = [], min(NEAREST, len(gallery) - 1)
    for first in range(0, len(queries), CHUNK):
        scores = queries[first : first + CHUNK] @ gallery.T
        scores.diagonal(first).fill_(-torch.inf)
        found.append(scores.topk(k, dim=1).indices)
    return torch.cat(found)


def _shared(near: Tensor, own: Tensor) -> Tensor:
    """(M,) share of the places (M, k) that are among the others' (M, k)."""
    return (near[:, :, None] == own[:, None, :]).any(dim=2).to(torch.float32).mean(dim=1)


# Each gives the (M, D) embeddings that stand in the gap, one for each draw; none where it does not apply.
Fill = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], str, int], list[Tensor]]


def _others(towers: Mapping[str, Tensor], gone: str) -> Tensor:
    return side_by_side({name: z for name, z in towers.items() if name != gone})


def _zeros(known: Mapping[str, Tensor], asked: Mapping[str, Tensor], gone: str, seed: int) -> list[Tensor]:
    return [torch.zeros_like(asked[gone])]


def _mean(known: Mapping[str, Tensor], asked: Mapping[str, Tensor], gone: str, seed: int) -> list[Tensor]:
    return [known[gone].mean(dim=0).expand_as(asked[gone])]


def _random(known: Mapping[str, Tensor], asked: Mapping[str, Tensor], gone: str, seed: int) -> list[Tensor]:
    z, n = known[gone], len(asked[gone])
    draws = [torch.randint(len(z), (n,), generator=stream(seed, "filled", draw)) for draw in range(DRAWS)]
    return [z[rows.to(z.device)] for rows in draws]


def _neighbour(known: Mapping[str, Tensor], asked: Mapping[str, Tensor], gone: str, seed: int) -> list[Tensor]:
    near = nearest_rows(_others(known, gone), _others(asked, gone), 1)[:, 0]
    return [known[gone][near]]


def _linear(known: Mapping[str, Tensor], asked: Mapping[str, Tensor], gone: str, seed: int) -> list[Tensor]:
    x, y = _others(known, gone).double(), known[gone].double()
    middle, target = x.mean(dim=0), y.mean(dim=0)
    gram = (x - middle).T @ (x - middle)
    strength = RIDGE * gram.diagonal().mean().clamp(min=torch.finfo(gram.dtype).tiny)
    gram.diagonal().add_(strength)
    slope = torch.linalg.solve(gram, (x - middle).T @ (y - target))
    guess = (_others(asked, gone).double() - middle) @ slope + target
    return [F.normalize(guess, dim=1).to(asked[gone])]


def _partner(known: Mapping[str, Tensor], asked: Mapping[str, Tensor], gone: str, seed: int) -> list[Tensor]:
    return [z for name, z in asked.items() if name != gone and z.shape == asked[gone].shape][:1]


FILL: Mapping[Rule, Fill] = {
    "zeros": _zeros,
    "mean": _mean,
    "random": _random,
    "neighbour": _neighbour,
    "linear": _linear,
    "partner": _partner,
}
