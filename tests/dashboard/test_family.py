"""Family: every number is that of the losses themselves, a loss is chosen in four ways, and each twin opens."""

from collections.abc import Iterator

import pytest
import streamlit as st
import torch

from core.diagnostics.family_map import SAME, bridges
from core.losses.registry import LOSSES
from core.runs.family import family
from dashboard import family_panels, family_view, panel
from dashboard.charts.chart import Chart
from dashboard.family_panels import length
from dashboard.family_view import title
from tests.dashboard.apps import link_of, numbers_in, opened, seen, well

QUESTION = "Which losses do the same thing?"


@pytest.fixture(autouse=True, scope="module")
def fresh() -> Iterator[None]:
    yield
    st.cache_resource.clear()


@pytest.fixture
def no_changes(monkeypatch) -> None:
    """No change is looked for, which takes a second for each loss."""
    monkeypatch.setattr(family_view, "changes", lambda key, others, setting: dict.fromkeys(others))


@pytest.fixture
def charts(monkeypatch) -> dict[str, Chart]:
    """Every chart that the page draws, by key, as the page made it."""
    drawn: dict[str, Chart] = {}
    draw = panel.draw

    def kept(key, chart, **more):
        drawn[key] = chart
        return draw(key, chart, **more)

    monkeypatch.setattr(panel, "draw", kept)
    return drawn


def said(app) -> str:
    return "\n".join(seen(app).texts)


@pytest.mark.usefixtures("no_changes")
def test_the_map_is_that_of_all_losses_and_says_how_far_it_can_be_trusted(charts):
    app = opened("family")
    found, columns = family("alike"), charts["family"].columns
    places = {key: place for key, *place in zip(columns["loss"], columns["x"], columns["y"], strict=True)}
    assert sorted(places) == list(found.keys)
    for key, place in zip(found.keys, found.places.tolist(), strict=True):
        assert places[key] == pytest.approx(place)
    shown = seen(app).panels["c_family"]
    assert numbers_in(shown.sentence) == [len(found.keys), round(100 * found.stress)]
    assert f"trust {found.trust:.2f}" in shown.chip
    assert f"nearest {', '.join(title(family_view.first(twin)) for twin in found.twins('info_nce'))}." in shown.alt


@pytest.mark.usefixtures("no_changes")
def test_twins_are_the_nearest_in_all_dimensions_with_the_words_of_the_registry(charts):
    app = opened("family", {"family.loss": "info_nce"})
    found, text = family("alike"), said(app)
    own = found.keys.index("info_nce")
    away = dict(zip(found.keys, (1 - found.vectors @ found.vectors[own]).tolist(), strict=True))
    listed = charts["twins"].columns
    assert listed["loss"][:3] == ["Angular InfoNCE", "Hard contrastive", "CLIP"]
    assert listed["distance"][:3] == pytest.approx([away[key] for key in ("angular", "hard_contrastive", "clip")])
    assert max(listed["distance"]) <= sorted(away.values())[9] + SAME
    half = float(torch.tensor([d for key, d in away.items() if key != "info_nce"]).median())
    told = numbers_in(seen(app).panels["c_twins"].sentence)
    assert told == [float(length(away["angular"])), float(length(half)), 0, 1, 2]
    assert f"InfoNCE is CLIP, {LOSSES['info_nce'].relations['clip']}." in text
    assert f"Angular InfoNCE is InfoNCE, {LOSSES['angular'].relations['info_nce']}." in text
    assert any("CLIP = Pairwise CLIP" in button.label for button in app.button)


@pytest.mark.usefixtures("no_changes")
def test_equal_losses_are_called_the_same():
    app = opened("family", {"family.loss": "clip"})
    assert "**CLIP** does the same as Pairwise CLIP. Nearest other is " in said(app)
    assert "at rest" not in seen(app).panels["c_twins"].sentence


