"""A run folder can be read at any moment, whatever state it is in."""

import errno
import json

import numpy as np
import pytest
from filelock import FileLock

from core.runs.folder import DamagedRun, RunFolder, write_arrays, write_atomically, write_json


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "0123456789abcdef")
    write_json(run.path / "recipe.json", {"schema_version": 1, "steps": 9})
    run.say("running")
    return run


def test_a_torn_last_line_is_ignored(folder):
    (folder.path / "metrics.jsonl").write_bytes(b'{"step": 0, "loss": 2.5}\n{"step": 1, "lo')
    assert folder.metrics() == [{"step": 0, "loss": 2.5}]


def test_new_lines_are_seen(folder):
    with (folder.path / "metrics.jsonl").open("w") as lines:
        for step in range(3):
            lines.write(json.dumps({"step": step}) + "\n")
            lines.flush()
            assert [row["step"] for row in folder.metrics()] == list(range(step + 1))


def test_a_bad_line_in_the_middle_is_damage_and_names_its_line(folder):
    (folder.path / "metrics.jsonl").write_text('{"step": 0}\nnonsense\n{"step": 2}\n')
    with pytest.raises(DamagedRun, match="line 2"):
        folder.metrics()
    assert folder.status().state == "damaged"


def test_lines_are_cut_back(folder):
    (folder.path / "metrics.jsonl").write_text("".join(f'{{"step": {s}}}\n' for s in range(5)))
    folder.cut_metrics(3)
    assert [row["step"] for row in folder.metrics()] == [0, 1, 2]


def test_a_run_whose_worker_is_gone_is_stopped_and_one_whose_lock_is_held_is_running(folder):
    assert folder.status().state == "stopped"
    with FileLock(folder.path / "lock"):
        assert folder.status().state == "running"
    assert folder.status().state == "stopped"


def test_a_run_just_queued_has_time_to_start(folder):
    folder.say("queued")
    assert folder.status().state == "queued"
    write_json(folder.path / "state.json", {"state": "queued", "at": 0})
    assert folder.status().state == "stopped"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "expected an object"),
        ("{}", "no recipe.json"),
        ('{"schema_version": 2}', "version 2"),
    ],
)
def test_a_damaged_recipe_is_one_sentence(folder, content, says):
    (folder.path / "recipe.json").write_text(content)
    with pytest.raises(DamagedRun, match=says):
        folder.recipe()
    status = folder.status()
    assert status.state == "damaged"
    assert says in status.message


def test_a_full_disk_leaves_the_old_file_and_no_litter(folder):
    path = folder.path / "state.json"
    before = path.read_bytes()

    def full(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, full)
    assert path.read_bytes() == before
    assert [file.name for file in folder.path.iterdir() if file.name.startswith(".")] == []


def test_snapshots_are_listed_in_order_and_a_damaged_one_is_named(folder):
    for step in (100, 5, 20):
        write_arrays(folder.path / "snapshots" / f"{step}.npz", {"z.a": np.eye(2)})
    assert folder.snapshots() == [5, 20, 100]
    assert np.array_equal(folder.snapshot(20)["z.a"], np.eye(2))
    (folder.path / "snapshots" / "20.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(DamagedRun, match=r"20\.npz"):
        folder.snapshot(20)


def test_a_snapshot_with_any_bit_turned_over_opens_or_is_named(folder):
    file = folder.path / "snapshots" / "20.npz"
    write_arrays(file, {"z.a": np.eye(2)})
    content = file.read_bytes()
    opened, refused = 0, []
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.unlink()
        file.write_bytes(changed)
        try:
            opened += "z.a" in folder.snapshot(20)
        except DamagedRun as said:
            refused.append(str(said))
    assert opened > 0
    assert refused
    assert all("20.npz" in sentence for sentence in refused)
