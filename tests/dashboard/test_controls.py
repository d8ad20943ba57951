"""One field, one knob, one address: every field gets an allowed widget, and moving it moves the link."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.addresses import choices, flatten, knobs, read, spell
from core.params import domain
from dashboard.link import DEFAULT
from dashboard.view import View
from tests.dashboard.apps import PATIENCE, link_of, nodes, well

ALLOWED = {"selectbox", "slider", "select_slider", "button_group", "number_input", "text_input"}
PLACES = ("data", "method", "mixing", "loss", "encoder.vector", "encoder.image", "encoder.text", "encoder.bag")
RICH = [{place: kind} for place in PLACES for kind in choices(View, place)]


def page(link: dict[str, str], shown: list[str]) -> None:
    import streamlit as st

    from core.addresses import read
    from dashboard.controls import knob
    from dashboard.link import DEFAULT, write_link

    if "view" not in st.session_state:
        st.session_state["view"] = read(link, DEFAULT)[0]
    for address in shown:
        knob(address)
    write_link()


def shown(link: dict[str, str], *addresses: str) -> AppTest:
    return well(AppTest.from_function(page, args=(link, list(addresses)), default_timeout=PATIENCE).run())


def widgets(app: AppTest) -> dict[str, Any]:
    found = [node for node, _ in nodes(app.main) if node.type not in ("flex_container", "markdown")]
    assert {node.type for node in found} <= ALLOWED
    return {node.key: node for node in found}


def fields(link: dict[str, str]) -> dict[str, Any]:
    """The knobs of the view that a link gives, without the kinds, which are moved as the group they belong to."""
    view, refused = read(link, DEFAULT)
    assert refused == []
    return {k.address: k for k in knobs(view) if not k.address.endswith((".kind", "schema_version"))}


def another(widget: Any, field: Any) -> Any:
    """A value that the widget offers and does not show."""
    if widget.type == "button_group":
        if domain(field).many:
            return [option for option in widget.options if option not in widget.value] or widget.options[:2]
        return next(option for option in widget.options if option != widget.value)
    if widget.type == "select_slider":
        stops = [stop for stop in stops_of(widget) if stop is not None]
        place = stops.index(widget.value) if widget.value in stops else 0
        return stops[place - 1] if place else stops[1]
    if widget.type == "selectbox":
        return next(option for option in widget.options if option != widget.format_func(widget.value)).replace(" ", "_")
    if widget.type == "text_input":
        return "0123456789abcdef" * (4 if "64" in str(field.metadata) else 1)
    return widget.min if widget.value != widget.min else widget.value + 1


@pytest.mark.parametrize("link", RICH, ids=lambda link: "-".join(*link.items()))
def test_every_field_has_a_widget_that_shows_it_and_moves_its_address_alone(link):
    own = {a: k for a, k in fields(link).items() if a.startswith(f"{next(iter(link))}.")}
    app = shown(link, *own)
    assert sorted(widgets(app)) == sorted(own)
    for address, known in own.items():
        before = link_of(app)
        widget = widgets(app)[address]
        assert widget.label == known.field.title
        assert widget.help == known.field.description
        widget.set_value(another(widget, known.field))
        well(app.run())
        after = link_of(app)
        assert {a for a in before | after if before.get(a) != after.get(a)} == {address}
        assert not app.toast


def test_the_fields_outside_every_choice_have_a_widget_too():
    own = {a: k for a, k in fields({}).items() if not a.startswith(tuple(f"{place}." for place in PLACES))}
    app = shown({}, *own)
    assert sorted(widgets(app)) == sorted(own)
    assert {"steps", "seed", "optimiser.lr", "lane.on", "speed"} <= set(own)


def test_every_stop_of_every_slider_is_legal():
    offered = 0
    outside = tuple(f"{place}." for place in PLACES)
    for link in ({}, *RICH):
        inside = tuple(f"{place}." for place in link)
        own = {a: k for a, k in fields(link).items() if a.startswith(inside or outside) is bool(inside)}
        app = shown(link, *own)
        view = app.session_state["view"]
        for address, widget in widgets(app).items():
            what = domain(own[address].field)
            if what.kind is not float or not what.high:
                continue
            stops = app.session_state[address], *stops_of(widget)
            refused = [bad for stop in stops for bad in read({address: spell(stop)}, view)[1] if "must" not in str(bad)]
            assert refused == []
            offered += len(stops)
    assert offered > 500


def stops_of(widget: Any) -> list[Any]:
    return [None if text == "the loss's" else float(text) for text in widget.proto.options]


def test_a_learning_rate_can_be_chosen_near_its_default():
    app = shown({}, "optimiser.lr")
    stops = [float(stop) for stop in widgets(app)["optimiser.lr"].proto.options]
    near = [stop for stop in stops if 0.0005 <= stop <= 0.008]
    assert len(near) >= 8


@pytest.mark.parametrize("place", [*PLACES, "lane.loss", "lane.mixing"])
def test_a_kind_is_chosen_from_all_there_are_and_brings_its_own_defaults(place):
    app = shown({}, place)
    box = widgets(app)[place]
    assert box.type == "selectbox"
    kinds = choices(View, place)
    for kind, schema in kinds.items():
        widgets(app)[place].set_value(kind)
        well(app.run())
        piece: Any = app.session_state["view"]
        for name in place.split("."):
            piece = getattr(piece, name)
        assert isinstance(piece, schema)
    assert len(box.options) == len(kinds)


def start(widget: Any) -> Any:
    """What the last message makes a widget start with, in the terms of its `value`."""
    proto = widget.proto
    if widget.type == "number_input":
        return proto.default if proto.HasField("default") else None
    if widget.type == "selectbox":
        return proto.options[proto.default]
    if widget.type == "button_group":
        picked = [widget.options[place] for place in proto.default]
        return picked if proto.click_mode == proto.MULTI_SELECT else picked[0]
    return stops_of(widget)[int(proto.default[0])] if widget.type == "select_slider" else proto.default


@pytest.mark.parametrize("link", [{}, {"data": "circle"}, {"mixing": "dmm"}], ids=lambda link: str(*link.values()))
def test_every_widget_is_told_its_value_in_every_run(link):
    """A widget that is made later, in a popover, knows nothing but the last message: it must hold the value."""
    app = well(shown(link, *fields(link)).run())
    for key, widget in widgets(app).items():
        assert not widget.proto.set_value
        value = widget.format_func(widget.value) if widget.type == "selectbox" else widget.value
        told = start(widget)
        assert (told[0] if widget.type == "slider" else told) == (
            pytest.approx(value, rel=0.01) if widget.type == "select_slider" and value else value
        ), key


@pytest.mark.parametrize("address", ["loss.temperature", "steps", "mixing", "loss"])
def test_an_answer_does_not_repeat_what_a_hand_has_just_said(address):
    """It may come late, and would take back the next move of a hand that is faster."""
    app = shown({}, address)
    widget = widgets(app)[address]
    known = {"mixing": "dmm", "loss": "dcl"}
    widget.set_value(known.get(address) or another(widget, fields({})[address].field))
    well(app.run())
    assert address in {key.removesuffix(".kind") for key in link_of(app)}
    assert not widgets(app)[address].proto.set_value


def test_what_else_moves_a_value_moves_its_widget():
    app = shown({}, "loss.temperature")
    app.session_state["view"] = read({"loss.temperature": "0.25"}, app.session_state["view"])[0]
    moved = widgets(well(app.run()))["loss.temperature"]
    assert moved.proto.set_value
    assert moved.value == 0.25


def test_names_and_fewer_options_are_taken():
    app = well(
        AppTest.from_function(_named, default_timeout=PATIENCE).run(),
    )
    box = widgets(app)["mixing"]
    assert (box.label, box.options) == ("Mix", ["off", "DMM"])
    assert widgets(app)["steps"].disabled


def _named() -> None:
    from dashboard.controls import knob

    knob("mixing", label="Mix", names={"none": "off", "dmm": "DMM"}, options=["none", "dmm"])
    knob("steps", disabled=True)


def test_an_address_that_is_not_there_is_an_error_of_ours():
    app = AppTest.from_function(page, args=({}, ["loss.nonsense"]), default_timeout=PATIENCE).run()
    assert [each.proto.type for each in app.exception] == ["KeyError"]


def test_what_the_schema_refuses_is_said_and_the_widget_goes_back():
    link = {"data": "emoji"}
    app = shown(link, "data.modalities")
    before = link_of(app)
    widgets(app)["data.modalities"].set_value(["noto"])
    well(app.run())
    assert [toast.value for toast in app.toast] == [
        "Modalities: expected some of noto, fluent, twemoji, en, de, fr, ja, zh, separated by commas, at least 2."
    ]
    assert widgets(app)["data.modalities"].value == ["noto", "en"]
    assert link_of(app) == before


def test_a_rule_between_two_fields_is_said():
    app = shown({"mixing.kind": "dmm", "mixing.high": "0.6"}, "mixing.low")
    widgets(app)["mixing.low"].set_value(0.9)
    well(app.run())
    assert "low must not exceed high" in app.toast[0].value
    assert widgets(app)["mixing.low"].value == 0.5


def test_a_widget_follows_the_view_when_something_else_has_moved_it():
    app = shown({}, "steps", "loss")
    app.session_state["view"] = read({"steps": "77", "loss": "ranking"}, DEFAULT)[0]
    well(app.run())
    assert widgets(app)["steps"].value == 77
    assert widgets(app)["loss"].value == "ranking"
    assert flatten(app.session_state["view"], DEFAULT) == link_of(app)
