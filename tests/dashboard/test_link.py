"""The link is the state: what it says is taken up, what it cannot say is named, and a copied address restores all."""

import random
from collections.abc import Mapping

import pytest
from streamlit.testing.v1 import AppTest

from core.addresses import choices, flatten, knobs, read, spell
from core.params import Domain, domain
from dashboard.link import DEFAULT, LONGEST
from dashboard.view import View
from tests.dashboard.apps import PATIENCE, link_of, well

DEEP = {
    "data.kind": "circle",
    "data.clusters": "4",
    "data.draw": "0",
    "encoder.dim": "3",
    "loss.kind": "ranking",
    "loss.margin": "0.3",
    "loss.violation": "max",
    "mixing.kind": "dmm",
    "mixing.margin": "0.25",
    "steps": "60",
    "seed": "7",
    "at": "30",
    "lane.on": "on",
    "lane.loss.kind": "clip",
    "lane.loss.learned": "on",
}
KINDS = ("data", "loss", "mixing", "method", "encoder.vector", "encoder.bag", "lane.loss", "lane.mixing")


def page() -> None:
    import streamlit as st

    from dashboard.link import change, refusals, view, write_link

    view()
    write_link()
    refusals()
    st.text_input("address", key="address")
    st.text_input("value", key="value")
    if st.button("set", key="set"):
        st.session_state["answer"] = change(st.session_state["address"], st.session_state["value"])
        write_link()


def opened(link: Mapping[str, str]) -> AppTest:
    app = AppTest.from_function(page, default_timeout=PATIENCE)
    for name, value in link.items():
        app.query_params[name] = value
    return well(app.run())


def view_in(app: AppTest) -> View:
    return app.session_state["view"]


def test_without_an_address_the_app_opens_on_its_default():
    app = opened({})
    assert view_in(app) == DEFAULT
    assert link_of(app) == {}
    assert app.query_params["v"] == "1"
    assert [w.value for w in app.warning] == []


def test_a_deep_link_is_the_state_and_stays_in_the_address():
    app = opened({"v": "1"} | DEEP)
    view = view_in(app)
    assert (view.data.kind, view.data.clusters, view.loss.kind, view.loss.margin) == ("circle", 4, "ranking", 0.3)
    assert (view.mixing.margin, view.at, view.lane.on, view.lane.loss.learned) == (0.25, 30, True, True)
    assert not app.warning
    assert view_in(opened({"v": "1"} | link_of(app))) == view
    assert link_of(opened({"v": "1"} | link_of(app))) == link_of(app)


def test_a_link_without_a_version_is_read_as_ours():
    assert view_in(opened({"steps": "9"})).steps == 9


