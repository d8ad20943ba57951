"""Verdicts: numbers -> a chip of one or two words, a state and a sentence. Every threshold stands in one table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.diagnostics.registry import diagnostic

State = Literal["ok", "watch", "bad", "info"]


@dataclass(frozen=True)
class Verdict:
    """`word`: the chip, a state and never a grade. `sentence`: what was seen, with its yardstick."""

    word: str
    state: State
    sentence: str


@dataclass(frozen=True)
class Thresholds:
    """All edges of all rules; a value on the edge belongs to the side that the comment names."""

    collapsed_spread: float = 0.01  # mean squared distance to the centroid; below: collapsed
    one_line_rank: float = 1.1  # effective rank; below, where 3 or more are possible: one line
    stuck_window: int = 20  # last losses that a dead margin must hold
    stuck_share: float = 0.01  # distance from the collapse level over that level; up to it: stuck
    diverged_factor: float = 10.0  # loss over its chance level; above: diverged
    falling_share: float = 0.01  # change between the last two windows over the chance level; above: falling or rising
    trend_window: int = 20  # losses in each of the two windows
    aligned: float = 0.75  # recall at 1; from it on: aligned
    near_chance_tail: float = 0.025  # probability that guessing does as well; above: near chance
    apart_overlap: float = 0.10  # overlap of the two hills; up to it: apart
    hard_first_share: float = 0.50  # share of the push on the hardest fifth of the pairs; from it on: hard first
    trust_good: float = 0.90  # trustworthiness; from it on: ok
    trust_fair: float = 0.75  # from it on: watch; below: bad
    like_noise: float = 0.05  # trustworthiness above the random twin's; up to it: no structure
    nearly_noise: float = 0.10  # up to it: nearly
    hubs_watch: float = 1.0  # skewness of the k-occurrence above chance; up to it: no hubs
    hubs_bad: float = 3.0  # above: hubs; up to it: some hubs
    cone: float = 0.2  # mean cosine of two items; up to it: all round
    narrow_cone: float = 0.5  # above: narrow cone; up to it: a cone
    many_twins: float = 0.05  # share of rows with a twin; above: many twins
    many_leaks: float = 0.01  # share of test rows with a twin in training; above: leaks
    separated: float = 0.25  # silhouette; from it on: separated
    unmoved: float = 0.01  # mean distance after alignment over its chance level; up to it: no change
    unrelated: float = 0.02  # share of the way from chance to full overlap of neighbours; up to it: unrelated
    alike: float = 0.50  # from it on: alike; below: changed
    agrees: float = 0.05  # probability of such a rank correlation by chance; below: agrees or misleads


THRESHOLDS = Thresholds()


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


@diagnostic(
    "collapsed",
    title="Collapsed",
    source="spread and effective rank against their thresholds",
    origin="designed",
    values="collapsed, one line, not collapsed",
    chance="not collapsed",
)
def collapsed(spread: float, effective_rank: float, max_rank: int, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether all embeddings are one point, or one line, whatever the loss says.

    Args:
        spread: from `geometry.spread`.
        effective_rank: from `geometry.effective_rank`; 0 is full collapse.
        max_rank: from `geometry.max_rank`.
        t: the thresholds.
    """
    if spread < t.collapsed_spread or effective_rank == 0:
        return Verdict("collapsed", "bad", f"All embeddings are nearly one point: their spread is {spread:.4f} of 1.")
    if max_rank > 2 and effective_rank < t.one_line_rank:
        return Verdict(
            "one line", "watch", f"The embeddings lie on one line: effective rank {effective_rank:.2f} of {max_rank}."
        )
    return Verdict("not collapsed", "ok", f"The embeddings differ in {effective_rank:.1f} of {max_rank} directions.")


