"""A picture that Papers opens shows what its sentence says, beside its control and for other draws of the batch."""

import re
from collections.abc import Callable
from statistics import fmean

import numpy as np
import pytest
import torch

from core.addresses import read
from core.diagnostics.loss_lens import pay, sample
from core.diagnostics.mixed_gaps import Activity, activity, made, plan_at
from core.diagnostics.push_spread import Spread
from core.paid import Role
from core.papers import Paper, papers
from core.runs.fit import check_fit
from dashboard.evidence_probes import errors, results_of
from dashboard.gap_view import setting
from dashboard.lab import data_of
from dashboard.link import DEFAULT
from dashboard.loss_panels import NEGATIVES
from dashboard.loss_view import Look, look, sample_of
from dashboard.paper_view import claim, control
from dashboard.view import View

SEEDS = (0, 1, 2)
PICTURES = [paper for paper in papers() if paper.look]
PANELS = re.compile(r"“([^”]+\?)”")
Claim = Callable[["Shot", "Shot"], None]
CLAIMS: dict[str, Claim] = {}


class Shot:
    """What Losses says of a view's batch."""

    def __init__(self, view: View, seed: int) -> None:
        self.p, self.sample = view.losses.open, sample_of(view.losses, seed)
        self.seen: Look = look(self.p, self.sample)

    @property
    def total(self) -> float:
        return self.seen.total

    @property
    def pull(self) -> float:
        return float(self.spread.pull.sum())

    @property
    def spread(self) -> Spread:
        assert self.seen.spread is not None
        return self.seen.spread

    @property
    def effective(self) -> float:
        """How many negatives share an anchor's push."""
        return float(self.spread.effective[self.spread.active].mean())

    @property
    def hardest(self) -> float:
        """Share of the push that the hardest fifth of the negatives take."""
        assert self.seen.rank is not None
        return sum(self.seen.rank.share[:3])

    @property
    def pushed(self) -> float:
        """Share of the negatives that are pushed."""
        return float((self.push(*NEGATIVES) > 0).mean())

    def push(self, *groups: str) -> np.ndarray:
        return self.seen.dots.push[self.seen.dots.of(*groups)]

    def scores(self, *groups: str) -> np.ndarray:
        return self.seen.dots.scores[self.seen.dots.of(*groups)]

    def rises(self, *groups: str) -> float:
        """Correlation of a pair's score with how hard it is moved; 0 where all are moved alike."""
        strength = np.abs(self.push(*groups))
        return 0.0 if np.ptp(strength) < 1e-12 else float(np.corrcoef(self.scores(*groups), strength)[0, 1])


def shows(paper: str) -> Callable[[Claim], Claim]:
    def keep(claimed: Claim) -> Claim:
        CLAIMS[paper] = claimed
        return claimed

    return keep


@shows("dcl")
def _(on: Shot, off: Shot) -> None:
    far, many = (on.sample._replace(closeness=0.3), on.sample._replace(n=32))
    elsewhere = [look(on.p, s).spread for s in (far, many)]
    assert [float(found.pull.sum()) for found in elsewhere if found] == pytest.approx([on.pull, on.pull], rel=1e-9)
    assert off.pull < 0.1 * on.pull


@shows("multiview")
def _(on: Shot, off: Shot) -> None:
    views = len(sample(on.p, on.sample)["views"])
    assert float(on.spread.push.sum()) == pytest.approx(views * on.pull, rel=1e-9)
    assert float(off.spread.push.sum()) == pytest.approx(off.pull, rel=1e-9)


@shows("cacr")
def _(on: Shot, off: Shot) -> None:
    assert on.rises("positive") < -0.5
    assert on.rises(*NEGATIVES) > 0.5
    assert off.rises("positive") == off.rises(*NEGATIVES) == 0
    assert on.hardest > off.hardest == pytest.approx(0.2)


@shows("msd_momentum")
def _(on: Shot, off: Shot) -> None:
    assert on.pushed < 0.9
    assert off.pushed == 1


@shows("local_global")
def _(on: Shot, off: Shot) -> None:
    labels = sample(on.p, on.sample)["labels"].repeat(len(sample(on.p, on.sample)["views"]))
    same = labels[:, None] == labels
    excluded, plain = (shot.seen.layers[0].role == Role.EXCLUDED for shot in (on, off))
    assert int(excluded.sum()) > int(plain.sum()) == len(labels)
    assert not (same & (on.seen.layers[0].role == Role.NEGATIVE)).any()
    assert (off.seen.layers[0].push[same & (off.seen.layers[0].role == Role.NEGATIVE)] > 0).all()


@shows("understanding_cl")
def _(on: Shot, off: Shot) -> None:
    others = on.sample.n - 1
    assert on.effective < others / 4
    assert on.hardest > 0.9
    assert off.effective > 0.9 * others


@shows("whitenedcse")
def _(on: Shot, off: Shot) -> None:
    assert on.scores("positive").mean() < off.scores("positive").mean()
    assert on.total > off.total


@shows("sft_vs_cl")
def _(on: Shot, off: Shot) -> None:
    assert on.rises(*NEGATIVES) > 0.9
    assert off.rises(*NEGATIVES) == 0
    assert on.hardest > off.hardest == pytest.approx(0.2)