REFUSED = {
    "unknown": ({"nonsense": "1"}, "`nonsense=1`", "no such setting"),
    "misspelt": ({"loss.temprature": "0.2"}, "`loss.temprature=0.2`", "did you mean loss.temperature?"),
    "below": ({"steps": "0"}, "`steps=0`", "expected a whole number from 1 to 100000"),
    "above": ({"encoder.dim": "999"}, "`encoder.dim=999`", "expected a whole number from 2 to 256"),
    "not a number": ({"seed": "soon"}, "`seed=soon`", "expected a whole number from 0"),
    "infinite": ({"optimiser.lr": "inf"}, "`optimiser.lr=inf`", "expected a number above 0 to 1"),
    "no such kind": ({"loss.kind": "bogus"}, "`loss.kind=bogus`", "expected one of"),
    "a group is no value": ({"encoder": "5"}, "`encoder=5`", "no such setting"),
    "not on or off": ({"lane.on": "perhaps"}, "`lane.on=perhaps`", "expected on or off"),
    "no run's name": ({"run": "../../etc"}, "`run=../../etc`", "expected"),
    "another schema": ({"schema_version": "2"}, "`schema_version=2`", "expected one of 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_the_rest_is_kept_and_the_default_stands_in_its_place(name):
    bad, names, expects = REFUSED[name]
    app = opened({"v": "1", "loss.margin": "0.2", "at": "5"} | bad)
    said = app.warning[0].value
    assert len(app.warning) == 1
    assert names in said
    assert expects in said
    assert said.count("\n") == 1
    kept = {"loss.margin": "0.2", "at": "5"}
    assert view_in(app) == read(kept, DEFAULT)[0]
    assert link_of(app) == kept


def test_each_of_several_bad_parts_is_named():
    app = opened({"v": "1", "steps": "0", "seed": "-1", "nonsense": "x", "at": "5"})
    said = app.warning[0].value
    assert all(f"`{name}" in said for name in ("steps=0", "seed=-1", "nonsense=x"))
    assert "at=5" not in said


def test_a_link_of_another_version_is_ignored_as_a_whole_and_says_so():
    app = opened({"v": "2", "steps": "9"})
    assert "`v=2`" in app.warning[0].value
    assert "another version" in app.warning[0].value
    assert view_in(app) == DEFAULT
    assert link_of(app) == {}


def test_the_message_stays_until_it_is_put_away():
    app = opened({"v": "1", "steps": "0"})
    well(app.run())
    assert app.warning
    well(app.button(key="refused_read").click().run())
    assert not app.warning
    assert not [button for button in app.button if button.key == "refused_read"]


@pytest.mark.parametrize(
    "text",
    ["`![seen](http://example.invalid/p.png)`", "a\n\n# Title", "x" * 5000, "``` [a](http://example.invalid)"],
)
def test_a_strangers_words_stay_a_quotation(text):
    for link in ({"steps": text}, {text: "1"}, {"v": text}):
        said = opened({"v": "1"} | link).warning[0].value
        line = said.partition("\n")[2]
        assert "\n" not in line
        assert line.count("`") == 2
        outside = line.split("`")[0] + line.split("`")[2]
        assert "](" not in outside
        assert "#" not in outside
        assert len(line.split("`")[1]) <= LONGEST + 4


def test_a_change_goes_into_the_address_and_a_bad_one_changes_nothing():
    app = opened({})
    app.text_input(key="address").set_value("steps")
    app.text_input(key="value").set_value("77")
    well(app.button(key="set").click().run())
    assert link_of(app) == {"steps": "77"}
    assert app.session_state["answer"] == []
    app.text_input(key="value").set_value("0")
    well(app.button(key="set").click().run())
    assert link_of(app) == {"steps": "77"}
    assert [each.address for each in app.session_state["answer"]] == ["steps"]


def legal(what: Domain, rng: random.Random) -> str:
    """Some legal value of a domain, spelt."""
    if what.optional and rng.random() < 0.3:
        return "none"
    if what.many:
        chosen = rng.sample(what.choices, rng.randint(2, len(what.choices))) if what.choices else []
        return ",".join(map(str, chosen))
    if what.choices:
        return spell(rng.choice(what.choices))
    if what.kind is bool:
        return rng.choice(["on", "off"])
    low, high = what.low or 0, 50 if what.high is None else what.high
    if what.kind is int:
        return str(rng.randint(int(low), int(high)))
    return spell(high - (high - low) * rng.random() * 0.99) if what.kind is float else ""


@pytest.mark.parametrize("seed", range(60))
def test_every_state_survives_its_own_link(seed):
    rng = random.Random(seed)
    view, refused = read({place: rng.choice(list(choices(View, place))) for place in KINDS}, DEFAULT)
    assert refused == []
    known = [k for k in knobs(view) if not k.address.endswith((".kind", "schema_version"))]
    some = rng.sample(known, 12)
    view, _ = read({k.address: legal(domain(k.field), rng) for k in some}, view)
    link = flatten(view, DEFAULT)
    again, refused = read(link, DEFAULT)
    assert refused == []
    assert again == view
    assert flatten(again, DEFAULT) == link


def test_a_link_made_of_rubbish_never_stops_the_app():
    rng = random.Random(0)
    places = [k.address for k in knobs(DEFAULT)]
    odd = ["", ".", "a..b", "loss", "loss.", "loss.kind.x", "steps.x", "encoder", "lane", "scene", "__class__", "é"]
    values = ["", "none", "-1", "nan", "1e999", "on", ",", "a,b", "[]", "{}", "\n", "9" * 400, "0x10", "1_000", "５"]
    for _ in range(400):
        link = {rng.choice(places + 3 * odd): rng.choice(values) for _ in range(rng.randint(1, 6))}
        view, refused = read(link, DEFAULT)
        assert {each.address for each in refused} <= set(link)
        again, none = read(flatten(view, DEFAULT), DEFAULT)
        assert (again, none) == (view, [])