def test_the_change_that_makes_one_of_two_stands_there_with_its_distances(charts):
    app = opened("family", {"family.loss": "supcon"})
    table, text = charts["changes"].columns, said(app)
    expected = bridges("supcon", ["nt_xent", "core_tuning"], "alike")
    bridge = expected["nt_xent"]
    assert bridge is not None
    assert bridge.after < SAME
    row = table["loss"].index("NT-Xent")
    assert (table["distance"][row], table["after"][row]) == (pytest.approx(bridge.before), pytest.approx(bridge.after))
    assert "**NT-Xent**: SupCon with every pair as a class of its own is NT-Xent." in text
    assert expected["core_tuning"] is None
    near = family("alike").twins("supcon")[0]
    assert near.keys == ("core_tuning",)
    assert f"**Focal SupCon**: no single change halves their distance of {length(near.distance)}." in text
    after = [value for value in table["after"] if value == value]
    told = numbers_in(seen(app).panels["c_changes"].sentence)
    assert told[:2] == [len(table["loss"]), len(after)]
    assert told[2] == sum(value < SAME for value in after)


@pytest.mark.usefixtures("no_changes")
def test_a_loss_is_chosen_by_name_by_a_twin_and_by_a_click(monkeypatch):
    app = opened("family")
    well(app.selectbox(key="family.loss").set_value("dcl").run())
    assert link_of(app) == {"family.loss": "dcl"}
    well(app.button(key="choose_dclw").click().run())
    assert link_of(app) == {"family.loss": "dclw"}
    assert "**○ DCLW** and its nearest are named; ◇ is it at other settings." in said(app)
    monkeypatch.setattr(family_panels, "clicked", lambda state, chart: "siglip")
    well(app.run())
    assert link_of(app) == {"family.loss": "siglip"}


@pytest.mark.usefixtures("no_changes")
def test_a_twin_and_the_chosen_loss_open_on_losses():
    app = opened("family", {"family.loss": "dcl"})
    well(app.button(key="see_dclw").click().run())
    assert link_of(app) == {"family.loss": "dcl", "losses.open.kind": "dclw"}
    assert LOSSES["dclw"].title in [heading.value for heading in app.subheader]
    app = opened("family", {"family.loss": "dcl"})
    well(app.button(key="open").click().run())
    assert link_of(app)["losses.open.kind"] == "dcl"


@pytest.mark.usefixtures("no_changes")
def test_the_card_of_a_loss_leads_to_its_place():
    app = opened("losses", {"losses.open": "triplet"})
    well(app.button(key="place_among_all").click().run())
    assert QUESTION in [heading.value for heading in app.subheader]
    assert link_of(app)["family.loss"] == "triplet"


def test_a_loss_without_a_place_says_why_and_all_of_them_are_counted(charts):
    app = opened("family", {"family.loss": "rerank_cl"})
    found, text = family("alike"), said(app)
    assert f"**{LOSSES['rerank_cl'].title}** has no place on the map: {found.apart['rerank_cl']}." in text
    assert set(charts) == {"family"}
    assert f"{len(found.apart)} of {len(LOSSES)} losses have none" in text
    for key, why in found.apart.items():
        (line,) = (line for line in text.splitlines() if line.startswith("- ") and why[1:] in line)
        assert title(key) in line
        assert f"({list(found.apart.values()).count(why)}): " in line


@pytest.mark.usefixtures("no_changes")
def test_each_at_its_own_temperature_is_another_map(charts):
    app = opened("family", {"family.loss": "clip", "family.setting": "own"})
    assert link_of(app) == {"family.loss": "clip", "family.setting": "own"}
    assert "each at its own temperature" in said(app)
    own = charts["twins"].columns
    assert own["distance"][0] == pytest.approx(family("own").twins("clip")[1].distance)
    opened("family", {"family.loss": "clip"})
    assert charts["twins"].columns != own


@pytest.mark.usefixtures("no_changes")
def test_the_numbers_are_of_the_losses_and_of_nothing_else():
    first = seen(opened("family", {"family.loss": "dcl"}))
    st.cache_resource.clear()
    other = {"seed": "1", "loss.kind": "triplet", "data.kind": "circle", "losses.open": "clip"}
    assert seen(opened("family", {"family.loss": "dcl"} | other)) == first
    assert seen(opened("family", {"family.loss": "supcon"})).panels != first.panels


@pytest.mark.usefixtures("no_changes")
def test_what_cannot_be_a_loss_is_named_and_the_default_stands():
    app = opened("family", {"family.loss": "nonsense"})
    assert "`family.loss=nonsense`" in app.warning[0].value
    assert link_of(app) == {}
    assert "**○ InfoNCE**" in said(app)


def test_names_are_short_and_tell_losses_apart():
    names = [title(key) for key in sorted(LOSSES.keys())]
    assert len(set(names)) == len(names)
    assert title("dcl") == "DCL"
