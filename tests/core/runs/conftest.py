"""A home of its own for every test, and a recipe that trains in a blink."""

import pytest

from core.addresses import read
from core.recipe import Recipe

SMALL = {
    "data.kind": "circle",
    "encoder.vector.width": "16",
    "encoder.dim": "3",
    "method.batch": "16",
    "steps": "30",
}
VARIANTS = {
    "plain": {"loss.kind": "info_nce"},
    "dmm": {"loss.kind": "ranking", "mixing.kind": "dmm"},
    "dmm that remembers": {
        "loss.kind": "ranking",
        "mixing.kind": "dmm",
        "mixing.partner": "bank",
        "mixing.rule": "released_decay",
    },
    "learned temperature, batches of renewed clusters": {
        "loss.kind": "clip",
        "loss.learned": "on",
        "method.kind": "clustered",
        "method.clusters": "3",
        "method.every": "3",
    },
    "bags, mixed from a bank": {
        "data.kind": "clips",
        "data.videos": "60",
        "encoder.bag.width": "16",
        "loss.kind": "coot",
        "mixing.kind": "dmm",
        "mixing.partner": "bank",
    },
}
BAGS = {name: value for name, value in VARIANTS["bags, mixed from a bank"].items() if not name.startswith("mixing.")}


def small(**changes: str) -> Recipe:
    recipe, refused = read(SMALL | {name.replace("__", "."): value for name, value in changes.items()}, Recipe())
    assert refused == []
    return recipe


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
