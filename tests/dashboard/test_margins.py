"""Margins: the scene answers to its knobs, and the drawn margin is the recorded one, faults and all."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
import torch

from core.diagnostics.released_margin import broadcast_hinge, margin_course, users
from core.diagnostics.scene import SITUATIONS, stand
from core.diagnostics.two_pairs import phase
from core.mixing.dmm import DynamicMixedMargin
from core.mixing.registry import MIXINGS, Plan
from core.streams import stream
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

    def plan(self, n, p, g, known) -> Plan:
        right = super().plan(n, p, g, known)
        Decaying.left *= float(right.lam[0])
        return Plan(right.lam, right.partner, right.margin * Decaying.left)


def test_the_scene_is_on_the_screen_before_the_first_click(charts):
    found = seen(opened("margins"))
    assert set(charts) == {"scene", "leads", "lambda", "lens", "law", "margin", "ramp"}
    now = stand(SITUATIONS["apart"], 0.54, 0.3, "lam")
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
    monkeypatch.setattr(Decaying, "left", 1.0)
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


def test_the_gap_is_slid_and_a_situation_is_a_place_of_the_sliders(charts):
    app = opened("margins", {"scene.gap": "28"})
    assert app.segmented_control(key="situation").value == "twins"
    assert "The clean pair asks too" in seen(app).panels["c_scene"].sentence
    well(app.select_slider(key="scene.gap").set_value(90.0).run())
    assert app.segmented_control(key="situation").value is None
    assert link_of(app)["scene.gap"] == "90"
    angles = dict(zip(charts["scene"].columns["what"], charts["scene"].columns["angle, degrees"], strict=True))
    assert angles["anchor"] - angles["partner"] == pytest.approx(90)
    well(app.segmented_control(key="situation").set_value("together").run())
    assert {k: v for k, v in link_of(app).items() if k.startswith("scene")} == {"scene.gap": "110", "scene.own": "60"}


def test_an_older_link_may_still_name_the_situation():
    app = opened("margins", {"scene.situation": "together", "scene.lam": "0.7"})
    assert link_of(app) == {"scene.gap": "110", "scene.own": "60", "scene.lam": "0.7"}
    assert any("no such setting" in str(each.value) for each in opened("margins", {"scene.situation": "apar"}).warning)


@pytest.mark.parametrize(("form", "below", "zero"), [("min", 16, 430), ("sum", 36, 724)])
def test_the_lens_says_when_the_released_margin_dies(charts, form: str, below: int, zero: int):
    found = seen(opened("margins", {"lens.form": form})).panels["c_lens"]
    assert f"call **{below}**" in found.sentence
    assert f"**exactly 0** from call **{zero}**" in found.sentence
    assert "gone too soon" in found.chip
    assert {f"below 1e−9 at {below}", f"exactly 0 at {zero}", "end of epoch 0"} <= names_in(charts["lens"])
    assert charts["lens"].columns["applied margin"] == list(margin_course("released", form, 1.5, 800).margin)


def names_in(chart: Chart) -> set[str]:
    """The words that a chart writes."""
    data = (each for series in chart.spec["series"] for each in series["data"])
    return {each["name"] for each in data if isinstance(each, dict) and "name" in each}


def test_the_switch_to_the_paper_keeps_the_margin_alive(charts):
    app = opened("margins")
    well(app.segmented_control(key="lens.applied").set_value("paper").run())
    found = seen(app).panels["c_lens"]
    assert link_of(app) == {"lens.applied": "paper"}
    assert "as asked" in found.chip
    assert min(charts["lens"].columns["applied margin"]) >= 0.75
    assert not any("exactly 0" in name for name in names_in(charts["lens"]))


def test_the_seed_of_python_draws_other_margins(charts):
    opened("margins", {"lens.draw": "3", "lens.margin": "0.5"})
    assert charts["lens"].columns["applied margin"] == list(margin_course("released", "min", 0.5, 800, seed=3).margin)


def test_two_partners_are_shown_for_the_scene_s_sliders(charts):
    app = opened("margins", {"lens.part": "far", "scene.lam": "0.6", "scene.margin": "0.2", "scene.gap": "90"})
    assert {"phases", "far", "rest"} <= set(charts)
    table = charts["phases"].columns
    said = {"b": "both asked", "i": "only the pair asked", "p": "only its partner asked", "n": "nobody asked"}
    own, other = (torch.tensor(table[f"gap of {who}"], dtype=torch.float64) for who in ("the pair", "its partner"))
    assert table["asked"] == [said[letter] for letter in phase(own, other, 0.6, 0.2, "lam", "unit", 0.0)]
    assert set(table["asked"]) == set(said.values())
    found = seen(app).panels
    assert "nobody moves" in found["c_phases"].sentence
    assert "nobody asked" in found["c_phases"].chip
    assert "**0.83**" in found["c_rest"].sentence
    assert "a little far" in found["c_far"].chip


def test_the_scene_and_the_plane_agree_who_is_asked():
    for lam, margin, gap in ((0.54, 0.3, 75), (0.6, 0.3, 75), (0.8, 0.3, 28), (0.7, 0.1, 120)):
        link = {"lens.part": "far", "scene.lam": str(lam), "scene.margin": str(margin), "scene.gap": str(gap)}
        found = seen(opened("margins", link)).panels
        assert ("alive" in found["c_scene"].chip) == ("nobody" not in found["c_phases"].chip)


def test_a_free_step_and_one_on_the_sphere_differ(charts):
    app = opened("margins", {"lens.part": "far"})
    free = charts["far"].columns["change of similarity"]
    well(app.segmented_control(key="lens.sphere").set_value("on").run())
    assert charts["far"].columns["change of similarity"] != free
    assert link_of(app) == {"lens.part": "far", "lens.sphere": "on"}


def test_as_released_every_user_pays_for_every_other(charts):
    found = seen(opened("margins", {"lens.part": "users"})).panels
    hinge = broadcast_hinge(users(8, 0.5, stream(0, "users")), 0.3).numpy()
    assert f"**{hinge.mean():.3f}**" in found["c_users_released"].sentence
    assert f"**{np.diagonal(hinge).mean():.3f}**" in found["c_users_own"].sentence
    assert "all awake" in found["c_users_released"].chip
    assert f"{(np.diagonal(hinge) == 0).sum()} silent" in found["c_users_own"].chip
    assert set(charts["users_own"].columns["user a: its item"]) <= set(range(8))
    table = charts["users_own"].columns
    assert table["user a: its item"] == table["user b: nearest negative"]


def test_with_the_margins_of_the_scripts_both_pay_the_same():
    found = seen(opened("margins", {"lens.part": "users", "lens.asked": "2"})).panels
    assert all("both say the same" in found[key].sentence for key in ("c_users_released", "c_users_own"))


@pytest.mark.parametrize("weight", ["ratio", "linear", "cosine", "constant", "zero"])
@pytest.mark.parametrize("rule", ["learned", "released_decay"])
def test_every_weight_and_rule_of_the_recipe_is_drawn(charts, weight: str, rule: str):
    found = seen(opened("margins", DMM | {"mixing.weight": weight, "mixing.rule": rule, "mixing.law": "beta_unfolded"}))
    assert ("decays" if rule == "released_decay" else "learned") in found.panels["c_margin"].chip
    assert ("call" in charts["margin"].columns) == (rule == "released_decay")
    assert "Beta" in found.panels["c_law"].sentence


def test_another_mixing_than_dmm_is_not_taken_for_its_run():
    train(SMALL | {"loss.kind": "triplet", "mixing.kind": "negative_item", "steps": "2"})
    found = seen(opened("margins", SMALL | {"loss.kind": "triplet", "mixing.kind": "negative_item", "steps": "2"}))
    assert any("Not trained yet: these are the plans that DMM as in the paper" in text for text in found.texts)
    assert "as asked" in found.panels["c_margin"].chip


def test_the_scene_is_taken_to_the_lab():
    app = opened("margins", {"scene.lam": "0.6", "scene.margin": "0.2", "scene.rule": "constant"})
    app.button(key="lab").click().run()
    link = link_of(well(app))
    assert {k: v for k, v in link.items() if not k.startswith("scene")} == {
        "pairs.part": "lab",
        "lab.rule": "constant",
    }
