"""Losses: any registered loss is found, opened and looked at, and every number is that of the batch shown."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
import torch

from core.diagnostics.loss_lens import Sample, lens, pay, sample
from core.diagnostics.synthetic import synthetic
from core.loss_search import find
from core.losses.info_nce import InfoNCE
from core.losses.registry import LOSSES
from core.losses.siglip import SigLIP
from core.losses.triplet import Triplet
from core.recipe import Recipe
from core.runs.fit import check_fit
from core.streams import stream
from dashboard import loss_finder, loss_view, panel
from dashboard.charts.chart import Chart
from dashboard.gradient_view import brief, numbered
from dashboard.lab import data_of
from dashboard.link import DEFAULT
from dashboard.view import Losses
from tests.dashboard.apps import link_of, numbers_in, opened, seen, view_of, well

KINDS = LOSSES.keys()
SMALL = {"losses.n": "8", "losses.dim": "16"}
S = Sample(n=8, dim=16)
WITHOUT_ROWS = "This does not apply here"


@pytest.fixture
def charts(monkeypatch) -> dict[str, Chart]:
    """Every chart that a page draws, by key, as the page made it."""
    drawn: dict[str, Chart] = {}
    draw = panel.draw
    monkeypatch.setattr(
        panel, "draw", lambda key, chart, **more: (drawn.update({key: chart}), draw(key, chart, **more))
    )
    return drawn


def listed(app) -> list[str]:
    """The losses in the list, in their order."""
    return [button.key.removeprefix("open_") for button in app.button if (button.key or "").startswith("open_")]


def said(app) -> str:
    return "\n".join(seen(app).texts)


def other_part(part: str) -> dict[str, str]:
    return {} if part == "push" else {"losses.part": part}


@pytest.mark.parametrize("part", ["push", "price"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_has_its_page(kind: str, part: str, charts):
    entry = LOSSES[kind]
    app = opened("losses", SMALL | {"losses.open": kind} | other_part(part))
    text = said(app)
    p = entry.params()
    assert entry.title in [heading.value for heading in app.subheader]
    assert entry.formula in [each.value.strip().strip("$").strip() for each in app.latex]
    assert entry.source in text
    assert loss_finder.MARK[entry.origin][0] in text
    assert entry.summary in text
    assert f"**{brief(float(pay(p, sample(p, S)).total()))}**" in text
    for name in entry.needed:
        assert f"- {name} (" in text
    assert f"core/losses/{entry.call.__module__.rpartition('.')[2]}.py" in text
    for field in ("permutation", "pulls", "pushes", "margin"):
        if isinstance(reason := getattr(entry.claims, field), str):
            assert reason in text
    for relative, how in entry.relations.items():
        if relative in KINDS:
            assert how in text
    assert "microscope" in charts
    expected = {"curves", "rank", "effective", "balance"} if part == "push" else {"curves", "surface", "marks"}
    missing = expected - set(charts)
    assert text.count(WITHOUT_ROWS) == len(missing)
    assert "nan" not in text
    dots_are_the_pairs_of_the_batch(kind, charts)


def dots_are_the_pairs_of_the_batch(kind: str, charts) -> None:
    table = charts["microscope"].columns
    found = lens(LOSSES[kind].params(), S)
    scores = torch.cat([layer.scores.flatten() for layer in found.layers])
    push = torch.cat([layer.push.flatten() for layer in found.layers])
    score, strength = (table[name] for name in list(table)[1:])
    assert score == pytest.approx(scores.tolist())
    assert strength == pytest.approx(push.abs().tolist())
    if "rank" in charts:
        shares = charts["rank"].columns["share of push"]
        assert sum(shares) in (0, pytest.approx(1, abs=1e-12))
        assert sum(charts["rank"].columns["share of pairs"]) == pytest.approx(1, abs=1e-12)


def test_the_force_on_the_page_is_the_slope_of_the_loss(charts):
    opened("losses", SMALL | {"losses.open": "siglip"})
    made = synthetic(8, 16, 0.5, 0.3, stream(0, "pairs"))
    scores, p = made.a @ made.b.T, SigLIP()

    def paid(s: torch.Tensor) -> float:
        sign = 2 * torch.eye(8, dtype=s.dtype) - 1
        return float(torch.nn.functional.softplus(-sign * (s / p.temperature + p.bias)).sum(1).mean())

    table = charts["microscope"].columns
    for place in range(64):
        bump = torch.zeros(64, dtype=torch.float64)
        bump[place] = 1e-6
        slope = (paid(scores + bump.reshape(8, 8)) - paid(scores - bump.reshape(8, 8))) / 2e-6
        assert table["force"][place] == pytest.approx(abs(slope), abs=1e-7)
    diagonal = [place for place, group in enumerate(table["group"]) if group == "positive"]
    assert diagonal == list(range(0, 64, 9))


def test_hard_and_easy_are_told_by_the_score(charts):
    opened("losses", SMALL | {"losses.open": "info_nce", "losses.open.margin": "0.3"})
    table = charts["microscope"].columns
    scores = np.array(table["score"]).reshape(8, 8)
    groups = np.array(table["group"]).reshape(8, 8)
    for i in range(8):
        for j in range(8):
            lead = scores[i, i] - scores[i, j]
            expected = "positive" if i == j else "hard" if lead < 0 else "semi-hard" if lead < 0.3 else "easy"
            assert groups[i, j] == expected


def test_the_motion_is_shown_where_it_is_asked_for(charts):
    opened("losses", SMALL | {"losses.weight": "motion"})
    found = lens(LOSSES["info_nce"].params(), S).motion
    assert found is not None
    assert charts["microscope"].columns["motion"] == pytest.approx(found.push.abs().flatten().tolist())


def test_a_sentence_repeats_what_is_drawn(charts):
    app = opened("losses", SMALL)
    panels = seen(app).panels
    rank = charts["rank"].columns["share of push"]
    told = numbers_in(panels["c_rank"].sentence)
    assert told[3:6] == [round(100 * sum(rank[:k])) for k in (1, 2, 3)]
    effective = charts["effective"].columns["effective negatives"]
    assert f"**{np.mean(effective):.1f}**" in panels["c_effective"].sentence
    pull, push = (charts["balance"].columns[name] for name in ("pull", "push"))
    assert sum(pull) == pytest.approx(sum(push))
    assert "8 of 8 anchors" in panels["c_balance"].sentence


def test_a_silent_batch_says_so(charts):
    app = opened("losses", SMALL | {"losses.open": "ranking", "losses.closeness": "0.99", "losses.spread": "0"})
    panels = seen(app).panels
    assert "Nobody moves" in panels["c_microscope"].sentence
    assert "silent" in panels["c_microscope"].chip
    assert "silent" in panels["c_rank"].chip
    assert set(charts["microscope"].columns["force"]) == {0}


def test_the_numbers_follow_what_they_are_of_and_nothing_else(charts):
    def forces(**link: str) -> list[float]:
        opened("losses", SMALL | {name.replace("__", "."): value for name, value in link.items()})
        return charts["microscope"].columns["force"]

    first = forces()
    assert first == forces()
    assert first != forces(seed="1")
    assert first != forces(losses__open="nt_xent")
    assert first != forces(losses__open__temperature="0.5")
    assert first != forces(losses__closeness="0.2")
    assert first == forces(loss__kind="triplet")
    assert first == forces(losses__find="triplet")


def test_at_most_a_share_of_very_many_dots_is_drawn_and_all_can_be_saved(charts):
    opened("losses", {"losses.open": "gmc", "losses.n": "64"})
    chart = charts["microscope"]
    assert len(chart.columns["score"]) == 3 * 128 * 128
    assert sum(len(series["data"]) for series in chart.spec["series"]) < 6000


def test_a_word_narrows_the_list_and_stands_in_the_link():
    app = opened("losses")
    well(app.text_input(key="losses.find").set_value("triplet").run())
    assert listed(app) == [entry.key for entry in find("triplet")][: loss_finder.FIRST]
    assert listed(app)[0] == "triplet"
    assert link_of(app) == {"losses.find": "triplet"}
    assert f"{len(find('triplet'))} of {len(LOSSES)} losses answer" in said(app)


def test_a_family_and_what_one_has_narrow_together():
    link = {"losses.family": "softmax", "losses.have": "pairs,labels", "losses.whole": "on"}
    app = opened("losses", link)
    assert listed(app) == [entry.key for entry in find("", "softmax", ("pairs", "labels"))]
    assert "supcon" in listed(app)
    assert link_of(app) == link


def test_nothing_found_says_so_and_offers_the_way_back():
    app = opened("losses", {"losses.find": "zebra", "losses.family": "hinge", "losses.have": "pairs"})
    assert listed(app) == []
    assert f"None of the {len(LOSSES)} losses answers" in said(app)
    well(app.button(key="clear").click().run())
    assert link_of(app) == {}
    assert len(listed(app)) == loss_finder.FIRST


def test_the_whole_list_is_one_button_away():
    app = opened("losses")
    well(app.button(key="whole").click().run())
    assert sorted(listed(app)) == sorted(KINDS)
    well(app.button(key="whole").click().run())
    assert len(listed(app)) == loss_finder.FIRST


def test_a_loss_opens_by_its_name_and_by_its_relatives():
    app = opened("losses", {"losses.find": "dcl"})
    well(app.button(key="open_dcl").click().run())
    assert link_of(app) == {"losses.find": "dcl", "losses.open.kind": "dcl"}
    assert LOSSES["dcl"].title in [heading.value for heading in app.subheader]
    relative = next(iter(LOSSES["dcl"].relations))
    well(app.button_group(key="relatives_dcl").set_value(relative).run())
    assert LOSSES[relative].title in [heading.value for heading in app.subheader]


def test_a_link_restores_loss_knobs_batch_and_charts():
    link = {
        "losses.anchor": "3",
        "losses.closeness": "0.33",
        "losses.n": "12",
        "losses.open.kind": "triplet",
        "losses.open.margin": "1.2",
        "losses.part": "price",
        "losses.surface": "push",
    }
    app = opened("losses", link)
    assert link_of(app) == link
    assert app.select_slider(key="losses.open.margin").value == 1.2
    assert seen(app).panels["c_surface"].title == "Where is the push strong?"
    again = opened("losses", link_of(app))
    assert seen(again) == seen(app)


def test_an_unknown_loss_in_the_link_is_named_and_the_default_stands():
    app = opened("losses", {"losses.open": "nonsense", "losses.family": "no such", "losses.have": "pairs,gold"})
    (warning,) = app.warning
    for address in ("losses.open=nonsense", "losses.family=no such", "losses.have=pairs,gold"):
        assert address in warning.value
    assert "expected one of" in warning.value
    assert "InfoNCE" in [heading.value for heading in app.subheader]
    assert link_of(app) == {}


def test_a_knob_moves_its_own_loss_and_not_the_recipe():
    app = opened("losses", SMALL)
    well(app.select_slider(key="losses.open.margin").set_value(0.2).run())
    assert link_of(app) == SMALL | {"losses.open.margin": "0.2"}
    assert numbered(LOSSES["info_nce"].formula, InfoNCE(margin=0.2)) in "".join(each.value for each in app.latex)


@pytest.mark.parametrize("kind", KINDS)
def test_the_way_to_play_fits_or_says_what_is_missing(kind: str):
    p = LOSSES[kind].params()
    target, why = loss_view.way_to_play(p, DEFAULT)
    if target is None:
        assert why.startswith("Play cannot train it yet: ")
        return
    recipe = target.recipe()
    assert recipe.loss == p
    assert Recipe.model_validate(recipe.model_dump()) == recipe
    check_fit(recipe, data_of(recipe))


@pytest.mark.parametrize("kind", ["moco", "mochi", "feature_transform"])
def test_a_loss_with_a_bank_is_taken_to_a_queue_that_the_data_can_fill(kind: str):
    target, why = loss_view.way_to_play(LOSSES[kind].params(), DEFAULT)
    assert target is not None
    assert why == "the data you have there, Queue and teacher"
    assert target.method.kind == "queue"
    assert target.method.size == len(data_of(DEFAULT.recipe()).split.train)
    assert target.method.batch == DEFAULT.method.batch


def test_what_play_trains_keeps_the_data_that_stand_there():
    link = {"data.kind": "circle", "encoder.dim": "2"}
    target, why = loss_view.way_to_play(Triplet(margin=1), view_of(link))
    assert why == "the data you have there"
    assert target is not None
    assert (target.data.kind, target.loss.margin) == ("circle", 1)


def test_the_button_takes_the_loss_to_play(monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    app = opened("losses", {"losses.open": "triplet", "losses.open.margin": "1.1"})
    well(app.button(key="take").click().run())
    assert app.session_state["view"].loss == Triplet(margin=1.1)
    assert "What does this loss do to the points?" in [heading.value for heading in app.subheader]


def test_at_most_six_controls_are_in_sight():
    app = opened("losses")
    inside = {"losses.anchor", "losses.surface", "losses.dim", "losses.spread", "seed", "losses.have", "losses.family"}
    kinds = (app.select_slider, app.slider, app.selectbox, app.text_input, app.number_input, app.button_group)
    keys = {widget.key for kind in kinds for widget in kind} - inside - {f"relatives_{InfoNCE().kind}"}
    assert len(keys) <= 6, keys


def test_the_batch_is_that_of_the_knobs():
    now = Losses(n=11, closeness=0.25, spread=0.1, dim=9)
    assert loss_view.sample_of(now, 5) == Sample(11, 0.25, 5, 9, 0.1)
    assert math.isfinite(loss_view.look(now.open, loss_view.sample_of(now, 5)).total)


@pytest.fixture(scope="module", autouse=True)
def fresh() -> Iterator[None]:
    yield
    st.cache_resource.clear()
