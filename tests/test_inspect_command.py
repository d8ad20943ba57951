"""`python -m core inspect`: the health of a file to read or as one object, and one sentence where it is refused."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from core.__main__ import main
from tests.core.checkpoints.honest import HONEST, filled, moco, resnet
from tests.core.checkpoints.hostile import TRACE, RunsACommand

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))


@pytest.fixture
def say(capsys) -> Say:
    """Run the command; its exit code, and what it printed on both outputs."""

    def say(*line: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["inspect", *map(str, line)])
        return code, *capsys.readouterr()

    return say


def embeddings(seed: int = 0, n: int = 60) -> dict[str, np.ndarray]:
    """Two modalities of four classes, the second a noisy copy of the first."""
    g = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    image = g.normal(size=(n, 8)).astype(np.float32) + 3 * np.eye(4, 8, dtype=np.float32)[labels]
    return {"image": image, "text": image + 0.3 * g.normal(size=image.shape).astype(np.float32), "labels": labels}


@pytest.mark.parametrize("name", ["moco_v2_200ep.pth.tar", "model.safetensors.index.json"])
def test_a_file_of_weights_is_told_in_lines_and_as_one_object(name, say, tmp_path):
    save, family, word = HONEST[name]
    file = save(tmp_path / name)
    code, out, err = say(file)
    assert (code, err) == (0, "")
    assert out.startswith(f"{name}: ")
    assert word in out.splitlines()[0]
    assert all(f"\n{title}\n" in out for title in ("By these names", "Recognised", "Health", "Largest tensors"))
    code, out, err = say(file, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out.splitlines()[-1])
    assert (found["kind"], found["file"], found["recognition"]["family"]) == ("weights", name, family)
    assert {"verdicts", "tensors", "spectra", "temperatures", "queues", "optimisers", "against"} <= found.keys()
    assert found["against"] is None


def test_two_files_of_weights_are_compared(say, tmp_path):
    method = filled(moco())
    torch.save({"state_dict": method}, tmp_path / "moco.pth")
    save_file({name: method[f"module.encoder_q.{name}"] for name in resnet(head=False)}, tmp_path / "net.safetensors")
    _, out, _ = say(tmp_path / "moco.pth", "--against", tmp_path / "net.safetensors", "--json")
    against = json.loads(out)["against"]
    assert len(against["moved"]) == len(resnet(head=False))
    assert all(each["same"] for each in against["moved"])
    _, out, _ = say(tmp_path / "moco.pth", "--against", tmp_path / "net.safetensors")
    assert "Every tensor in both files holds the same numbers." in out


@pytest.mark.parametrize("ending", [".npz", ".npy", ".csv"])
def test_a_file_of_embeddings_gets_the_same_card_as_on_the_page(ending, say, tmp_path):
    arrays, file = embeddings(), tmp_path / f"mine{ending}"
    if ending == ".npz":
        np.savez(file, **arrays)
    elif ending == ".npy":
        np.save(file, arrays["image"])
    else:
        header = ",".join(f"image_{k}" for k in range(8))
        np.savetxt(file, arrays["image"], delimiter=",", header=header, comments="")
    code, out, err = say(file)
    assert (code, err) == (0, "")
    assert out.startswith(f"mine{ending}: embeddings\n60 rows × 8, ")
    assert "\nEffective rank\n" in out
    found = json.loads(say(file, "--json")[1])
    assert found["kind"] == "embeddings"
    rank = found["readings"]["effective_rank"][0]
    unit = F.normalize(torch.from_numpy(arrays["image"]), dim=1)
    shares = torch.linalg.svdvals(unit - unit.mean(dim=0))
    shares = shares / shares.sum()
    assert rank["value"] == pytest.approx(float((-shares * shares.log()).sum().exp()), rel=1e-4)
    assert ("knn" in found["readings"]) == (ending == ".npz")
    assert ("retrieval" in found["readings"]) == (ending == ".npz")


def test_two_files_of_embeddings_are_compared_row_by_row(say, tmp_path):
    one = embeddings()
    np.savez(tmp_path / "one.npz", **one)
    np.savez(tmp_path / "two.npz", **(one | {"image": one["image"][:, ::-1], "text": embeddings(seed=1)["text"]}))
    against = json.loads(say(tmp_path / "one.npz", "--against", tmp_path / "two.npz", "--json")[1])["against"]
    assert against["image"]["verdict"]["word"] == "no change"
    assert against["text"]["verdict"]["word"] != "no change"
    assert len(against["text"]["most_moved"]) == 50
    _, out, _ = say(tmp_path / "one.npz", "--against", tmp_path / "two.npz")
    assert "ok     image: no change." in out


def refused(tmp_path: Path) -> dict[str, tuple[list[Path | str], str]]:
    np.savez(tmp_path / "one.npz", **embeddings())
    np.savez(tmp_path / "short.npz", **embeddings(n=40))
    save_file({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    torch.save({"w": RunsACommand(tmp_path / TRACE)}, tmp_path / "evil.pt")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-1])
    (tmp_path / "notes.txt").write_text("hello")
    return {
        "a program": ([tmp_path / "evil.pt"], "The file wants to run or build '"),
        "a cut file": ([tmp_path / "cut.safetensors"], "no whole .safetensors"),
        "no file": ([tmp_path / "none.pt"], "'none.pt' is no file"),
        "no embeddings": ([tmp_path / "none.npz"], "'none.npz' is no file"),
        "another ending": ([tmp_path / "notes.txt"], "neither weights (.safetensors"),
        "two kinds": ([tmp_path / "w.safetensors", "--against", tmp_path / "one.npz"], "not of one kind"),
        "other rows": ([tmp_path / "one.npz", "--against", tmp_path / "short.npz"], "60 rows and the second 40"),
        "a second that is a program": ([tmp_path / "w.safetensors", "--against", tmp_path / "evil.pt"], "wants to run"),
    }


REFUSED = (
    "a program", "a cut file", "no file", "no embeddings", "another ending", "two kinds", "other rows",
    "a second that is a program",
)  # fmt: skip


@pytest.mark.parametrize("json_too", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_file_is_exit_code_two_and_one_sentence(name, json_too, say, tmp_path):
    line, words = refused(tmp_path)[name]
    code, out, err = say(*line, *(["--json"] if json_too else []))
    assert (code, out) == (2, "")
    assert err.startswith("python -m core inspect: ")
    assert words in err
    assert err.count("\n") == 1
    assert "expected" in err
    assert not (tmp_path / TRACE).exists()


def test_every_refusal_is_tried(tmp_path):
    assert tuple(refused(tmp_path)) == REFUSED


def test_words_of_a_stranger_cannot_steer_the_terminal(say, tmp_path):
    torch.save({"\x1b[31mred\x1b[0m\r\n.weight": torch.ones(3, 3)}, tmp_path / "f.pt")
    code, out, _ = say(tmp_path / "f.pt")
    assert code == 0
    assert "red" in out
    assert "\x1b" not in out
    assert "\r" not in out


def test_numbers_that_are_not_finite_are_said_in_strict_json(say, tmp_path):
    save_file(
        {"w": torch.tensor([[1.0, math.nan], [math.inf, 2.0]]), "logit_scale": torch.tensor(math.nan)},
        tmp_path / "f.safetensors",
    )

    def no(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(say(tmp_path / "f.safetensors", "--json")[1], parse_constant=no)
    assert found["verdicts"][0]["word"] == "broken"
    assert found["tensors"][1]["broken"] == 0.5


def test_a_terminal_without_these_letters_still_shows_the_rest(tmp_path):
    file = HONEST["clip.safetensors"][0](tmp_path / "clip.safetensors")
    with (tmp_path / "out").open("w", encoding="ascii") as out, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        assert main(["inspect", str(file)]) == 0
    said = (tmp_path / "out").read_text(encoding="ascii")
    assert "'logit_scale' holds" in said
    assert "= exp(?stored)" in said


def test_the_file_stays_as_it_is(say, tmp_path):
    file = HONEST["cml.pth"][0](tmp_path / "cml.pth")
    before = file.read_bytes()
    say(file)
    assert file.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cml.pth", "home"]
