"""Margins: the scene answers to its knobs, and the drawn margin is the recorded one, faults and all."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import streamlit as st

from core.diagnostics.scene import stand
from core.mixing.dmm import DynamicMixedMargin
from core.mixing.registry import MIXINGS, Plan
from dashboard import margin_view, panel
from dashboard.charts.chart import Chart
from dashboard.thumbnails import EMOJI
from tests.dashboard.apps import SMALL, link_of, opened, seen, train, well

DMM = SMALL | {"loss.kind": "ranking", "loss.margin": "0.4", "mixing.kind": "dmm"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    yield
    st.cache_resource.clear()


@pytest.fixture
def charts(monkeypatch) -> dict[str, Chart]:
    """Every chart that a page draws, by key, as the page made it."""
    drawn: dict[str, Chart] = {}
    draw = panel.draw
    monkeypatch.setattr(
        panel, "draw", lambda key, chart, **more: (drawn.update({key: chart}), draw(key, chart, **more))
    )
    return drawn


class Decaying(DynamicMixedMargin):
    """The fault of the released recommender code: the margin is multiplied for good on every call."""

    left = 1.0

    def plan(self, n, p, g, *, margin, z=None) -> Plan:
        right = super().plan(n, p, g, margin=margin, z=z)
        self.left *= float(right.lam[0])
        return Plan(right.lam, right.partner, right.margin * self.left)


def test_the_scene_is_on_the_screen_before_the_first_click(charts):
    found = seen(opened("margins"))
    assert set(charts) == {"scene", "leads", "lambda", "law", "margin", "ramp"}
    now = stand("apart", 0.54, 0.3, "lam")
    assert charts["leads"].columns["lead"] == [now.clean.lead, now.mixed.lead]
    assert charts["leads"].columns["asked"] == [0.3, now.mixed.asked]
    assert charts["scene"].columns["angle, degrees"] == pytest.approx(
        [now.angles[name] for name in ("anchor", "partner", "mixed", "own", "other")], abs=0.01
    )
    assert "alive" in found.panels["c_scene"].chip
    assert "15% of draws" in found.panels["c_lambda"].chip
    assert "Below λ = 0.57" in found.panels["c_lambda"].sentence


@pytest.mark.parametrize(
    ("link", "chip", "said"),
    [
        ({"scene.lam": "0.6"}, "silent", "nobody is pulled"),
        ({"scene.rule": "zero", "scene.lam": "0.6"}, "no margin", "nobody is pulled"),
        ({"scene.situation": "twins", "scene.lam": "0.8"}, "alive", "The clean pair asks too"),
        ({"scene.situation": "together", "scene.lam": "0.7"}, "alive", "The clean pair has fallen silent"),
    ],
)
def test_the_scene_follows_its_knobs(link, chip, said):
    found = seen(opened("margins", link)).panels["c_scene"]
    assert chip in found.chip
    assert said in found.sentence


def test_the_law_of_the_recipe_decides_the_share(charts):
    fixed = {"mixing.kind": "dmm", "mixing.law": "fixed", "mixing.fixed": "0.55", "mixing.margin": "0.3"}
    assert "100% of draws" in seen(opened("margins", fixed)).panels["c_lambda"].chip
    assert "0% of draws" in seen(opened("margins", fixed | {"mixing.fixed": "0.6"})).panels["c_lambda"].chip
    wide = {"mixing.kind": "dmm", "mixing.low": "0.2", "mixing.margin": "0.3"}
    opened("margins", wide)
    assert charts["lambda"].columns["lambda"][0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"mixing.unit": "step", "mixing.half": "7", "steps": "21"}, "from step 7 on; at the end, step 21, the mixed"),
        ({"mixing.unit": "step", "mixing.half": "30", "steps": "20"}, "stays below half its weight"),
        ({"mixing.unit": "step", "mixing.weight": "constant"}, "from step 0 on"),
    ],
)
def test_the_ramp_says_when_half_is_reached(link, said):
    assert said in seen(opened("margins", DMM | link)).panels["c_ramp"].sentence


def test_a_knob_of_the_recipe_changes_the_link_and_every_chart(charts):
    app = opened("margins", DMM)
    before = dict(charts)
    well(app.selectbox(key="mixing.law").set_value("fixed").run())
    assert link_of(app)["mixing.law"] == "fixed"
    assert charts["law"].columns != before["law"].columns
    assert "0% of draws" in seen(app).panels["c_lambda"].chip


def test_without_a_run_the_plans_are_those_that_a_run_would_draw(charts):
    found = seen(opened("margins", DMM))
    assert any("Not trained yet" in text for text in found.texts)
    planned = charts["margin"].columns["applied margin"]
    run = train(DMM)
    rows = run.metrics()
    assert planned == pytest.approx([row["margin"] for row in rows[: len(planned)]], abs=1e-6)
    assert planned == pytest.approx([0.4 * row["lam"] for row in rows[: len(planned)]], abs=1e-6)


def test_the_applied_margin_is_read_from_the_run(charts):
    run = train(DMM)
    found = seen(opened("margins", DMM))
    assert any("Read from the plans of your run" in text for text in found.texts)
    assert charts["margin"].columns["applied margin"] == [row["margin"] for row in run.metrics()]
    assert charts["margin"].columns["step"] == [row["step"] for row in run.metrics()]
    assert "as asked" in found.panels["c_margin"].chip
    assert sum(charts["law"].columns["draws"]) == len(run.metrics())


def falls(chart: Chart) -> bool:
    steps, margin = chart.columns["step"], chart.columns["applied margin"]
    return margin[-1] < 0.01 * margin[0] and float(np.polyfit(steps, margin, 1)[0]) < 0


@pytest.mark.parametrize("trained", [True, False])
def test_a_margin_multiplied_in_place_draws_a_falling_line(charts, monkeypatch, trained: bool):
    opened("margins", DMM)
    assert not falls(charts["margin"])
    monkeypatch.setitem(MIXINGS._entries, "dmm", replace(MIXINGS["dmm"], call=Decaying))
    if trained:
        train(DMM)
    found = seen(opened("margins", DMM))
    assert falls(charts["margin"])
    assert "not as asked" in found.panels["c_margin"].chip
    assert "departs from its rule" in found.panels["c_margin"].sentence


def test_dmm_is_taken_to_play_with_the_margin_of_the_scene():
    app = opened("margins", {"scene.margin": "0.4", "scene.rule": "constant"})
    app.button(key="use_dmm").click().run()
    link = link_of(well(app))
    assert (link["mixing.kind"], link["mixing.margin"], link["mixing.rule"]) == ("dmm", "0.4", "constant")


def test_the_mixed_picture_is_really_blended():
    """On white, every colour is the weighted mean of both pictures on white; the ends are the pictures themselves."""
    every = margin_view.blends().astype(float) / 255
    with np.load(EMOJI, allow_pickle=False) as arrays:
        two = arrays["noto"][margin_view._rows()].astype(float) / 255
    white = [p[..., :3] * p[..., 3:] + 1 - p[..., 3:] for p in (*two, *every)]
    anchor, partner, blended = white[0], white[1], white[2:]
    for percent in (0, 37, 54, 100):
        lam = percent / 100
        assert blended[percent] == pytest.approx(lam * anchor + (1 - lam) * partner, abs=0.012)
    assert float(np.abs(anchor - partner).mean()) > 0.1
