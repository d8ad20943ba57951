"""A pasted loss trains as the registered one that it copies, and a step of it that hangs ends in a sentence."""

import itertools

import numpy as np
import pytest

from core.environment import PASTE
from core.pasted import calls, kept
from core.pasted.calls import Bounds
from core.pasted.examples import SOUND
from core.pasted.source import read
from core.refusal import Refusal
from core.runs.folder import RunFolder
from core.runs.worker import prepare, work
from tests.dashboard.apps import SMALL, recipe_of

HANGS = """def loss(scores, seen=[]):
    seen.append(1)
    while len(seen) > 10:
        pass
    return F.cross_entropy(scores / 0.1, torch.arange(len(scores)))
"""


def folder_of(text: str, **more: str) -> RunFolder:
    return prepare(recipe_of(SMALL | {"loss.kind": "pasted", "loss.code": kept.keep(read(text), "mine")} | more))


def test_it_trains_to_the_numbers_of_the_registered_loss():
    plain = {"mixing.kind": "none"}
    mine = folder_of(SOUND["InfoNCE"], **plain)
    registered = prepare(recipe_of(SMALL | plain | {"loss.kind": "info_nce", "loss.temperature": "0.1"}))
    for folder in (mine, registered):
        work(folder)
        assert folder.status().state == "done"
    assert mine.id != registered.id
    losses = [[row["loss"] for row in folder.metrics()] for folder in (mine, registered)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for name, z in mine.embeddings().items():
        np.testing.assert_allclose(z, registered.embeddings()[name], atol=1e-3)


def test_a_loss_of_embeddings_trains_beside_mixed_pairs():
    folder = folder_of(SOUND["Alignment and uniformity"], **{"mixing.kind": "dmm", "mixing.margin": "0.3"})
    work(folder)
    assert folder.status().state == "done"


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(monkeypatch):
    whole = folder_of(SOUND["InfoNCE"], seed="1")
    work(whole)
    parted = folder_of(SOUND["InfoNCE"] + "# the same\n", seed="1")
    questions = itertools.count()
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "asked_to_stop", lambda folder: next(questions) > 5)
        work(parted)
    assert parted.status().state == "cancelled"
    work(parted)
    assert [row["loss"] for row in parted.metrics()] == [row["loss"] for row in whole.metrics()]


def test_a_step_that_hangs_is_stopped_with_a_sentence_and_what_was_trained_is_kept(monkeypatch):
    folder = folder_of(HANGS)
    quick = Bounds(seconds=1)
    monkeypatch.setattr(calls, "Bounds", lambda: quick)
    with pytest.raises(Refusal, match="took more than 1 s"):
        work(folder)
    status = folder.status()
    assert (status.state, status.steps) == ("failed", 24)
    assert status.message.startswith("It, for 16 pairs, took more than 1 s and was stopped; expected a moment")


def test_cancel_is_heard_within_a_step_that_hangs(monkeypatch):
    folder = folder_of(HANGS)
    questions = itertools.count()
    monkeypatch.setattr(RunFolder, "asked_to_stop", lambda folder: next(questions) > 30)
    work(folder)
    status = folder.status()
    assert status.state == "cancelled"
    assert 3 <= status.step < 8
    assert f"Stopped at step {status.step + 1}" in status.message


def test_nothing_is_prepared_where_it_is_switched_off_or_not_held(monkeypatch):
    recipe = recipe_of(SMALL | {"loss.kind": "pasted", "loss.code": kept.keep(read(SOUND["InfoNCE"]), "mine")})
    other = recipe_of(SMALL | {"loss.kind": "pasted", "loss.code": "0" * 64})
    with pytest.raises(Refusal, match="The loss 00000000 is not kept on this machine"):
        prepare(other)
    monkeypatch.delenv(PASTE)
    with pytest.raises(Refusal, match="switched off"):
        prepare(recipe)
