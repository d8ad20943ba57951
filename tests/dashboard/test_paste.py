"""Paste: a typed loss is checked, drawn, kept and taken to Play, none of it in the app's process."""

import sys
from collections.abc import Iterator

import pytest
import streamlit as st

from core.diagnostics.loss_lens import Sample, lens
from core.environment import PASTE, PASTE_LINE
from core.losses.registry import LOSSES
from core.pasted import calls, kept
from core.pasted.checks import TITLES
from core.pasted.entry import Pasted
from core.pasted.examples import EXAMPLES, FAULTY, SOUND
from core.pasted.source import read
from dashboard import loss_view, panel, paste_desk, paste_place
from dashboard.charts.chart import Chart
from dashboard.view import Losses
from tests.dashboard.apps import SMALL, link_of, opened, seen, train, well

OURS = {"losses.n": "8", "losses.dim": "16"}
S = Sample(n=8, dim=16)
INFO_NCE = read(SOUND["InfoNCE"])


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(kept, "_desk", type(kept._desk)())
    yield
    st.cache_resource.clear()


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    yield
    calls.end_all()


@pytest.fixture
def on(monkeypatch) -> None:
    monkeypatch.setenv(PASTE, "on")


@pytest.fixture
def charts(monkeypatch) -> dict[str, Chart]:
    """Every chart that a page draws, by key, as the page made it."""
    drawn: dict[str, Chart] = {}
    draw = panel.draw
    monkeypatch.setattr(
        panel, "draw", lambda key, chart, **more: (drawn.update({key: chart}), draw(key, chart, **more))
    )
    return drawn


def said(app) -> str:
    return "\n".join([*seen(app).texts, *(each.value for each in app.error), *(each.value for each in app.warning)])


def typed(app, text: str):
    """The page after a text was typed into the box."""
    return well(app.text_area(key=paste_desk.BOX).set_value(text).run())


def test_switched_off_it_says_how_to_switch_it_on_and_shows_what_it_would(charts, monkeypatch):
    monkeypatch.setattr(calls, "call", lambda *_: pytest.fail("a text was run"))
    app = opened("paste", OURS)
    assert PASTE_LINE in [block.value for block in app.code]
    assert SOUND["InfoNCE"].strip() in [block.value for block in app.code]
    assert all(title in said(app) for title in TITLES.values())
    assert list(app.text_area) == []
    registered = lens(LOSSES["info_nce"].params(), S)
    assert charts["microscope"].columns["force"] == pytest.approx(registered.layers[0].push.abs().flatten().tolist())


def test_switched_on_the_first_example_is_checked_and_drawn(charts, on):
    app = opened("paste", OURS)
    assert app.text_area(key=paste_desk.BOX).value == SOUND["InfoNCE"]
    assert "Accepted: it passed 10 checks" in said(app)
    assert said(app).count("-badge[") >= 10
    registered = lens(LOSSES["info_nce"].params(), S)
    assert {"microscope", "curves", "rank", "effective", "balance"} <= set(charts)
    force = charts["microscope"].columns["force"]
    assert force == pytest.approx(registered.layers[0].push.abs().flatten().tolist(), abs=1e-12)
    assert link_of(app) == OURS
    assert "core.pasted.bench" not in sys.modules


def test_a_loss_of_embeddings_is_drawn_by_its_motion_with_its_surface(charts, on):
    app = typed(opened("paste", OURS | {"losses.part": "price"}), SOUND["Alignment and uniformity"])
    assert {"microscope", "curves", "surface", "marks"} <= set(charts)
    p = Pasted(code=read(SOUND["Alignment and uniformity"]).key)
    motion = lens(p, S).motion
    assert motion is not None
    assert charts["microscope"].columns["motion"] == pytest.approx(motion.push.abs().flatten().tolist())
    assert "the motion is drawn" in said(app)


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_example_is_refused_by_name_and_nothing_is_drawn(name, charts, on, monkeypatch):
    quick = calls.Bounds(seconds=1)
    monkeypatch.setattr(calls, "Bounds", lambda: quick)
    monkeypatch.setattr("core.pasted.checks.Bounds", lambda: quick)
    app = opened("paste", OURS)
    charts.clear()
    well(app.selectbox(key=paste_desk.EXAMPLE).select(name).run())
    assert app.text_area(key=paste_desk.BOX).value == EXAMPLES[name]
    assert "Refused: 1 of" in said(app)
    assert "expected" in said(app)
    assert " -0" not in said(app)
    assert charts == {}
    assert "keep" not in [button.key for button in app.button]


def test_a_text_that_cannot_be_read_ends_in_its_sentence_and_is_not_lost(on):
    app = typed(opened("paste", OURS), "import os\n\ndef loss(a, b):\n    return os.getcwd()\n")
    assert "Line 1 imports os; expected torch and math alone" in said(app)
    assert app.selectbox(key=paste_desk.EXAMPLE).value == paste_desk.OWN
    assert "os.getcwd" in app.text_area(key=paste_desk.BOX).value
    assert "import" not in str(link_of(app))


