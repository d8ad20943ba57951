"""Every threshold on both sides of its edge, and planted runs that each rule must see or leave alone."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from core.diagnostics import verdicts
from core.diagnostics.forces import forces
from core.diagnostics.geometry import effective_rank, max_rank, spread
from core.diagnostics.hardness import active_share, share_of_hardest
from core.diagnostics.levels import chance_level
from core.diagnostics.retrieval import retrieval
from core.diagnostics.scores import by_kind, histogram, overlap
from core.diagnostics.verdicts import THRESHOLDS, Verdict
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.ranking import Ranking, ranking
from core.losses.triplet import Triplet, triplet
from tests.core.diagnostics.clouds import groups, unit

T = THRESHOLDS


def above(x: float) -> float:
    return math.nextafter(x, math.inf)


def below(x: float) -> float:
    return math.nextafter(x, -math.inf)


def said(verdict: Verdict) -> tuple[str, str]:
    return verdict.word, verdict.state


def stuck(at: float, count: int = T.stuck_window) -> tuple[str, str]:
    return said(verdicts.dead_margin([at] * count, collapse=0.5, active=0.3, asked=0.5))


def trend(change: float, chance: float = 1.0) -> tuple[str, str]:
    """Two windows of 2.0 and of 2.0 + change, whose sums are exact for changes of few bits."""
    return said(verdicts.progress([2.0] * T.trend_window + [2.0 + change] * T.trend_window, chance))


EDGES = {
    "collapsed_spread": [
        (verdicts.collapsed(below(T.collapsed_spread), 9, 31), "collapsed", "bad"),
        (verdicts.collapsed(T.collapsed_spread, 9, 31), "not collapsed", "ok"),
        (verdicts.collapsed(0.9, 0, 31), "collapsed", "bad"),
    ],
    "one_line_rank": [
        (verdicts.collapsed(1, below(T.one_line_rank), 3), "one line", "watch"),
        (verdicts.collapsed(1, T.one_line_rank, 3), "not collapsed", "ok"),
        (verdicts.collapsed(1, 1, 2), "not collapsed", "ok"),
    ],
    "apart_overlap": [
        (verdicts.hills(T.apart_overlap), "apart", "ok"),
        (verdicts.hills(above(T.apart_overlap)), "overlapping", "watch"),
    ],
    "hard_first_share": [
        (verdicts.push(T.hard_first_share), "hard first", "info"),
        (verdicts.push(below(T.hard_first_share)), "spread out", "info"),
        (verdicts.push(0, silent=True), "silent", "watch"),
    ],
    "aligned": [
        (verdicts.aligned(T.aligned, 48, 1 / 48), "aligned", "ok"),
        (verdicts.aligned(below(T.aligned), 48, 1 / 48), "sorting", "watch"),
    ],
    "near_chance_tail": [
        (verdicts.aligned(0.60, 100, 0.5), "near chance", "bad"),
        (verdicts.aligned(0.61, 100, 0.5), "sorting", "watch"),
    ],
    "trust_good": [
        (verdicts.trust(T.trust_good), "trust 0.90", "ok"),
        (verdicts.trust(below(T.trust_good)), "trust 0.90", "watch"),
    ],
    "trust_fair": [
        (verdicts.trust(T.trust_fair), "trust 0.75", "watch"),
        (verdicts.trust(below(T.trust_fair)), "trust 0.75", "bad"),
    ],
    "like_noise": [
        (verdicts.looks_like_noise(T.like_noise, 0), "no structure", "bad"),
        (verdicts.looks_like_noise(above(T.like_noise), 0), "nearly", "watch"),
        (verdicts.looks_like_noise(1, 1, exact=True), "exact", "info"),
    ],
    "nearly_noise": [
        (verdicts.looks_like_noise(T.nearly_noise, 0), "nearly", "watch"),
        (verdicts.looks_like_noise(above(T.nearly_noise), 0), "no", "ok"),
    ],
    "hubs_watch": [
        (verdicts.hubs(T.hubs_watch, 0, 0, 0), "no hubs", "ok"),
        (verdicts.hubs(above(T.hubs_watch), 0, 0, 0), "some hubs", "watch"),
    ],
    "hubs_bad": [
        (verdicts.hubs(T.hubs_bad, 0, 0, 0), "some hubs", "watch"),
        (verdicts.hubs(above(T.hubs_bad), 0, 0, 0), "hubs", "bad"),
    ],
    "cone": [
        (verdicts.cone(T.cone, 0.5, 0.9), "all round", "ok"),
        (verdicts.cone(above(T.cone), math.nan, 0.9), "a cone", "watch"),
    ],
    "narrow_cone": [
        (verdicts.cone(T.narrow_cone, 0.5, 0.9), "a cone", "watch"),
        (verdicts.cone(above(T.narrow_cone), 0.5, 0.9), "narrow cone", "bad"),
    ],
    "many_twins": [
        (verdicts.twins(T.many_twins, 0, 100, 0, 0.999), "twins", "watch"),
        (verdicts.twins(above(T.many_twins), 0, 100, 0, 0.999), "many twins", "bad"),
        (verdicts.twins(0, 0, 100, 0, 0.999), "no twins", "ok"),
        (verdicts.twins(0.5, 0, 100, 0.5, 0.999), "no twins", "ok"),
    ],
    "many_leaks": [
        (verdicts.leaks(T.many_leaks, 0, 100, 0, 0.999), "a leak", "watch"),
        (verdicts.leaks(above(T.many_leaks), 0, 100, 0, 0.999), "leaks", "bad"),
        (verdicts.leaks(0, 0, 100, 0, 0.999), "no leak", "ok"),
    ],
    "separated": [
        (verdicts.separated(T.separated, (0, 0.1)), "separated", "ok"),
        (verdicts.separated(below(T.separated), (0, 0.1)), "overlapping", "watch"),
        (verdicts.separated(0.1, (0, 0.1)), "near chance", "bad"),
    ],
    "unmoved": [
        (verdicts.changed(0.9, 0.01, T.unmoved, 1), "no change", "ok"),
        (verdicts.changed(0.9, 0.01, above(T.unmoved), 1), "alike", "ok"),
    ],
    "unrelated": [
        (verdicts.changed(T.unrelated, 0, 1, 1), "unrelated", "bad"),
        (verdicts.changed(above(T.unrelated), 0, 1, 1), "changed", "watch"),
    ],
    "alike": [
        (verdicts.changed(T.alike, 0, 1, 1), "alike", "ok"),
        (verdicts.changed(below(T.alike), 0, 1, 1), "changed", "watch"),
        (verdicts.changed(1, 1, 1, 1), "alike", "ok"),
    ],
    "agrees": [
        (verdicts.agrees(0.9, below(T.agrees), 9, 0.5), "agrees", "ok"),
        (verdicts.agrees(0.9, T.agrees, 9, math.nan), "says nothing", "watch"),
        (verdicts.agrees(-0.9, 0.01, 9, 0.5), "misleads", "bad"),
        (verdicts.agrees(math.nan, math.nan, 2, math.nan), "cannot tell", "info"),
    ],
    "diverged_factor": [
        (verdicts.progress([3.0, T.diverged_factor * 4], 4.0), "rising", "watch"),
        (verdicts.progress([3.0, above(T.diverged_factor * 4)], 4.0), "diverged", "bad"),
    ],
}


@pytest.mark.parametrize(
    ("verdict", "word", "state"),
    [pytest.param(*case, id=f"{name}-{k}") for name, c in EDGES.items() for k, case in enumerate(c)],
)
def test_both_sides_of_each_edge(verdict, word, state):
    assert said(verdict) == (word, state)
    assert verdict.sentence.endswith(".")


def test_every_threshold_has_a_test():
    elsewhere = {"stuck_window", "stuck_share", "falling_share", "trend_window"}
    assert {field.name for field in dataclasses.fields(T)} == set(EDGES) | elsewhere


def test_the_margin_is_stuck_within_a_share_of_the_collapse_level():
    reach = T.stuck_share * 0.5
    assert stuck(0.5) == stuck(0.5 + 0.999 * reach) == stuck(0.5 - 0.999 * reach) == ("dead margin", "bad")
    assert stuck(0.5 + 1.001 * reach) == stuck(0.5 - 1.001 * reach) == ("alive", "ok")


def test_the_margin_is_stuck_after_a_whole_window():
    assert stuck(0.5, T.stuck_window - 1) == ("alive", "ok")
    moved = [0.9] + [0.5] * (T.stuck_window - 1)
    assert verdicts.dead_margin(moved, 0.5, 0.3, 0.5).word == "alive"
    assert verdicts.dead_margin([0.9, *[0.5] * T.stuck_window], 0.5, 0.3, 0.5).word == "dead margin"


def test_no_margin_and_no_active_pair():
    assert said(verdicts.dead_margin([0.1], 0, 0.3, asked=0)) == ("no margin", "watch")
    assert said(verdicts.dead_margin([0.0] * 30, 0.5, 0, asked=0.5)) == ("silent", "watch")
    assert said(verdicts.dead_margin([0.1] * 30, 0.5, 1e-9, asked=0.5)) == ("alive", "ok")


def test_a_loss_falls_or_rises_by_more_than_a_share_of_its_chance_level():
    assert trend(-1.001 * T.falling_share) == ("falling", "ok")
    assert trend(-0.999 * T.falling_share) == trend(0.999 * T.falling_share) == ("settled", "info")
    assert trend(1.001 * T.falling_share) == ("rising", "watch")
    assert trend(-1.001 * T.falling_share, chance=2.0) == ("settled", "info")


def test_the_trend_is_that_of_the_last_two_windows():
    old = [9.0] * 50
    assert verdicts.progress([*old, *[1.0] * 2 * T.trend_window], 10.0).word == "settled"
    assert verdicts.progress([*old, *[1.0] * (2 * T.trend_window - 1)], 10.0).word == "falling"
    assert verdicts.progress([2.0, 1.0], 4.0).word == "falling"
    assert verdicts.progress([2.0], 4.0).word == verdicts.progress([], 4.0).word == "just begun"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_has_diverged_for_good(bad):
    found = verdicts.progress([1.0, 1.0, bad, 1.0], 1.0)
    assert said(found) == ("diverged", "bad")
    assert "record 3" in found.sentence


def test_a_loss_below_zero_and_a_chance_level_of_zero_are_no_divergence():
    assert verdicts.progress([-3.0, -5.0], 4.0).word == "falling"
    assert verdicts.progress([0.0, 0.3], 0.0).word == "rising"
    assert verdicts.progress([0.0, 0.0], 0.0).word == "settled"


def test_a_class_is_held_against_guessing_and_against_the_others():
    assert said(verdicts.found_class(0.9, 50, 0.1, 0.9)) == ("as the rest", "ok")
    assert said(verdicts.found_class(0.7, 50, 0.1, 0.9)) == ("weak", "watch")
    assert said(verdicts.found_class(0.1, 50, 0.1, 0.9)) == ("lost", "bad")
    assert said(verdicts.found_class(0, 1, 0.1, 0.9)) == ("too few", "info")
    assert said(verdicts.found_class(0, 2, 0.1, 0.9)) == ("lost", "bad")


def test_silent_anchors_are_counted():
    assert said(verdicts.awake(0, 48)) == ("all awake", "ok")
    assert said(verdicts.awake(3, 48)) == ("3 silent", "watch")


def test_sentences_have_numbers_and_a_real_minus_sign():
    assert verdicts.aligned(40 / 48, 48, 1 / 48).sentence == "40 of 48 find their own partner first; guessing finds 1."
    assert "−3" in verdicts.progress([-1.0, -3.0], 1.0).sentence


def test_a_collapsed_encoder_is_seen_whatever_its_loss():
    """Without negatives, pulling pairs together costs nothing at one point."""
    for noise, word in ((0.0, "collapsed"), (0.02, "collapsed"), (1.0, "not collapsed")):
        z = F.normalize(unit(1, 16, 1) + noise * unit(64, 16, 2), dim=1)
        assert verdicts.collapsed(spread(z), effective_rank(z), max_rank(64, 16)).word == word
    two = torch.eye(16)[:1] * torch.tensor([[1.0], [-1.0]]).repeat(32, 1)
    assert verdicts.collapsed(spread(two), effective_rank(two), max_rank(64, 16)).word == "one line"


@pytest.mark.parametrize(("p", "loss"), [(Ranking(), ranking), (Triplet(), triplet)])
def test_a_hinge_at_collapse_is_a_dead_margin_and_a_healthy_one_is_alive(p, loss):
    def verdict(a: torch.Tensor, b: torch.Tensor) -> str:
        paid = loss(a.requires_grad_(), b, p)
        losses = [float(paid.total().detach())] * T.stuck_window
        active = active_share(forces(paid)[0], paid.pairs[0])
        return verdicts.dead_margin(losses, chance_level(p, len(a)), active, p.margin).word

    same = unit(1, 8, 1).repeat(24, 1)
    assert verdict(same.clone(), same) == "dead margin"
    assert verdict(unit(24, 8, 1), unit(24, 8, 2)) == "alive"
    assert verdict(torch.eye(24), torch.eye(24)) == "silent"


def test_the_chips_of_a_trained_and_an_untrained_batch():
    a, noise = unit(48, 24, 1), unit(48, 24, 2)
    words = []
    for b in (F.normalize(a + 0.2 * noise, dim=1), noise):
        paid = info_nce(a.clone().requires_grad_(), b, InfoNCE(temperature=0.05))
        kinds, found = by_kind(paid.pairs), retrieval(a, b)
        hardest = share_of_hardest(forces(paid)[0], paid.pairs[0])
        words.append(
            (
                verdicts.aligned(found.r1, found.n, found.chance1).word,
                verdicts.hills(overlap(histogram(kinds["positives"]), histogram(kinds["negatives"]))).word,
                verdicts.push(sum(hardest.share[:3]), hardest.silent).word,
            )
        )
    assert words == [("aligned", "apart", "hard first"), ("near chance", "overlapping", "hard first")]


def test_a_high_temperature_spreads_the_push():
    a, _ = groups(48, 24, 48)
    paid = info_nce(a.requires_grad_(), unit(48, 24, 3), InfoNCE(temperature=5))
    hardest = share_of_hardest(forces(paid)[0], paid.pairs[0])
    assert verdicts.push(sum(hardest.share[:3])).word == "spread out"
