"""The recommender task: its arms, as released and repaired, and what is measured."""

from dataclasses import replace

import torch
from torch import Tensor

from core.data.ratings import LIKED, read
from core.diagnostics.recommending import recommendation
from core.experiments.arms import Arm, Kind, Link
from core.experiments.measures import Alive, Numbers
from core.experiments.recommender import Ball, Likes, Recommending, fit, likes
from core.experiments.tasks import Part, Task

NOTE = (
    "Masking the partner has no counterpart here: the partner's item is not among a user's negatives. "
    "Users are ranked by distance, also for BPR, as in the released experiment."
)
CUTS = (1, 5, 10)
MARGINS: tuple[Link, ...] = tuple({"loss.margin": m} for m in ("0.3", "0.5", "1", "0.1", "1.5", "0.2", "0.4"))
WIDE: tuple[Link, ...] = tuple({"loss.margin": m} for m in ("0.5", "1", "1.5", "0.3", "2", "0.1", "0.8"))
RATES: tuple[Link, ...] = tuple({"lr": rate} for rate in ("0.002", "0.005", "0.01", "0.001", "0.02", "0.0005", "0.05"))
MIN: dict[str, str] = {"loss.kind": "triplet", "loss.over": "min"}
SUM: dict[str, str] = {"loss.kind": "triplet", "loss.over": "sum", "loss.squared": "on"}
USERS: dict[str, str] = {
    "mixing.kind": "dmm",
    "mixing.level": "embedding",
    "mixing.renormalise": "none",
    "mixing.half": "2",
}


def _min(key: str, title: str, kind: Kind, about: str, against: str = "", **mixing: str) -> Arm:
    link = MIN | USERS | {f"mixing.{name}": value for name, value in mixing.items()}
    return Arm(key, title, kind, "min", link, MARGINS, about, against)


ARMS: tuple[Arm, ...] = (
    Arm("base", "CML-Min, margin swept", "base", "min", MIN, MARGINS, "The nearest negative of each user."),
    _min("twice", "CML-Min at twice the weight", "control", "The clean loss at weight 1 + w.", law="fixed", fixed="1"),
    _min("mix_constant", "Mixed users, margin m", "control", "The mixture keeps the full margin.", rule="constant"),
    _min("mix_zero", "Mixed users, margin 0", "control", "The mixture is asked for no lead.", rule="zero"),
    _min("mixup", "Plain mixup of users", "control", "Both users' likes, by their shares.", target="soft"),
    Arm(
        "hardest",
        "CML-Min, 50 negatives",
        "control",
        "min",
        MIN | {"negatives": "50"},
        MARGINS,
        "The nearest of five times as many negatives.",
    ),
    _min("dmm", "DMM repaired", "dmm", "Users mixed with λ from U(½, 1), margin λm, per user, no decay."),
    _min("dmm_each", "DMM, λ per sample", "improvement", "A share of its own for each user.", "dmm", per_sample="on"),
    _min("dmm_hard", "DMM, hard partners", "improvement", "The partner is the nearest other.", "dmm", partner="hard"),
    Arm(
        "min_released",
        "CML-Min as released",
        "base",
        "released",
        MIN | {"loss.as_released": "on"},
        WIDE,
        "Every user against every other's negatives: the released broadcast.",
    ),
    Arm(
        "dmm_released",
        "DMM as released",
        "dmm",
        "released",
        MIN
        | USERS
        | {"loss.as_released": "on", "mixing.low": "0", "mixing.high": "0.5", "mixing.rule": "released_decay"},
        WIDE,
        "λ up to ½, a margin that decays to 0, and the broadcast.",
        "min_released",
    ),
    Arm("sum", "CML-Sum, margin swept", "base", "sum", SUM, MARGINS, "The mean over all negatives, squared distances."),
    Arm(
        "sum_twice",
        "CML-Sum at twice the weight",
        "control",
        "sum",
        SUM | USERS | {"mixing.law": "fixed", "mixing.fixed": "1"},
        MARGINS,
        "The clean loss at weight 1 + w.",
    ),
    Arm(
        "sum_dmm",
        "CML-Sum, DMM repaired",
        "dmm",
        "sum",
        SUM | {"mixing.kind": "negative_item", "mixing.half": "2"},
        MARGINS,
        "Negative items mixed with the liked one, margin (1 − λ)m.",
        "sum",
    ),
    Arm(
        "sum_released",
        "CML-Sum, DMM as released",
        "dmm",
        "sum",
        SUM | {"mixing.kind": "negative_item", "mixing.half": "2", "mixing.rule": "released_decay"},
        WIDE,
        "Negative items mixed with the liked one, a margin that decays to 0.",
        "sum",
    ),
    Arm("bpr", "BPR", "base", "bpr", {"loss.kind": "bpr", "negatives": "1"}, RATES, "Its learning rate is tuned."),
)


