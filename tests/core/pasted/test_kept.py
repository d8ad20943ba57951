"""What is kept is found by its hash alone, listed by name, forgotten, and never run where it is switched off."""

import pytest
import torch

from core.environment import PASTE
from core.losses.registry import LOSSES
from core.pasted import kept
from core.pasted.entry import Pasted
from core.pasted.examples import EXAMPLES
from core.pasted.source import read
from core.recipe import Recipe
from core.refusal import Refusal

SOURCE = read(EXAMPLES["InfoNCE"])


@pytest.fixture(autouse=True)
def empty_desk(monkeypatch):
    monkeypatch.setattr(kept, "_desk", type(kept._desk)())


def test_what_is_kept_is_listed_found_and_forgotten():
    other = read(EXAMPLES["Alignment and uniformity"])
    keys = [kept.keep(SOURCE, "  mine,\n the first "), kept.keep(other, "")]
    assert kept.listed() == {keys[1]: "unnamed", keys[0]: "mine, the first"}
    assert kept.find(keys[0]) == SOURCE
    kept.forget(keys[0])
    assert list(kept.listed()) == keys[1:]
    with pytest.raises(Refusal, match=f"{keys[0][:8]} is not kept on this machine"):
        kept.find(keys[0])


def test_the_desk_holds_the_last_ones_for_as_long_as_the_app_runs():
    first = kept.lay(SOURCE)
    for number in range(kept.DESK):
        assert kept.find(first) == SOURCE
        kept.lay(read(f"def loss(scores):\n    return scores.mean() * {number}"))
    assert kept.listed() == {}
    with pytest.raises(Refusal, match="not kept"):
        kept.find(first)


def test_a_kept_text_that_was_changed_is_not_run():
    key = kept.keep(SOURCE, "mine")
    kept._file(key).write_text("import os\n")
    with pytest.raises(Refusal, match="was changed since"):
        kept.find(key)


@pytest.mark.parametrize("said", [None, "", "off", "1"])
def test_switched_off_nothing_is_run_and_the_sentence_says_how_to_switch_it_on(said, monkeypatch):
    key = kept.keep(SOURCE, "mine")
    if said is None:
        monkeypatch.delenv(PASTE)
    else:
        monkeypatch.setenv(PASTE, said)
    with pytest.raises(Refusal, match="switched off; expected the app to be started so: python3 -m dashboard --paste"):
        LOSSES["pasted"].call(torch.eye(3), torch.eye(3), Pasted(code=key))


def test_it_stands_in_no_list_and_in_every_recipe():
    assert all(entry.key != "pasted" for entry in LOSSES)
    asked = Recipe(loss=Pasted(code=SOURCE.key))
    assert Recipe.model_validate_json(asked.model_dump_json()) == asked
    with pytest.raises(ValueError, match="code"):
        Pasted(code="../../secret")
    with pytest.raises(Refusal, match="No loss of your own is chosen"):
        kept.find("")