@diagnostic(
    "dead_margin",
    title="Dead margin",
    source="the loss at its collapse level for a window, every hinge silent, or no margin asked",
    origin="designed",
    values="dead margin, no margin, silent, alive",
    chance="alive",
)
def dead_margin(
    losses: Sequence[float], collapse: float, active: float, asked: float, t: Thresholds = THRESHOLDS
) -> Verdict:
    """Whether the margin of a hinge does anything.

    Args:
        losses: the losses so far, oldest first.
        collapse: what is paid when all embeddings are equal, from `levels.chance_level`.
        active: share of the negatives that are pushed, from `hardness.active_share`.
        asked: the margin really asked.
        t: the thresholds.
    """
    if asked == 0:
        return Verdict("no margin", "watch", "No lead is asked: a pair that leads by anything at all is silent.")
    last = losses[-t.stuck_window :]
    if len(last) == t.stuck_window and all(abs(v - collapse) <= t.stuck_share * collapse for v in last):
        return Verdict(
            "dead margin", "bad", f"The loss has stayed at {collapse:.2f}, which it pays when all embeddings are equal."
        )
    if active == 0:
        return Verdict("silent", "watch", f"Every pair leads by more than {asked:.2f}: nothing is pushed.")
    return Verdict("alive", "ok", f"{_percent(active)} of the non-pairs are pushed.")


