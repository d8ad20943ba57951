"""Links and command lines are read against the schema; what cannot be read is named."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from core.addresses import choices, flatten, knob_at, knobs, read, spell
from core.catalogue import REGISTRIES
from core.mixing.dmm import DMM
from core.params import Params, domain
from core.recipe import Recipe


class Plain(Params):
    kind: Literal["plain"] = "plain"
    width: int = Field(8, ge=1, le=64)
    rate: float | None = Field(None, gt=0, le=1)


class Fancy(Params):
    kind: Literal["fancy"] = "fancy"
    loud: bool = False
    names: tuple[Literal["x", "y", "z"], ...] = ("x", "y")


class Outer(Params):
    piece: Annotated[Plain | Fancy, Field(discriminator="kind")] = Plain()
    steps: int = Field(5, ge=1)


@pytest.mark.parametrize(
    "flat",
    [
        {},
        {"steps": "7"},
        {"piece.width": "64", "piece.rate": "0.25"},
        {"piece.kind": "fancy", "piece.loud": "on", "piece.names": "z,x"},
    ],
)
def test_a_link_comes_back_as_it_went(flat):
    outer, refused = read(flat, Outer())
    assert refused == []
    assert flatten(outer, Outer()) == flat


def test_an_address_leads_to_the_knob_that_is_listed_there():
    recipe, _ = read({"loss": "ranking", "mixing": "dmm", "mixing.partner": "bank"}, Recipe())
    listed = list(knobs(recipe))
    assert [knob_at(recipe, knob.address) for knob in listed] == listed
    assert not all(knob.matters for knob in listed)
    for nowhere in ("", "loss", "loss.none", "none.kind", "loss.kind.more", "model_fields", "loss.model_dump"):
        assert knob_at(recipe, nowhere) is None


def test_none_and_whole_numbers_are_spelt():
    base = Outer(piece=Plain(rate=0.5))
    changed, refused = read({"piece.rate": "none"}, base)
    assert refused == []
    assert changed.piece.rate is None
    assert flatten(changed, base) == {"piece.rate": "none"}
    assert [spell(value) for value in (True, 3.0, 0.07, ("a", "b"), 4)] == ["on", "3", "0.07", "a,b", "4"]


def test_the_name_of_a_choice_stands_for_its_kind():
    outer, _ = read({"piece": "fancy", "piece.loud": "on"}, Outer())
    assert outer.piece == Fancy(loud=True)


def test_a_new_kind_starts_from_its_own_defaults_and_keeps_nothing_of_the_old():
    outer, _ = read({"piece.kind": "plain"}, Outer(piece=Fancy(loud=True)))
    assert outer.piece == Plain()


@pytest.mark.parametrize(
    ("flat", "address", "says"),
    [
        ({"steps": "0"}, "steps", "expected a whole number from 1"),
        ({"steps": "many"}, "steps", "expected a whole number from 1"),
        ({"piece.width": "65"}, "piece.width", "expected a whole number from 1 to 64"),
        ({"piece.rate": "0"}, "piece.rate", "expected a number above 0 to 1, or none"),
        ({"piece.rate": "nan"}, "piece.rate", "expected a number above 0 to 1, or none"),
        ({"piece.kind": "bogus"}, "piece.kind", "expected one of plain, fancy"),
        ({"piece": "bogus"}, "piece", "expected one of plain, fancy"),
        ({"piece.wdith": "3"}, "piece.wdith", "did you mean piece.width?"),
        ({"piece.kind": "fancy", "piece.names": "x,q"}, "piece.names", "expected some of x, y, z"),
        ({"nothing.like.it": "1"}, "nothing.like.it", "no such setting here"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_was_expected(flat, address, says):
    outer, refused = read(flat | {"steps": "9"} if "steps" not in flat else flat, Outer())
    assert [each.address for each in refused] == [address]
    assert says in refused[0].reason
    assert refused[0].value == flat[address]
    if address != "steps":
        assert outer.steps == 9


def test_a_rule_between_fields_drops_them_and_says_why():
    recipe, refused = read({"mixing.kind": "dmm", "mixing.low": "0.9", "mixing.high": "0.6", "steps": "3"}, Recipe())
    assert recipe.steps == 3
    assert any("low must not exceed high" in each.reason for each in refused)


def test_every_address_of_the_recipe_can_be_said_and_read():
    for knob in knobs(Recipe()):
        again, refused = read({knob.address: spell(knob.value)}, Recipe())
        assert refused == [], knob.address
        assert again == Recipe()


def test_a_knob_says_whether_it_has_any_effect_beside_the_others():
    mixing, refused = read({"law": "beta", "partner": "roll", "per_sample": "on"}, DMM())
    assert refused == []
    idle = {knob.address for knob in knobs(mixing) if not knob.matters}
    assert {"low", "high", "fixed", "bank", "layer", "prior", "renormalise"} <= idle
    assert {"law", "concentration", "shift", "share", "half", "dropout"}.isdisjoint(idle)


def test_what_a_knob_waits_for_is_a_value_that_can_be_chosen():
    for registry in REGISTRIES:
        for entry in registry:
            fields = entry.params.model_fields
            for name, field in fields.items():
                needed = (field.json_schema_extra or {}).get("only", {})
                assert name not in needed
                for other, values in needed.items():
                    known = domain(fields[other])
                    assert set(values) <= set(known.choices or (True, False)), f"{entry.key}.{name}"


def test_choices_are_found_by_address():
    assert set(choices(Outer, "piece")) == {"plain", "fancy"}
    assert choices(Outer, "steps") == {}
    assert "cnn" in choices(Recipe, "encoder.image")


def test_each_domain_says_what_it_expects():
    fields = Plain.model_fields | Fancy.model_fields
    said = {name: domain(field).expectation() for name, field in fields.items() if name != "kind"}
    assert said == {
        "width": "a whole number from 1 to 64",
        "rate": "a number above 0 to 1, or none",
        "loud": "on or off",
        "names": "some of x, y, z, separated by commas",
    }
