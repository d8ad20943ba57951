"""The map of all losses is measured once for each state of the code, and anew where what was kept cannot be used."""

import dataclasses
from typing import Literal

import pytest
import torch

from core.diagnostics.family_map import Measured, family_map
from core.losses.registry import LOSSES
from core.params import Params
from core.runs import family as store
from tests.core.diagnostics.clouds import unit

KEYS = LOSSES.keys()[:6]


class Planted(Params):
    kind: Literal["planted"] = "planted"


@pytest.fixture
def measuring(tmp_path, monkeypatch) -> list[str]:
    """The settings that were measured, each in an instant: six losses by chance, all others apart."""
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    done: list[str] = []

    def every_loss(setting, said=None):
        z = unit(len(KEYS), 30, len(done), torch.float64)
        done.append(setting)
        measured = {key: Measured(row, 3) for key, row in zip(KEYS, z, strict=True)}
        return family_map(measured, dict.fromkeys(sorted(set(LOSSES.keys()) - set(KEYS)), "it has no place"))

    monkeypatch.setattr(store, "every_loss", every_loss)
    return done


def test_it_is_measured_once_for_each_setting(measuring):
    first, again = store.family("alike"), store.family("alike")
    assert measuring == ["alike"]
    store.family("own")
    assert measuring == ["alike", "own"]
    for name in ("keys", "stress", "trust", "apart"):
        assert getattr(first, name) == getattr(again, name), name
    for name in ("vectors", "active", "places", "distances"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name


def test_another_line_of_code_measures_anew_and_leaves_no_old_file(measuring, monkeypatch):
    store.family("alike")
    store.family("own")
    monkeypatch.setattr(store, "code_version", lambda: "0" * 12)
    store.family("alike")
    assert measuring == ["alike", "own", "alike"]
    assert [file.name for file in store.family_file("own").parent.iterdir()] == [f"{'0' * 12}-alike"]


@pytest.mark.parametrize("place", [0, 40, 2000, -30])
def test_a_damaged_file_is_measured_anew(place, measuring):
    store.family("alike")
    file = store.family_file("alike")
    damaged = bytearray(file.read_bytes())
    damaged[place] ^= 1
    for content in (damaged, damaged[: len(damaged) // 2], b""):
        before = len(measuring)
        file.write_bytes(content)
        store.family("alike")
        store.family("alike")
        assert len(measuring) == before + 1


def test_the_map_of_other_losses_is_measured_anew(measuring):
    store.family("alike")
    LOSSES.add(dataclasses.replace(LOSSES["clip"], params=Planted))
    try:
        assert store.kept("alike") is None
    finally:
        LOSSES.remove("planted")
    assert store.kept("alike") is not None
