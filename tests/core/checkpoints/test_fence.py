"""The fence: nothing in a stranger's file runs, no file harms the app, and every refusal is one sentence."""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.checkpoints import fence
from core.checkpoints.limits import Limits
from core.checkpoints.summary import Summary
from core.environment import ROOT
from core.refusal import Refusal
from tests.core.checkpoints.damage import CUTS, FLIPS
from tests.core.checkpoints.hostile import GIANT, HOSTILE, TRACE, RunsACommand


def summary(key: str) -> Summary:
    return Summary.model_validate_json((fence.folder_of(key) / fence.SUMMARY).read_bytes())


def tensors(key: str) -> dict[str, torch.Tensor]:
    return {
        name: value
        for part in sorted(fence.folder_of(key).glob("*.safetensors"))
        for name, value in load_file(part).items()
    }


def leftovers() -> list[str]:
    return [path.name for path in fence.checkpoints_home().iterdir()]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_in_one_sentence(name, tmp_path):
    file_name, make, said = HOSTILE[name]
    file = tmp_path / file_name
    make(file)
    with pytest.raises(Refusal) as refused:
        fence.add([file])
    sentence = str(refused.value)
    assert said in sentence
    assert "expected" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 500
    assert not (tmp_path / TRACE).exists()
    assert leftovers() == []


def test_the_attack_of_these_tests_is_real(tmp_path):
    function, arguments = RunsACommand(tmp_path / TRACE).__reduce__()
    function(*arguments)
    assert (tmp_path / TRACE).exists()


def test_a_sparse_giant_is_refused(tmp_path):
    with torch.sparse.check_sparse_tensor_invariants():
        giant = torch.sparse_coo_tensor(torch.zeros(2, 0, dtype=torch.long), torch.zeros(0), (10 * GIANT, 10 * GIANT))
        torch.save({"weight": giant}, tmp_path / "a.pt")
    with pytest.raises(Refusal, match="is sparse_coo; expected dense"):
        fence.add([tmp_path / "a.pt"])


def test_cut_and_flipped_files_are_opened_or_refused_and_kill_nobody(tmp_path):
    files, folder = [tmp_path / f"honest.{suffix}" for suffix in ("pt", "pth", "safetensors")], tmp_path / "copies"
    folder.mkdir()
    state = {"first.weight": torch.randn(4, 3), "first.bias": torch.randn(4), "steps": torch.tensor(7)}
    torch.save(state, files[0])
    torch.save(state, files[1], _use_new_zipfile_serialization=False)
    save_file(state, files[2])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.core.checkpoints.damage", str(folder), *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found) == list(map(str, files))
    for counts in found.values():
        assert counts["opened"] + counts["refused"] == CUTS + FLIPS
        assert counts["refused"] >= CUTS
        assert counts["opened"] > 0


def test_a_file_of_any_size_in_memory_is_stopped_by_the_limit(tmp_path):
    """An allocation that passes every check of the file's own words: the limit of the process answers."""
    code = (
        "import torch; from core.checkpoints import reader; from core.checkpoints.limits import Limits\n"
        "reader.fence_in(1, Limits())\n"
        "torch.ones(40_000_000)\n"
        "try: torch.ones(100_000_000)\n"
        "except RuntimeError as error: print('stopped', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert fence.unlimited() != [] or "stopped" in done.stdout


def test_what_takes_too_long_is_stopped_with_a_sentence(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pt")
    with pytest.raises(Refusal, match=r"took more than 0 s"):
        fence.add([tmp_path / "a.pt"], Limits(seconds=1e-6))
    assert fence.add([tmp_path / "a.pt"])


def test_a_reader_that_died_is_replaced(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pt")
    fence.warm_up()
    assert fence._warm is not None
    fence._warm.kill()
    fence._warm.wait()
    assert tensors(fence.add([tmp_path / "a.pt"]))["weight"].tolist() == [0, 0, 0]


def test_a_fresh_process_does_the_same_where_nothing_can_be_forked(tmp_path, monkeypatch):
    monkeypatch.setattr(fence, "forks", lambda: False)
    torch.save({"weight": torch.arange(3)}, tmp_path / "a.pt")
    assert tensors(fence.add([tmp_path / "a.pt"]))["weight"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("legacy", [False, True])
def test_an_honest_file_comes_out_bit_by_bit(legacy, tmp_path):
    state = {
        "state_dict": {
            "weight": torch.randn(5, 3),
            "half": torch.randn(4).half(),
            "brain": torch.randn(4).bfloat16(),
            "count": torch.tensor(3),
            "transposed": torch.randn(3, 5).T,
            "none": torch.zeros(0, 4),
        },
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    }
    torch.save(state, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not legacy)
    key = fence.add([tmp_path / "a.ckpt"])
    found = tensors(key)
    for name, value in state["state_dict"].items():
        assert torch.equal(found[f"state_dict.{name}"], value)
        assert found[f"state_dict.{name}"].dtype == value.dtype
    assert found["optimizer.state.0.step"].item() == 1
    assert summary(key).notes["optimizer.param_groups.0.lr"] == "0.1"
    assert summary(key).kind == ("torch legacy" if legacy else "torch archive")
    assert summary(key).size == (tmp_path / "a.ckpt").stat().st_size


def test_classes_that_only_hold_values_are_let_in_and_named(tmp_path):
    held = {
        "weight": torch.zeros(2),
        "args": argparse.Namespace(lr=0.1, out=pathlib.PosixPath("/somewhere")),
        "best": np.float64(0.5),
        "history": np.arange(3),
        "counts": collections.defaultdict(list),
    }
    torch.save(held, tmp_path / "a.pt")
    key = fence.add([tmp_path / "a.pt"])
    assert summary(key).notes == {"args.lr": "0.1", "args.out": "/somewhere", "best": "0.5"}
    assert tensors(key)["history"].tolist() == [0, 1, 2]
    assert summary(key).classes == ("argparse.Namespace", "collections.defaultdict")


def test_tied_weights_are_kept_once_and_named(tmp_path):
    weight = torch.randn(4, 4)
    torch.save({"embed": weight, "head": weight, "part": weight[:2]}, tmp_path / "a.pt")
    key = fence.add([tmp_path / "a.pt"])
    assert summary(key).tied == {"head": "embed"}
    assert torch.equal(tensors(key)["part"], weight[:2])


def test_what_has_no_numbers_is_named_and_the_rest_is_kept(tmp_path):
    torch.save({"there": torch.zeros(2), "nowhere": torch.zeros(2, device="meta")}, tmp_path / "a.pt")
    key = fence.add([tmp_path / "a.pt"])
    assert list(tensors(key)) == ["there"]
    assert summary(key).left == {"nowhere": "it is on the device 'meta' and has no numbers"}


def test_the_same_content_is_read_once(tmp_path, monkeypatch):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "a.pt")
    key = fence.add([tmp_path / "a.pt"])
    monkeypatch.setattr(fence, "_read", lambda *_: pytest.fail("read a second time"))
    assert fence.add([tmp_path / "a.pt"]) == key


def test_few_files_are_kept(tmp_path):
    for number in range(fence.KEPT + 2):
        save_file({"weight": torch.full((2,), float(number))}, tmp_path / "a.safetensors")
        os.utime(fence.folder_of(fence.add([tmp_path / "a.safetensors"])), (number, number))
    assert len(leftovers()) == fence.KEPT


def sharded(folder: pathlib.Path, names: list[str]) -> pathlib.Path:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {f"w{place}": name for place, name in enumerate(names)}}))
    return index


