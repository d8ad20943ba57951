"""Training in a folder: killed, cancelled, diverged, resumed and branched, nothing is lost."""

import errno
import itertools
import json
import multiprocessing
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.refusal import Refusal
from core.runs import worker
from core.runs.folder import RunFolder, runs_home
from core.runs.worker import prepare, state_at, work
from tests.core.runs.conftest import VARIANTS, small

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = [__name__, "sklearn.linear_model"]


def trained(recipe, path=None, threads=1):
    folder = prepare(recipe, RunFolder(path) if path else None, threads)
    work(folder)
    assert folder.status().state == "done"
    return folder


def same_bits(one: RunFolder, other: RunFolder) -> bool:
    """Metrics, snapshots, final weights and result, to the last bit."""
    states = [torch.load(f.path / "checkpoint.pt", weights_only=True) for f in (one, other)]
    weights = [state["model"] | state["learned"] | state["memory"] | state["kept"] for state in states]
    return (
        one.metrics() == other.metrics()
        and one.snapshots() == other.snapshots()
        and one.result()["metrics"] == other.result()["metrics"]
        and all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        and all(same_arrays(one.snapshot(step), other.snapshot(step)) for step in one.snapshots())
    )


def same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(array, other[name]) for name, array in one.items())


def test_a_run_records_every_step_and_its_last_line_is_the_trained_network(tmp_path):
    folder = trained(small(), tmp_path / "run")
    rows = folder.metrics()
    assert [row["step"] for row in rows] == list(range(31))
    assert rows[-1]["loss"] == folder.result()["metrics"]["train.loss"]
    assert folder.snapshots()[0] == 0
    assert folder.snapshots()[-1] == 30
    assert not (folder.path / ".cancel").exists()


def test_equal_recipes_are_one_run_and_another_seed_is_another():
    first, again, other = prepare(small()), prepare(small()), prepare(small(seed="1"))
    assert first.path == again.path
    assert first.path != other.path


def test_equal_seeds_give_equal_bits_and_another_seed_does_not(tmp_path):
    one, two = (trained(small(), tmp_path / name) for name in ("one", "two"))
    assert same_bits(one, two)
    three = trained(small(seed="1"), tmp_path / "three")
    assert three.metrics()[0]["loss"] != one.metrics()[0]["loss"]


def test_a_mixing_changes_neither_batches_nor_weights_nor_the_clean_loss_of_the_first_step(tmp_path):
    plain = trained(small(loss__kind="ranking"), tmp_path / "plain")
    mixed = trained(small(loss__kind="ranking", mixing__kind="dmm"), tmp_path / "mixed")
    clean = mixed.metrics()[0]
    assert sum(value for name, value in clean.items() if name.startswith("term.clean")) == pytest.approx(
        plain.metrics()[0]["loss"], rel=1e-6
    )
    assert np.array_equal(plain.snapshot(0)["z.left"], mixed.snapshot(0)["z.left"])


def last_step(folder: RunFolder) -> int:
    """The step of the last complete line; -1 where there is none. Looked for often, so no other line is read."""
    file = folder.path / "metrics.jsonl"
    line = file.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2] if file.exists() else b""
    return json.loads(line)["step"] if line else -1


def _victim(path, seconds):
    work(RunFolder(path), checkpoint_seconds=seconds)


@pytest.mark.parametrize("name", [*VARIANTS, "two threads"])
def test_killed_at_twenty_random_steps_and_resumed_a_run_equals_an_uninterrupted_one(name, tmp_path):
    threads = 2 if name == "two threads" else 1
    recipe = small(**{key.replace(".", "__"): value for key, value in VARIANTS.get(name, {}).items()}, steps="150")
    whole = trained(recipe, tmp_path / "whole", threads)
    folder = prepare(recipe, RunFolder(tmp_path / "killed"), threads)
    CONTEXT.set_forkserver_preload(PRELOADED)
    rng = random.Random(name)
    for step in sorted(rng.sample(range(5, 140), 20)):
        process = CONTEXT.Process(target=_victim, args=(folder.path, 0.02))
        process.start()
        while process.is_alive() and last_step(folder) < step:
            process.join(timeout=0.005)
        process.kill()
        process.join()
        if folder.status().state == "done":
            break
        assert folder.status().state == "stopped"
    work(folder)
    assert folder.status().state == "done"
    assert same_bits(whole, folder)


def test_cancel_is_answered_within_one_step_and_resume_goes_on_to_the_same_bits(tmp_path):
    whole = trained(small(), tmp_path / "whole")
    folder = prepare(small(), RunFolder(tmp_path / "cancelled"))
    session = worker._Session

    class Stopping(session):
        def _let_others_go(self, lines):
            if self.trainer.step == 12:
                self.folder.ask_to_stop()
            return super()._let_others_go(lines)

    worker._Session = Stopping
    try:
        work(folder)
    finally:
        worker._Session = session
    status = folder.status()
    assert status.state == "cancelled"
    assert status.step in (11, 12)
    work(folder)
    assert same_bits(whole, folder)