NAMES = {"ndcg": "nDCG", "recall": "Recall", "hit": "Hit", "map": "MAP"}
TITLES = {f"{name}{k}": f"{title}@{k}" for name, title in NAMES.items() for k in CUTS} | {
    f"released.{name}{k}": f"{title}@{k}, as released" for name, title in NAMES.items() for k in CUTS
}


def known(data: Likes, part: Part) -> Tensor:
    """(U, I) bool: the items that are no candidates of a user when `part` is measured.

    Those rated in training, and, for the test, in validation; a low rating keeps an item out too, as released.
    """
    split = data.split
    return data.table(split.train | split.validation if part == "test" else split.train)


def ranked(scores: Tensor, wanted: Tensor) -> Numbers:
    """nDCG, recall, hit rate and MAP at each of `CUTS`, standard and as released.

    Args:
        scores: (U, I), minus infinity for an item that is no candidate.
        wanted: (U, I) bool, candidates all.
    """
    numbers: Numbers = {}
    for k in CUTS:
        usual = recommendation(scores, wanted, k=k)
        numbers |= {f"{name}{k}": getattr(usual, name) for name in NAMES}
        released = recommendation(scores, wanted, k=k, without="zero")
        inside = vars(released) | {"map": released.map_inside}
        numbers |= {f"released.{name}{k}": inside[name] for name in NAMES}
    return numbers


def measured(ball: Ball, data: Likes, part: Part) -> Numbers:
    """Ranking of the items without a known rating; a hit is a rating of 4 or more in the part.

    The standard measures count the users with a hit to find. As released (`released.`), all users count, with 0 where
    there is none to find, and the average precision is taken inside the first k.
    """
    candidates = ~known(data, part)
    wanted = data.table(getattr(data.split, part), LIKED) & candidates
    return ranked(ball.scores().masked_fill(~candidates, -torch.inf), wanted)


def without_test(data: Likes) -> Likes:
    """The same ratings with nothing in the test part, and no value where it was."""
    ratings = replace(data.ratings, value=data.ratings.value.masked_fill(data.split.test, torch.nan))
    return replace(data, ratings=ratings, split=replace(data.split, test=torch.zeros_like(data.split.test)))


def run(p: Recommending, wanted: tuple[Part, ...], alive: Alive) -> dict[Part, Numbers]:
    """Train and measure the parts asked for; without "test" among them, no test rating is there."""
    data = likes(p)
    if "test" not in wanted:
        data = without_test(data)
    ball = fit(p, data, alive)
    return {part: measured(ball, data, part) for part in wanted}


def _sizes(p: Recommending) -> dict[str, int]:
    data = likes(p)
    return {part: int(getattr(data.split, part).sum()) for part in ("train", "validation", "test")}


def _digest(p: Recommending) -> str:
    return f"{read(p.ratings).digest} {p.split}"


RECOMMENDER = Task(
    key="recommender",
    title="Recommendation",
    base=Recommending(),
    links={"ratings": {}},
    arms=ARMS,
    primary="ndcg10",
    titles=TITLES,
    run=run,
    digest=_digest,
    sizes=_sizes,
    note=lambda p: NOTE,
)
