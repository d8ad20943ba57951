"""One registry per kind of piece: keys, order, unions, and entries that speak for themselves."""

import importlib
from pathlib import Path
from typing import Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from core.environment import ROOT
from core.params import Params
from core.registry import Entry, Registry

PACKAGES = sorted(file.parent.name for file in (ROOT / "core").glob("*/registry.py"))


class Apple(Params):
    kind: Literal["apple"] = "apple"
    weight: int = 1


class Pear(Params):
    kind: Literal["pear"] = "pear"


def eaten(core: int, p: Apple, *, peel: int = 0) -> None:
    """A fruit, said
    over two lines.

    More about it.
    """


def entry(params: type[Params]) -> Entry:
    return Entry(title="Fruit", params=params, call=eaten, source="")


@pytest.fixture
def fruit() -> Registry[Entry]:
    registry: Registry[Entry] = Registry("fruit", "core.procedures", _complete=True)
    registry.add(entry(Apple))
    registry.add(entry(Pear))
    return registry


def registries() -> list[Registry[Entry]]:
    modules = [importlib.import_module(f"core.{package}.registry") for package in PACKAGES]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Registry)]


def test_finds_by_key_and_by_params(fruit: Registry[Entry]):
    assert fruit.keys() == ["apple", "pear"]
    assert len(fruit) == 2
    assert fruit["apple"] is fruit.of(Apple(weight=3)) is next(iter(fruit))
    with pytest.raises(KeyError):
        fruit["plum"]


def test_a_key_is_taken_once(fruit: Registry[Entry]):
    with pytest.raises(ValueError, match="fruit 'apple' is registered twice; choose another `kind`"):
        fruit.add(entry(Apple))
    fruit.remove("apple")
    fruit.add(entry(Apple))
    assert fruit.keys() == ["pear", "apple"]


def test_an_entry_speaks_for_itself(fruit: Registry[Entry]):
    assert fruit["apple"].key == "apple"
    assert fruit["apple"].summary == "A fruit, said over two lines."
    assert fruit["apple"].inputs == {"core": True, "peel": False}


def test_a_union_is_told_apart_by_kind(fruit: Registry[Entry]):
    either = TypeAdapter(fruit.union())
    assert either.validate_python({"kind": "apple", "weight": 2}) == Apple(weight=2)
    assert either.validate_python({"kind": "pear"}) == Pear()
    for wrong in ({"kind": "plum"}, {"kind": "pear", "weight": 2}, {"weight": 2}):
        with pytest.raises(ValidationError):
            either.validate_python(wrong)


def test_a_union_may_be_of_some_only(fruit: Registry[Entry]):
    assert fruit.union(lambda piece: piece.key == "pear") is Pear


def test_a_package_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "broken_pieces"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "piece.py").write_text("raise RuntimeError('torn')")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[Entry] = Registry("piece", "broken_pieces")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="torn"):
            registry.keys()


def test_every_package_with_a_registry_is_looked_at():
    assert {"losses", "mixing", "methods", "data", "encoders"} <= set(PACKAGES)
    assert len(registries()) == len(PACKAGES)


@pytest.mark.parametrize("registry", registries(), ids=lambda registry: registry.kind)
def test_every_registered_piece_says_what_it_is_and_is_read_by_its_kind(registry: Registry[Entry]):
    assert len(registry) > 0
    either = TypeAdapter(registry.union())
    for piece in registry:
        assert piece.title
        assert piece.summary
        if any(field.is_required() for field in piece.params.model_fields.values()):
            with pytest.raises(ValidationError):
                either.validate_python({"kind": piece.key})
        else:
            assert either.validate_python({"kind": piece.key}) == piece.params()
            assert piece.params().model_dump()["kind"] == piece.key