@diagnostic(
    "progress",
    title="Falling, settled or diverged",
    source="the last two windows of the loss, and its chance level",
    origin="designed",
    values="falling, settled, rising, diverged, just begun",
    chance="settled at the chance level",
)
def progress(losses: Sequence[float], chance: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Where the loss is heading.

    Args:
        losses: the losses so far, oldest first.
        chance: from `levels.chance_level`; where it is not above 0, only NaN and infinity count as diverged.
        t: the thresholds.
    """
    broken = [k for k, v in enumerate(losses) if not math.isfinite(v)]
    if broken:
        return Verdict("diverged", "bad", f"The loss is no finite number: first in record {broken[0] + 1}.")
    if losses and chance > 0 and losses[-1] > t.diverged_factor * chance:
        return Verdict("diverged", "bad", f"The loss is {losses[-1]:.3g}; its chance level is {chance:.3g}.")
    window = min(t.trend_window, len(losses) // 2)
    if window == 0:
        return Verdict("just begun", "info", "There are too few losses to see where they go.")
    now = math.fsum(losses[-window:]) / window
    before = math.fsum(losses[-2 * window : -window]) / window
    scale = chance if chance > 0 else max(map(abs, losses))
    text = f"The loss went from {before:.3g} to {now:.3g} over the last {window} records.".replace("-", "−")
    if before - now > t.falling_share * scale:
        return Verdict("falling", "ok", text)
    if now - before > t.falling_share * scale:
        return Verdict("rising", "watch", text)
    return Verdict("settled", "info", text)


def guessing_does_as_well(share: float, n: int, chance: float) -> float:
    """Probability that n guesses, each right with probability `chance`, reach a share of hits or more: exact binomial.

    Args:
        share: between 0 and 1; a fraction of a hit, as ties give, is rounded up.
        n: guesses, at least 1.
        chance: between 0 and 1.
    """
    hits = math.ceil(share * n - 1e-6)
    if hits <= 0 or chance >= 1:
        return 1.0
    if chance <= 0:
        return 0.0
    whole = math.lgamma(n + 1)
    terms = (
        whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(chance) + (n - k) * math.log1p(-chance)
        for k in range(hits, n + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


@diagnostic(
    "aligned",
    title="Aligned, sorting or near chance",
    source="recall at 1 against guessing, whose hits are binomial",
    origin="designed",
    values="aligned, sorting, near chance",
    chance="near chance",
)
def aligned(r1: float, n: int, chance: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether items find their partner.

    Args:
        r1: recall at 1 of n queries.
        n: queries, at least 1.
        chance: recall at 1 of guessing.
        t: the thresholds.
    """
    text = f"{r1 * n:.0f} of {n} find their own partner first; guessing finds {chance * n:.0f}."
    if guessing_does_as_well(r1, n, chance) > t.near_chance_tail:
        return Verdict("near chance", "bad", text)
    return Verdict("aligned", "ok", text) if r1 >= t.aligned else Verdict("sorting", "watch", text)


@diagnostic(
    "apart",
    title="Apart or overlapping",
    source="the overlap of the hills of positives and negatives",
    origin="designed",
    values="apart, overlapping",
    chance="overlapping",
)
def hills(overlap: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether positives and negatives can be told apart by their score; `overlap` is from `scores.overlap`."""
    text = f"The two hills have {_percent(overlap)} of their area in common."
    return Verdict("apart", "ok", text) if overlap <= t.apart_overlap else Verdict("overlapping", "watch", text)


@diagnostic(
    "hard_first",
    title="Hard first or spread out",
    source="the push on the hardest fifth of the pairs",
    origin="designed",
    values="hard first, spread out, silent",
    chance="spread out",
)
def push(hardest_fifth: float, silent: bool = False, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whom the loss pushes.

    Args:
        hardest_fifth: share of the push on the hardest 20 % of the pairs, from `hardness.share_of_hardest`.
        silent: nothing is pushed.
        t: the thresholds.
    """
    if silent:
        return Verdict("silent", "watch", "Nothing is pushed in this batch.")
    text = f"The hardest 20% of the pairs take {_percent(hardest_fifth)} of the push."
    return Verdict("hard first" if hardest_fifth >= t.hard_first_share else "spread out", "info", text)


def awake(silent: int, n: int) -> Verdict:
    """How many of n anchors get no gradient at all."""
    if silent == 0:
        return Verdict("all awake", "ok", f"All {n} anchors get a gradient.")
    return Verdict(f"{silent} silent", "watch", f"{silent} of {n} anchors get a gradient of exactly 0.")


def trust(value: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """How far a map can be trusted; `value` is from `trust.trustworthiness`."""
    state: State = "ok" if value >= t.trust_good else "watch" if value >= t.trust_fair else "bad"
    return Verdict(f"trust {value:.2f}", state, f"Trust {value:.2f}: 1 keeps every neighbour, chance is about 0.5.")


def looks_like_noise(value: float, twin: float, exact: bool = False, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether noise would look like this map: the fields of `trust.Structure`."""
    if exact:
        return Verdict("exact", "info", "The map has all dimensions of the data: nothing was left out.")
    text = f"Trust {value:.2f}; the same map of shuffled columns has {twin:.2f}."
    if value - twin <= t.like_noise:
        return Verdict("no structure", "bad", text)
    return Verdict("nearly", "watch", text) if value - twin <= t.nearly_noise else Verdict("no", "ok", text)


def hubs(
    skewness: float, chance: float, antihubs: float, chance_antihubs: float, t: Thresholds = THRESHOLDS
) -> Verdict:
    """Whether a few items are everybody's neighbours.

    Args:
        skewness: of the k-occurrence, from `neighbours.hubness`.
        chance: that of random directions.
        antihubs: share of the items that are nobody's neighbour.
        chance_antihubs: that of random directions.
        t: the thresholds.
    """
    text = (
        f"{_percent(antihubs)} of the items are nobody's neighbour; of random directions, {_percent(chance_antihubs)}."
    )
    above = skewness - chance
    if above <= t.hubs_watch:
        return Verdict("no hubs", "ok", text)
    return Verdict("some hubs", "watch", text) if above <= t.hubs_bad else Verdict("hubs", "bad", text)


def cone(mean_cosine: float, isoscore: float, chance: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether all embeddings point one way.

    Args:
        mean_cosine: of two items, from `kernel_alignment.anisotropy`.
        isoscore: from `isotropy.isoscore`.
        chance: the IsoScore of random directions.
        t: the thresholds.
    """
    text = f"Two items have a cosine of {mean_cosine:.2f} on average".replace("-", "−")
    text += "." if math.isnan(isoscore) else f"; IsoScore {isoscore:.2f}, of random directions {chance:.2f}."
    if mean_cosine <= t.cone:
        return Verdict("all round", "ok", text)
    return Verdict("a cone", "watch", text) if mean_cosine <= t.narrow_cone else Verdict("narrow cone", "bad", text)


def twins(share: float, same: int, n: int, chance: float, alike: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether a file holds rows twice; the arguments are those of `leaks`."""
    text = f"{share * n:.0f} of {n} rows have a twin (cosine {alike:g} or more), {same} the very same."
    if guessing_does_as_well(share, n, chance) > t.near_chance_tail:
        return Verdict("no twins", "ok", text)
    return Verdict("many twins", "bad", text) if share > t.many_twins else Verdict("twins", "watch", text)


def leaks(share: float, same: int, n: int, chance: float, alike: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether test rows were seen in training.

    Args:
        share: of the n rows that have a twin, from `twins.twins_across`.
        same: how many are equal to it up to rounding.
        n: rows.
        chance: share of random directions that have one.
        alike: the cosine that makes a twin.
        t: the thresholds.
    """
    text = f"{share * n:.0f} of {n} test rows have a twin in training (cosine {alike:g} or more), {same} the very same."
    if guessing_does_as_well(share, n, chance) > t.near_chance_tail:
        return Verdict("no leak", "ok", text)
    return Verdict("leaks", "bad", text) if share > t.many_leaks else Verdict("a leak", "watch", text)


def separated(silhouette: float, shuffled: Sequence[float], t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether classes are clouds of their own.

    Args:
        silhouette: from `separation.separation`.
        shuffled: those of shuffled labels; not above all of them: near chance.
        t: the thresholds.
    """
    text = f"Silhouette {silhouette:.2f}: at 0 an item is as near to another class as to its own; "
    text = (text + f"shuffled labels reach {max(shuffled):.2f}.").replace("-", "−")
    if silhouette <= max(shuffled):
        return Verdict("near chance", "bad", text)
    return Verdict("separated", "ok", text) if silhouette >= t.separated else Verdict("overlapping", "watch", text)


@dataclass(frozen=True)
class Hits:
    """Shares of n items that come out right: with the weights looked at, with random ones at best, and by guessing."""

    of: str
    value: float
    random: float
    chance: float
    n: int


def untrained(readings: Sequence[Hits], t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether weights do better than random ones of the same network, in at least one reading.

    A reading is better where a network that is right as often as the random one, or as guessing, would reach it by
    luck with a probability of at most `near_chance_tail`, divided by the number of readings.
    """
    if not readings:
        return Verdict("cannot tell", "info", "Without pairs or classes nothing tells trained from random weights.")
    luck = {each.of: guessing_does_as_well(each.value, each.n, max(each.random, each.chance)) for each in readings}
    better = [each for each in readings if luck[each.of] * len(readings) <= t.near_chance_tail]
    best = min(readings, key=lambda each: (luck[each.of], each.random - each.value))
    text = f"{len(better)} of {len(readings)} readings are better than at random weights; the clearest is {best.of}, "
    text += f"{_percent(best.value)} right, random weights {_percent(best.random)}."
    return Verdict("trained", "ok", text) if better else Verdict("untrained", "bad", text)


def found_class(recall: float, n: int, chance: float, overall: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether a class is found as well as the others.

    Args:
        recall: share of its n test items that were named rightly.
        n: at least 1.
        chance: that of guessing.
        overall: the accuracy over all classes.
        t: the thresholds.
    """
    text = f"{recall * n:.0f} of its {n} test items are found; over all classes {_percent(overall)}."
    if guessing_does_as_well(1, n, chance) > t.near_chance_tail:
        return Verdict("too few", "info", text)
    if guessing_does_as_well(recall, n, chance) > t.near_chance_tail:
        return Verdict("lost", "bad", text)
    weak = guessing_does_as_well(1 - recall, n, 1 - overall) <= t.near_chance_tail
    return Verdict("weak", "watch", text) if weak else Verdict("as the rest", "ok", text)


def changed(
    overlap: float, chance_overlap: float, moved: float, chance_moved: float, t: Thresholds = THRESHOLDS
) -> Verdict:
    """How much of one space is left in another: the fields of `comparing.Comparison`."""
    text = f"An item keeps {_percent(overlap)} of its neighbours and moves by {moved:.2f}; "
    text += f"independent spaces share {_percent(chance_overlap)} and lie {chance_moved:.2f} apart."
    if moved <= t.unmoved * chance_moved:
        return Verdict("no change", "ok", text)
    kept = (overlap - chance_overlap) / (1 - chance_overlap) if chance_overlap < 1 else 1.0
    if kept <= t.unrelated:
        return Verdict("unrelated", "bad", text)
    return Verdict("alike", "ok", text) if kept >= t.alike else Verdict("changed", "watch", text)


def agrees(rho: float, p: float, n: int, beyond: float, t: Thresholds = THRESHOLDS) -> Verdict:
    """Whether a criterion orders the steps of a run as the accuracy does: the fields of `choosing.Correlation`."""
    if math.isnan(rho):
        said = f"{n} recorded steps, or values that never change, have no order to compare."
        return Verdict("cannot tell", "info", said)
    text = f"Rank correlation {rho:.2f} over {n} recorded steps; by chance as far from 0 in {_percent(p)} of orders. "
    text += "Both only follow the steps." if math.isnan(beyond) else f"With the steps taken out {beyond:.2f}."
    text = text.replace("-", "−")
    if p >= t.agrees:
        return Verdict("says nothing", "watch", text)
    return Verdict("agrees", "ok", text) if rho > 0 else Verdict("misleads", "bad", text)