def test_what_is_kept_stands_in_the_link_by_its_hash_alone_and_is_forgotten(on):
    app = opened("paste", OURS)
    app.text_input(key=paste_desk.CALLED).set_value("Ours")
    well(app.button(key="keep").click().run())
    assert kept.listed() == {INFO_NCE.key: "Ours"}
    assert link_of(app) == OURS | {"paste.code": INFO_NCE.key}
    typed(app, SOUND["Alignment and uniformity"])
    assert link_of(app) == OURS
    well(app.button(key=f"open_{INFO_NCE.key}").click().run())
    assert app.text_area(key=paste_desk.BOX).value == INFO_NCE.text
    again = opened("paste", OURS | {"paste.code": INFO_NCE.key})
    assert again.text_area(key=paste_desk.BOX).value == INFO_NCE.text
    well(again.button(key=f"forget_{INFO_NCE.key}").click().run())
    assert kept.listed() == {}
    assert link_of(again) == OURS


def test_it_is_taken_to_play_and_chosen_there_by_its_name(on):
    app = opened("paste", OURS)
    app.text_input(key=paste_desk.CALLED).set_value("Ours")
    well(app.button(key="take").click().run())
    assert app.session_state["view"].loss == Pasted(code=INFO_NCE.key)
    assert "What does this loss do to the points?" in [heading.value for heading in app.subheader]
    assert app.selectbox(key="loss").value == "pasted"
    assert app.selectbox(key="loss.code").value == INFO_NCE.key
    assert list(app.error) == []


RUN = SMALL | {"mixing.kind": "none", "loss.kind": "pasted", "loss.code": INFO_NCE.key}


@pytest.mark.parametrize("text", SOUND.values(), ids=list(SOUND))
def test_play_and_scores_and_gradients_show_a_run_of_it(text, on):
    key = kept.keep(read(text), "Ours")
    link = RUN | {"loss.code": key}
    train(link)
    app = opened("play", link)
    assert {"c_hills", "c_push", "c_learning"} <= set(seen(app).panels)
    assert list(app.error) == []
    assert "c_bands" in seen(opened("scores", link)).panels
    assert seen(opened("gradients", link)).panels != {}


def test_where_it_is_switched_off_a_run_of_it_ends_in_a_sentence_and_no_error(on, monkeypatch):
    kept.keep(INFO_NCE, "Ours")
    run = train(RUN)
    monkeypatch.delenv(PASTE)
    monkeypatch.setattr(kept, "_desk", type(kept._desk)())
    monkeypatch.setattr("core.pasted.entry.call", lambda *_: pytest.fail("a text was run"))
    for page in ("play", "scores", "gradients", "map", "inspect", "missing"):
        text = said(opened(page, RUN | {"run": run.path.name}))
        assert "Part of this link was ignored" in text
        assert "loss.code" in text
        assert PASTE_LINE in text


def test_a_link_brings_no_loss_that_is_not_kept_here(on):
    app = opened("play", RUN)
    assert f"The loss {INFO_NCE.key[:8]} is not kept on this machine" in said(app)
    assert app.session_state["view"].loss.kind != "pasted"
    app = opened("paste", {"paste.code": "import os"})
    assert "paste.code" in said(app)
    assert app.text_area(key=paste_desk.BOX).value == SOUND["InfoNCE"]


def test_a_kept_text_that_was_changed_is_not_opened_and_the_page_says_so(on):
    kept.keep(INFO_NCE, "Ours")
    kept._file(INFO_NCE.key).write_text("def loss(scores):\n    return scores.mean()\n")
    app = opened("paste", OURS | {"paste.code": INFO_NCE.key})
    assert "was changed since" in said(app)
    assert link_of(app) == OURS


def test_losses_opens_none_of_them(on):
    kept.keep(INFO_NCE, "Ours")
    app = opened("losses", {"losses.open": "pasted"})
    assert "losses.open=pasted" in said(app)


def test_it_stands_on_the_map_of_all_where_its_twin_does(on, charts, monkeypatch):
    from core.diagnostics.family_map import family_map, measure

    few = ("info_nce", "dcl", "triplet", "siglip", "alignment")
    found = family_map({key: measure(LOSSES[key], LOSSES[key].params()) for key in few})
    monkeypatch.setattr(paste_place, "everyone", lambda setting: found)
    app = opened("paste", OURS)
    well(app.button(key="place").click().run())
    assert "**○ Yours** does the same as InfoNCE" in said(app)
    assert "c_place" in seen(app).panels


def test_an_app_that_others_reach_has_it_switched_off(on, monkeypatch):
    from streamlit import config

    asked = config.get_option
    monkeypatch.setattr(config, "get_option", lambda name: "0.0.0.0" if name == "server.address" else asked(name))
    monkeypatch.setattr(st, "get_option", config.get_option)
    app = opened("paste", OURS)
    assert list(app.text_area) == []
    assert not kept.switched_on()


def test_at_most_six_controls_are_in_sight(on):
    app = opened("paste")
    inside = {"losses.anchor", "losses.surface", "losses.weight", "losses.dim", "losses.spread", "seed"}
    kinds = (
        app.select_slider,
        app.slider,
        app.selectbox,
        app.text_input,
        app.text_area,
        app.number_input,
        app.button_group,
    )
    keys = {widget.key for kind in kinds for widget in kind} - inside
    assert len(keys) <= 6, keys
    assert loss_view.sample_of(Losses(n=8, dim=16), 0) == S