@shows("csgcl")
def _(on: Shot, off: Shot) -> None:
    strength = sample(on.p, on.sample)["node_weight"].repeat(2)
    taken = [torch.where(x.role == Role.NEGATIVE, x.push, 0).sum(0) for x in (on.seen.layers[0], off.seen.layers[0])]
    leaning = [float(torch.corrcoef(torch.stack([strength, each]))[0, 1]) for each in taken]
    assert leaning[0] > 0.5 > leaning[1]
    assert on.effective < off.effective


@shows("mochi")
@shows("supremix")
def _(on: Shot, off: Shot) -> None:
    for shot in (on, off):
        assert on.scores("synthetic").max() > shot.scores("negative", "easy", "semi-hard", "hard").max()
    assert on.total > off.total


@shows("svco")
def _(on: Shot, off: Shot) -> None:
    assert on.seen.dots.counts["positive"] == 2 * off.seen.dots.counts["positive"]
    lifted = []
    for shot in (on, off):
        given = sample(shot.p, shot.sample)
        policy = given["log_prob_policy"].requires_grad_()
        (slope,) = torch.autograd.grad(pay(shot.p, given).total(), policy)
        lifted.append(-slope[1, 1])
    assert (lifted[0] > 0).all(), "the losing image is pulled to its own text"
    assert (lifted[1] == 0).all()


@shows("cwcl")
def _(on: Shot, off: Shot) -> None:
    assert on.pushed < 0.5
    assert off.pushed == 1
    assert (on.push("positive") > 0).any()
    sharp = look(on.p.model_copy(update={"sharpness": 16}), on.sample).dots
    assert (sharp.push[sharp.of("positive")] < 0).all()


@shows("feature_transform")
def _(on: Shot, off: Shot) -> None:
    assert on.scores("positive").mean() < off.scores("positive").mean()
    assert on.total > off.total


@shows("mclrec")
def _(on: Shot, off: Shot) -> None:
    apart = [x.push[x.role == Role.POSITIVE] > 0 for x in on.seen.layers]
    assert float(apart[1].double().mean()) > 0.9, "of the two learned views"
    assert not torch.cat([apart[0], *apart[2:]]).any()
    assert not (off.push("positive") > 0).any()


@shows("m3col")
def _(on: Shot, off: Shot) -> None:
    assert on.pushed < off.pushed == 1
    assert (on.push(*NEGATIVES) < 0).any()


def both(paper: Paper) -> tuple[View, View]:
    return claim(paper, DEFAULT), control(paper, DEFAULT)


@pytest.mark.parametrize("paper", PICTURES, ids=lambda paper: paper.id)
def test_a_picture_and_its_control_are_links_that_are_understood(paper: Paper):
    shown, refused = read(paper.open.link, DEFAULT)
    assert refused == read(paper.control, shown)[1] == []
    on, off = both(paper)
    assert on.papers.shown == off.papers.shown == paper.id
    assert (on != off) == bool(paper.control)
    assert paper.look.endswith(".")
    assert not paper.weak or paper.weak.endswith(".")
    assert not re.search(r"\d", re.sub(PANELS, "", paper.look + paper.weak)), "a number that nothing computes"
    for view in (on, off) if paper.open.page == "play" else ():
        for recipe in (view.recipe(), view.second()) if view.lane.on else (view.recipe(),):
            check_fit(recipe, data_of(recipe))


def test_every_picture_of_a_batch_is_computed_and_what_shows_nowhere_says_what_is_missing():
    assert set(CLAIMS) == {paper.id for paper in PICTURES if paper.open.page == "losses"}
    assert [paper.id for paper in papers() if not paper.look and not paper.missing] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("paper", [p for p in PICTURES if p.open.page == "losses"], ids=lambda paper: paper.id)
def test_the_claim_shows_on_the_batch_and_not_in_the_control(paper: Paper, seed: int):
    on, off = both(paper)
    CLAIMS[paper.id](Shot(on, seed), Shot(off, seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_dmm_wakes_pairs_that_a_hinge_has_left_and_so_does_a_larger_margin(seed: int):
    (dmm,) = (paper for paper in PICTURES if paper.id == "dmm")

    def clean(view: View) -> Activity:
        return activity(setting(view.lab), made(setting(view.lab), seed))

    on, off = both(dmm)
    asked, batch = setting(on.lab), made(setting(on.lab), seed)
    mixed = activity(asked, batch, plan_at(asked, batch, seed, on.lab.lam))
    assert clean(on).silent == 1
    assert mixed.silent < 0.2
    assert clean(off).silent == 0


def test_cleaning_finds_the_class_means_where_labels_are_wrong_and_not_where_none_is():
    (rcal,) = (paper for paper in PICTURES if paper.id == "rcal")
    by_noise = results_of("calibration")["noises"]
    wrong, right = (by_noise[view.evidence.noise] for view in both(rcal))
    assert fmean(errors(wrong, "lof")) < fmean(errors(wrong, "raw"))
    assert fmean(seed["accuracy"]["lof"] for seed in wrong) > fmean(seed["accuracy"]["raw"] for seed in wrong)
    assert fmean(errors(right, "lof")) > fmean(errors(right, "raw"))