def test_a_loss_that_is_not_a_number_ends_the_run_and_names_the_step(tmp_path, monkeypatch):
    folder = prepare(small(), RunFolder(tmp_path / "run"))
    record = worker.Trainer.record

    def spoilt(self, paying):
        columns = record(self, paying)
        return columns | {"loss": columns["loss"] * float("nan")} if self.step == 7 else columns

    monkeypatch.setattr(worker.Trainer, "record", spoilt)
    work(folder)
    status = folder.status()
    assert status.state == "diverged"
    assert "step 7" in status.message
    assert [row["step"] for row in folder.metrics()] == list(range(7))


def test_a_full_disk_fails_the_run_with_its_sentence_and_resume_completes_it(tmp_path, monkeypatch):
    whole = trained(small(), tmp_path / "whole")
    folder = prepare(small(), RunFolder(tmp_path / "run"))
    write = worker.write_arrays

    def full(path, arrays):
        if path.name == "10.npz":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, arrays)

    monkeypatch.setattr(worker, "write_arrays", full)
    with pytest.raises(OSError, match="No space"):
        work(folder)
    assert folder.status().state == "failed"
    assert "disk is full" in folder.status().message
    monkeypatch.setattr(worker, "write_arrays", write)
    work(folder)
    assert same_bits(whole, folder)


def test_two_workers_never_share_a_run(tmp_path):
    folder = prepare(small(), RunFolder(tmp_path / "run"))
    with worker.FileLock(folder.path / "lock"), pytest.raises(Refusal, match="another process"):
        work(folder)


def test_a_branch_starts_as_its_parent_was_and_then_goes_its_own_way():
    parent = trained(small())
    child_recipe = small(parent=parent.path.name, from_step="10", loss__kind="info_nce", loss__temperature="0.5")
    child = trained(child_recipe)
    device = torch.device("cpu")
    theirs, ours = state_at(parent, 10, device).model.state_dict(), state_at(child, 10, device).model.state_dict()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    assert [row["step"] for row in child.metrics()] == list(range(31))
    assert child.metrics()[:10] == parent.metrics()[:10]
    assert child.metrics()[10]["loss"] != parent.metrics()[10]["loss"]
    grandchild = trained(small(parent=child.path.name, from_step="5"))
    assert grandchild.metrics()[:5] == parent.metrics()[:5]


def test_a_branch_of_other_data_is_refused():
    parent = trained(small())
    with pytest.raises(Refusal, match="keeps the data"):
        prepare(small(parent=parent.path.name, from_step="10", data__spread="0.5"))


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Refusal, match="something else"):
        prepare(small(), RunFolder(tmp_path))
    assert [file.name for file in tmp_path.iterdir() if file.name != "home"] == ["notes.txt"]


def test_the_recorded_margin_is_the_one_that_was_applied_so_a_margin_that_decays_is_seen(tmp_path, monkeypatch):
    from core.mixing.dmm import DynamicMixedMargin

    recipe = small(loss__kind="ranking", mixing__kind="dmm", mixing__law="fixed")
    honest = [row["margin"] for row in trained(recipe, tmp_path / "honest").metrics()]
    assert honest == pytest.approx([0.75 * 0.2] * 31)
    kept = {"margin": 0.2}
    plan = DynamicMixedMargin.plan

    def decaying(self, n, p, g, known):
        drawn = plan(self, n, p, g, replace(known, margin=kept["margin"]))
        kept["margin"] = float(drawn.margin[0])
        return drawn

    monkeypatch.setattr(DynamicMixedMargin, "plan", decaying)
    applied = [row["margin"] for row in trained(recipe, tmp_path / "decaying").metrics()]
    assert all(later < earlier for earlier, later in itertools.pairwise(applied))
    assert applied[-1] < 1e-3 * honest[-1]


def test_runs_live_in_the_users_home(own_home):
    assert runs_home() == own_home / "runs"
    assert prepare(small()).path.parent == own_home / "runs"


def test_a_polite_run_lets_others_go_first_and_still_finishes_with_the_same_bits(tmp_path, monkeypatch):
    whole = trained(small(), tmp_path / "whole")
    folder = prepare(small(), RunFolder(tmp_path / "demo"))
    asked = iter([False, False, True, *[False] * 200])
    monkeypatch.setattr(worker.Turn, "others_wait", lambda self: next(asked, False))
    work(folder, polite=True)
    assert same_bits(whole, folder)


def test_a_second_run_waits_until_the_slot_is_free(tmp_path, monkeypatch):
    from core.runs import queue

    monkeypatch.setattr(queue, "slot_count", lambda: 1)
    first, second = queue.Turn(), queue.Turn()
    assert first.take(lambda: False)
    assert not second.take(iter([False, True]).__next__)
    first.give_back()
    assert second.take(lambda: False)
    second.give_back()
