"""Gradients: what the page draws is what the loss does, pair by pair."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
import torch
from torch import Tensor

from core.diagnostics.gap_forms import expected_push, partner_probability
from core.diagnostics.mixed_gaps import Setting, activity, averaged, made, plan_at
from core.diagnostics.synthetic import Batch, of_pairs_alone, pay, synthetic
from core.losses.registry import LOSSES, LossEntry
from core.losses.triplet import Triplet
from core.paid import Paid, Term
from core.streams import stream
from dashboard import gap_view, gradient_view, panel
from dashboard.charts.chart import Chart
from dashboard.view import Pairs
from tests.dashboard.apps import SMALL, link_of, opened, seen, train, view_of, well

WITH_SCORES = [
    "alignment",
    "angular",
    "bpr",
    "clip",
    "contrastive",
    "coot",
    "dcl",
    "gmc",
    "info_nce",
    "nt_xent",
    "ranking",
    "siglip",
    "supcon",
    "triplet",
]  # the scores of all losses are nudged one by one on the page of losses
KINDS = [*WITH_SCORES, "cycle"]
BEYOND = ["mv_dhel", "moco", "hard_contrastive", "sbcl", "rerank_cl"]  # views, a bank, a plan, clusters, scores
STEP = 1e-5


@pytest.fixture
def charts(monkeypatch) -> dict[str, Chart]:
    """Every chart that a page draws, by key, as the page made it."""
    drawn: dict[str, Chart] = {}
    draw = panel.draw
    monkeypatch.setattr(
        panel, "draw", lambda key, chart, **more: (drawn.update({key: chart}), draw(key, chart, **more))
    )
    return drawn


def shown_batch(n: int, seed: int = 0) -> Batch:
    """The batch that the page shows by default, with n pairs."""
    p = Pairs(n=n)
    return synthetic(n, p.dim, p.closeness, p.spread, stream(seed, "pairs"))


class Nudge:
    """Adds a number to one score of the first matrix that a loss computes, wherever it computes it."""

    def __init__(self, monkeypatch) -> None:
        self.at, self.by = (0, 0), 0.0
        LOSSES.keys()
        for name, module in list(sys.modules.items()):
            if name.startswith("core.losses.") and name != "core.losses.scores":
                for function, sign in (("similarity", 1), ("distance", -1)):
                    if made := getattr(module, function, None):
                        monkeypatch.setattr(module, function, self._nudged(made, sign))

    def _nudged(self, made, sign: int):
        def nudged(*given) -> Tensor:
            scores = made(*given).clone()
            if self.by:
                scores[self.at] += sign * self.by
            self.by = 0.0
            return scores

        return nudged


@pytest.mark.parametrize("kind", WITH_SCORES)
def test_the_force_on_the_page_is_the_slope_of_the_loss(kind: str, charts, monkeypatch):
    n = 6
    link = {"loss.kind": kind, "pairs.n": str(n)}
    app = opened("gradients", link)
    table = charts["microscope"].columns
    made, p = shown_batch(n), view_of(link).loss
    rows = n * (2 if len(table["force"]) > n * n else 1)
    nudge = Nudge(monkeypatch)

    def total(by: float) -> float:
        nudge.by = by
        return float(pay(p, made.a, made.b, made.labels).total())

    slopes = []
    for i in range(rows):
        for j in range(rows):
            nudge.at = (i, j)
            slopes.append((total(STEP) - total(-STEP)) / (2 * STEP))
    assert len(table["force"]) == rows * rows
    assert np.abs(np.array(slopes)).max() > 0.001
    assert np.array(table["force"]) == pytest.approx(-np.array(slopes), abs=1e-4)
    assert seen(app).panels["c_microscope"].title == "Which pairs move?"


def test_a_loss_of_bags_shows_the_motion_of_one_bag(charts):
    app = opened("gradients", {"loss.kind": "cycle", "mixing.kind": "dmm"})
    assert set(charts) == {"microscope"}
    assert any(LOSSES["cycle"].formula in text for text in seen(app).texts)


@pytest.mark.parametrize("kind", WITH_SCORES)
def test_every_loss_has_its_page(kind: str, charts):
    app = opened("gradients", {"loss.kind": kind, "mixing.kind": "dmm", "mixing.margin": "0.3"})
    assert {"microscope", "curves", "rank", "hardness", "strength"} == set(charts)
    for key in ("rank", "hardness"):
        table = charts[key].columns
        assert sum(table["share of pairs"]) == pytest.approx(1, abs=1e-12)
        assert sum(table["share of push"]) in (0, pytest.approx(1, abs=1e-12))
    silent = sum(charts["rank"].columns["share of push"]) == 0
    assert silent == (kind == "alignment")
    assert any(LOSSES[kind].formula in text for text in seen(app).texts)


def test_hinge_pairs_beyond_the_margin_are_exactly_zero(charts):
    n, margin = 12, 0.2
    opened("gradients", {"loss.kind": "ranking", "loss.margin": str(margin), "pairs.n": str(n)})
    pull = np.array(charts["microscope"].columns["force"]).reshape(n, n)
    made = shown_batch(n)
    scores = (made.a @ made.b.T).numpy()
    for i in range(n):
        for j in range(n):
            if i != j:
                asks = sum(bool(scores[k, k] - scores[i, j] < margin) for k in (i, j))
                assert pull[i, j] == (0 if not asks else pytest.approx(-asks / n**2))
    assert (pull == 0).any()
    assert (pull < 0).any()


def test_a_silent_batch_says_so(charts):
    app = opened("gradients", {"loss.kind": "ranking", "pairs.closeness": "0.9", "pairs.spread": "0", "pairs.n": "8"})
    found = seen(app)
    assert "nobody is" in found.panels["c_microscope"].sentence
    assert "8 silent" in found.panels["c_microscope"].chip
    assert "silent" in found.panels["c_rank"].chip
    assert set(charts["microscope"].columns["force"]) == {0}


def test_the_numbers_follow_the_seed_and_nothing_else(charts):
    def forces(**link: str) -> list[float]:
        opened("gradients", {"pairs.n": "8"} | {name.replace("__", "."): value for name, value in link.items()})
        return charts["microscope"].columns["force"]

    first = forces()
    assert first == forces()
    assert first != forces(seed="1")
    assert first != forces(loss__kind="nt_xent")
    assert first != forces(pairs__closeness="0.2")
    assert first == forces(scene__lam="0.7")


def test_a_recorded_batch_of_a_run_is_shown_under_any_loss(charts, monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    run = train(SMALL | {"loss.kind": "info_nce"})
    arrays = run.snapshot(run.snapshots()[-1])
    a, b = (torch.from_numpy(z).double() for name, z in arrays.items() if name.startswith("z."))
    link = SMALL | {"loss.kind": "triplet", "pairs.source": "run", "run": run.path.name}
    app = opened("gradients", link)
    n = min(len(a), gradient_view.MOST)
    distance = torch.cdist(a[:n], b[:n])
    d, nearest = distance.diagonal(), distance.clone().fill_diagonal_(torch.inf).min(1)
    asks = (d + 0.5 - nearest.values > 0).tolist()
    pull = np.array(charts["microscope"].columns["force"]).reshape(24, 24)
    for i in range(24):
        assert pull[i, i] == pytest.approx(asks[i] / n)
    assert f"recorded at step {run.snapshots()[-1]}" in " ".join(seen(app).texts)


def test_without_a_run_the_page_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    app = opened("gradients", {"pairs.source": "run"})
    assert any("no run yet" in text for text in seen(app).texts)
    assert [button.label for button in app.button] == ["Train one on Play"]


def test_dmm_is_switched_on_where_it_is_missed(charts):
    app = opened("gradients", {"loss.kind": "triplet"})
    assert "strength" not in charts
    well(app.button(key="mix").click().run())
    assert "strength" in charts
    assert link_of(app)["mixing.kind"] == "dmm"


def test_a_loss_without_scores_shows_the_motion(charts):
    def planted(a: Tensor, b: Tensor, p: Triplet) -> Paid:
        """Pays for the pairs alone and shows no scores."""
        return Paid({"": Term(-(a * b).sum(1))})

    class Planted(Triplet):
        kind: str = "planted"

    entry = LossEntry(title="Planted", params=Planted, call=planted, source="", formula="-s_{ii}")
    LOSSES.add(entry)
    try:
        where = gradient_view.Where(Pairs(n=5), 0)
        found = gradient_view.look(Planted(), where)
        made = shown_batch(5)
        assert (found.is_force, found.rank, found.hard, found.active) == (False, None, None, None)
        for i in range(5):
            s = float(made.a[i] @ made.b[i])
            assert found.pull[i, i] == pytest.approx(2 * (1 - s * s) / 5)
    finally:
        LOSSES.remove("planted")


def test_both_views_of_an_item_stand_side_by_side(charts):
    opened("gradients", {"loss.kind": "nt_xent", "pairs.n": "30"})
    table = charts["microscope"].columns
    assert sorted(set(table["anchor"])) == sorted([chr(65 + k) + prime for k in range(12) for prime in ("", "′")])
    strongest = int(np.argmax(table["force"]))
    assert table["anchor"][strongest].rstrip("′") == table["candidate"][strongest].rstrip("′")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("info_nce", r"-\log\frac{e^{(s_{ii}-{0})/{0.1}}}{e^{(s_{ii}-{0})/{0.1}}+\sum_{j\neq i}e^{s_{ij}/{0.1}}}"),
        ("ranking", r"\frac1{B^2}\sum_{j\neq i}\left([{0.2}+s_{ij}-s_{ii}]_+ + [{0.2}+s_{ji}-s_{ii}]_+\right)"),
        ("triplet", r"[{0.5}+d(a_i,b_i)-\min_{j\neq i}d(a_i,b_j)]_+"),
        ("alignment", LOSSES["alignment"].formula),
    ],
)
def test_the_formula_with_its_numbers(kind: str, said: str):
    assert gradient_view.numbered(LOSSES[kind].formula, LOSSES[kind].params()) == said


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_anchors_pay_averages_to_the_loss(kind: str):
    found = gradient_view.look(LOSSES[kind].params(), gradient_view.Where(Pairs(n=9), 3))
    if kind in ("coot", "cycle"):
        assert found.paid is None, "its cycles are paid for by bags, not by anchors"
        return
    assert found.paid is not None
    assert float(found.paid.mean()) == pytest.approx(found.total)


LAB = {"pairs.part": "lab"}
PANELS = {"clean", "mixed", "counters", "gaps", "hardness", "partner", "softmax"}


def test_the_lab_shows_why_easy_pairs_fall_silent_and_what_wakes_them(charts):
    found = seen(opened("gradients", LAB)).panels
    assert set(charts) == PANELS
    s = Setting()
    batch = made(s, 0)
    assert charts["clean"].columns["kind"] == []
    assert "everyone is silent" in found["c_clean"].sentence
    assert "64 silent" in found["c_clean"].chip
    plan = plan_at(s, batch, 0, 0.6)
    mixed = activity(s, batch, plan)
    table = charts["mixed"].columns
    lit = {(i, j) for i, j, kind in zip(table["picture"], table["name"], table["kind"], strict=True) if kind == "mixed"}
    assert lit == {(i, 63 - i) for i in range(64) if mixed.weight[i, 63 - i] > 0}
    assert len(lit) > 5
    others = [kind for kind in table["kind"] if kind == "negatives"]
    assert len(others) + len(lit) == int((mixed.weight > 0).sum())
    counted = dict(zip(charts["counters"].columns["what"], charts["counters"].columns["mixed"], strict=True))
    mean = averaged(s, batch, 0, gap_view.PLANS, even=True)
    assert list(counted.values()) == pytest.approx([mean.share, mean.partner, mean.silent])
    assert charts["counters"].columns["clean"] == [0, 0, 1]


def test_the_pictures_that_move_are_marked_on_the_diagonal(charts):
    opened("gradients", LAB | {"lab.lam": "0.55"})
    table = charts["mixed"].columns
    cells = list(zip(table["picture"], table["name"], table["kind"], strict=True))
    moving = {k for i, j, kind in cells if kind != "positives" for k in (i, j)}
    assert {i for i, j, kind in cells if kind == "positives" and i == j} == moving


@pytest.mark.parametrize(
    ("link", "panel", "said"),
    [
        ({"lab.closeness": "0.2"}, "clean", "(theory: 50%)"),
        ({"lab.lam": "0.5"}, "gaps", "pushed at any gap: 100%"),
        ({"lab.lam": "1"}, "mixed", "Everyone is silent"),
        ({"lab.target": "mask_partner"}, "mixed", "**0%** of them"),
        ({"lab.rule": "zero"}, "partner", "**0%** of all draws"),
        ({"lab.family": "softmax"}, "counters", "clean"),
        ({"lab.each": "sample"}, "mixed", "of them still asked for"),
        ({"lab.family": "logistic"}, "clean", "of full strength"),
        ({"lab.family": "angular"}, "gaps", "an angle in radians"),
        ({"lab.closeness": "0.8"}, "partner", "pushed in **14%** of all draws"),
        ({"lab.closeness": "0.8"}, "softmax", "has 0.0007 left to learn"),
    ],
)
def test_the_lab_says_what_it_counts(link, panel: str, said: str):
    assert said in seen(opened("gradients", LAB | link)).panels[f"c_{panel}"].sentence


def test_the_closed_forms_are_drawn_with_their_counted_dots(charts):
    opened("gradients", LAB | {"lab.margin": "0.3", "lab.temperature": "0.1"})
    for key, exact in (
        ("partner", lambda gap: partner_probability(gap, 0.3)),
        ("softmax", lambda gap: expected_push(gap, 0.3, 0.1)),
    ):
        rows = charts[key].columns
        title = next(name for name in rows if name not in ("curve", "gap"))
        drawn = list(zip(rows["curve"], rows["gap"], rows[title], strict=True))
        gap = torch.tensor([x for curve, x, _ in drawn if curve == "mixed"], dtype=torch.float64)
        assert [y for curve, _, y in drawn if curve == "mixed"] == pytest.approx(exact(gap).tolist())
        dots = [(x, y) for curve, x, y in drawn if curve == "counted"]
        assert len(dots) == 10
        for x, y in dots:
            assert y == pytest.approx(float(exact(torch.tensor([x], dtype=torch.float64))), abs=0.16)


def test_a_slider_of_the_lab_moves_the_link_and_only_what_depends_on_it(charts):
    app = opened("gradients", LAB)
    before = {key: chart.columns for key, chart in charts.items()}
    well(app.select_slider(key="lab.lam").set_value(0.55).run())
    assert link_of(app) == LAB | {"lab.lam": "0.55"}
    assert {key for key in before if charts[key].columns != before[key]} == {"mixed"}
    well(app.select_slider(key="lab.closeness").set_value(0.3).run())
    assert charts["hardness"].columns == before["hardness"]
    assert charts["clean"].columns != before["clean"]


@pytest.mark.parametrize("family", ["hinge", "softmax", "logistic", "angular"])
@pytest.mark.parametrize("partner", ["roll", "shuffle", "derangement", "hard", "farthest"])
def test_every_partner_has_its_cells(charts, family: str, partner: str):
    link = {"lab.partner": partner, "lab.family": family, "lab.lam": "0.5", "lab.n": "9", "lab.dim": "16"}
    opened("gradients", LAB | link)
    s = Setting.model_validate({"partner": partner, "family": family, "n": 9, "dim": 16})
    plan = plan_at(s, made(s, 0), 0, 0.5)
    table = charts["mixed"].columns
    lit = {(i, j) for i, j, kind in zip(table["picture"], table["name"], table["kind"], strict=True) if kind == "mixed"}
    assert lit
    assert lit <= {(i, int(j)) for i, j in enumerate(plan.partner) if i != j}


def test_the_lab_of_an_odd_batch_and_of_the_smallest_one_has_every_panel(charts):
    for link in ({"lab.n": "5"}, {"lab.n": "4", "lab.dim": "4", "lab.spread": "0.5"}, {"lab.margin": "0"}):
        opened("gradients", LAB | link)
        assert set(charts) == PANELS


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    st.cache_resource.clear()


@pytest.mark.parametrize("kind", BEYOND)
def test_a_loss_of_more_than_pairs_is_sent_to_its_own_page(kind: str):
    assert not of_pairs_alone(LOSSES[kind].params())
    app = opened("gradients", {"loss.kind": kind})
    assert any("takes more than pairs; open it on Losses" in each.value for each in app.error)