def test_the_parts_that_an_index_names_are_one_checkpoint(tmp_path):
    for place, name in enumerate(("one.safetensors", "two.safetensors")):
        save_file({f"w{place}": torch.full((2,), float(place))}, tmp_path / name)
    key = fence.add([sharded(tmp_path, ["one.safetensors", "two.safetensors"])])
    assert {name: value.tolist() for name, value in tensors(key).items()} == {"w0": [0, 0], "w1": [1, 1]}
    assert summary(key).kind == "sharded"


def test_two_checkpoints_are_not_taken_for_parts_of_one(tmp_path):
    for name in ("first.pt", "second.pt"):
        torch.save({"weight": torch.zeros(3)}, tmp_path / name)
    with pytest.raises(Refusal, match=r"'first\.pt' and 'second\.pt' both hold 'weight'; expected the parts of one"):
        fence.add([tmp_path / "first.pt", tmp_path / "second.pt"])
    assert leftovers() == []


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/secret.safetensors", "a/b.safetensors", "a\\b.bin"])
def test_an_index_leads_nowhere_else(name, tmp_path):
    (tmp_path / "inside").mkdir()
    save_file({"w0": torch.zeros(2)}, tmp_path / "secret.safetensors")
    with pytest.raises(Refusal, match="outside its own folder"):
        fence.add([sharded(tmp_path / "inside", [name])])


def test_an_index_follows_no_link_out_of_its_folder(tmp_path):
    (tmp_path / "inside").mkdir()
    save_file({"w0": torch.zeros(2)}, tmp_path / "secret.safetensors")
    (tmp_path / "inside" / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(Refusal, match="outside its own folder"):
        fence.add([sharded(tmp_path / "inside", ["link.safetensors"])])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "is no index"),
        (b"{", "is no index"),
        (b'{"weight_map": [1]}', "is no index"),
        (b'{"weight_map": {"a": "gone.safetensors"}}', "which is missing"),
        (b'{"weight_map": {}}', "No file of weights"),
    ],
)
def test_a_bad_index_is_refused(content, said, tmp_path):
    index = tmp_path / "a.index.json"
    index.write_bytes(content)
    with pytest.raises(Refusal, match=said):
        fence.add([index])


def test_other_suffixes_missing_files_and_large_ones_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(Refusal, match="does not end in"):
        fence.add([tmp_path / "a.txt"])
    with pytest.raises(Refusal, match="is no file"):
        fence.add([tmp_path / "gone.pt"])
    save_file({"weight": torch.zeros(1_000)}, tmp_path / "a.safetensors")
    with pytest.raises(Refusal, match="at most 0 MB"):
        fence.add([tmp_path / "a.safetensors"], Limits(file=100))


def test_a_summary_that_was_forged_is_refused(tmp_path, monkeypatch):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pt")

    def forged(asked):
        out = pathlib.Path(asked["out"])
        (out / "summary.json").write_text(json.dumps({"kind": "own", "size": -1, "more": 1}))
        return "well"

    monkeypatch.setattr(fence, "_ask_warm", forged)
    with pytest.raises(Refusal, match="gave no summary"):
        fence.add([tmp_path / "a.pt"])
