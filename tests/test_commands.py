"""The two commands and the command line of `core`: what they print, what they refuse, and what they leave behind."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import dashboard.__main__ as dashboard_command
import tests.__main__ as tests_command
from core import environment
from core.__main__ import main
from core.catalogue import REGISTRIES, catalogue
from core.environment import PASTE, ROOT, fingerprint
from core.recipe import Recipe
from core.runs.folder import RunFolder, runs_home

SMALL = {
    "--data": "circle",
    "--encoder.vector.width": "16",
    "--encoder.dim": "3",
    "--method.batch": "16",
    "--steps": "12",
}


def words(flags: dict[str, str]) -> list[str]:
    return [word for pair in flags.items() for word in pair]


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and its lines on both outputs."""

    code: int
    out: list[str]
    err: list[str]

    def result(self) -> dict:
        return json.loads(self.out[-1])


@pytest.fixture
def say(capsys) -> Callable[..., Said]:
    def say(*line: str | Path) -> Said:
        capsys.readouterr()
        try:
            code = main([str(word) for word in line])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Said(code, out.splitlines(), err.splitlines())

    return say


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_train_takes_flags_in_any_order_and_equal_seeds_give_equal_metrics(say, tmp_path):
    flags = SMALL | {"--loss.kind": "ranking", "--loss.margin": "0.4", "--seed": "3"}
    orders = [list(flags.items()), list(reversed(flags.items())), [*list(flags.items())[4:], *list(flags.items())[:4]]]
    results = []
    for number, order in enumerate(orders):
        given = words(dict(order))
        given[number * 2 : number * 2] = ["--out", str(tmp_path / f"run{number}")]
        done = say("train", *given)
        assert done.code == 0, done.err
        results.append(done.result())
    assert results[0]["metrics"] == results[1]["metrics"] == results[2]["metrics"]
    assert len({each["run"]["id"] for each in results}) == 1
    assert [each["run"]["folder"] for each in results] == [str(tmp_path / f"run{number}") for number in range(3)]
    joined = say("train", *(f"{name}={value}" for name, value in flags.items()))
    assert joined.result()["metrics"] == results[0]["metrics"]
    other = say("train", *words(flags | {"--seed": "4"}))
    assert other.result()["metrics"]["train.loss"] != results[0]["metrics"]["train.loss"]


def test_the_last_line_is_one_object_of_flat_numbers_and_shares(tmp_path):
    line = [sys.executable, "-m", "core", "train", *words(SMALL), "--out", str(tmp_path / "run")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "12/12" in done.stderr
    assert "Traceback" not in done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) == {"metrics", "timing", "run"}
    assert {"train.loss", "test.n", "test.r1.left_right", "test.r1.right_left", "test.knn"} <= set(result["metrics"])
    assert all(type(value) in (int, float) for value in [*result["metrics"].values(), *result["timing"].values()])
    shares = {name: v for name, v in result["metrics"].items() if name.startswith(("test.r", "test.knn", "test.lin"))}
    assert all(0 <= value <= 1 for value in shares.values()), shares
    assert result["run"] == {
        "id": RunFolder(tmp_path / "run").id,
        "folder": str(tmp_path / "run"),
        "device": result["run"]["device"],
        "threads": 1,
    }
    assert result["metrics"] == RunFolder(tmp_path / "run").result()["metrics"]


def test_what_may_surprise_in_a_recipe_is_said_before_it_trains(say):
    said = say("train", *words(SMALL), "--loss.kind", "alignment", "--mixing.kind", "dmm", "--method.batch", "15")
    assert said.code == 0
    notes = [line for line in said.err if line.endswith(".")]
    assert [note.split(",")[0] for note in notes] == [
        "Alignment only (no negatives) knows no margin",
        "In each batch of 15",
    ]
    assert not [line for line in say("train", *words(SMALL)).err if line.endswith(".")]


def test_a_recipe_file_is_the_base_and_flags_change_it(say, tmp_path):
    first = say("train", *words(SMALL), "--loss.kind", "dcl")
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(RunFolder(Path(first.result()["run"]["folder"])).recipe()))
    again = say("train", "--recipe", file)
    assert again.result()["run"]["id"] == first.result()["run"]["id"]
    changed = say("train", "--steps", "5", "--recipe", file)
    recipe = RunFolder(Path(changed.result()["run"]["folder"])).recipe()
    assert (recipe["steps"], recipe["loss"]["kind"]) == (5, "dcl")


def test_a_part_of_a_recipe_file_is_enough(say, tmp_path):
    file = tmp_path / "part.json"
    file.write_text(json.dumps({"data": {"kind": "circle"}, "steps": 3, "loss": {"kind": "nt_xent"}}))
    recipe = RunFolder(Path(say("train", "--recipe", file).result()["run"]["folder"])).recipe()
    assert (recipe["data"]["kind"], recipe["steps"], recipe["loss"]["kind"]) == ("circle", 3, "nt_xent")


BAD_FLAGS = {
    "an unknown flag": (["--loss.temprature", "1"], "loss.temprature", "loss.temperature"),
    "an unknown flag with no relative": (["--nonsense", "1"], "nonsense", "no such setting"),
    "a setting of another loss": (["--loss.kind", "ranking", "--loss.learned", "on"], "loss.learned", "no such"),
    "out of range": (["--loss.temperature", "-1"], "loss.temperature -1", "a number"),
    "zero steps": (["--steps", "0"], "steps 0", "a whole number from 1"),
    "not a number": (["--steps", "many"], "steps many", "a whole number"),
    "a number that is none": (["--optimiser.lr", "nan"], "optimiser.lr nan", "a number above 0 to 1"),
    "infinity": (["--optimiser.lr", "inf"], "optimiser.lr inf", "a number above 0 to 1"),
    "a loss of bags": (["--loss.kind", "coot"], "needs bags, other_bags", "choose another loss, or data with bags"),
    "no order of clips": (["--data", "clips", "--data.fewest", "4", "--data.most", "3"], "fewest is 4", "exceed most"),
    "an unknown kind": (["--loss.kind", "bogus"], "loss.kind bogus", "info_nce"),
    "an unknown kind in short": (["--data", "bogus"], "data bogus", "circle"),
    "no value": (["--seed"], "seed", "--seed VALUE"),
    "a word without a flag": (["circle"], "circle", "flag"),
    "rules between fields": (["--mixing.kind", "dmm", "--mixing.low", ".9", "--mixing.high", ".6"], "mixing", "low"),
    "no threads": (["--threads", "0"], "threads 0", "from 1"),
    "threads in words": (["--threads", "two"], "two", "--threads"),
    "a parent that is not there": (["--parent", "0123456789abcdef"], "0123456789abcdef", "recipe.json"),
}


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_a_bad_flag_is_named_in_one_line_with_what_was_expected_and_leaves_no_run(name, say, tmp_path, own_home):
    flags, names, expects = BAD_FLAGS[name]
    for out in ([], ["--out", str(tmp_path / "run")]):
        done = say("train", *out, *words(SMALL), *flags)
        assert done.code == 2
        assert done.out == []
        assert names in done.err[-1]
        assert expects in done.err[-1]
        assert [line for line in done.err if not line.startswith(("usage:", " "))] == [done.err[-1]]
        assert not (tmp_path / "run").exists()
        assert list(own_home.rglob("recipe.json")) == []


def test_a_flag_without_its_value_does_not_swallow_the_next_one(say, own_home):
    for line in (["--seed", *words(SMALL)], [*words(SMALL), "--seed", "--out", "x"]):
        done = say("train", *line)
        assert done.code == 2
        assert "--seed has no value" in done.err[-1]
        assert list(own_home.rglob("recipe.json")) == []


def test_a_folder_that_holds_something_else_is_left_as_it_is(say, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    done = say("train", *words(SMALL), "--out", other)
    assert done.code == 2
    assert str(other) in done.err[-1]
    assert "something else" in done.err[-1]
    assert [file.name for file in other.iterdir()] == ["thesis.txt"]
    say("train", *words(SMALL), "--out", tmp_path / "run")
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    assert say("train", *words(SMALL), "--seed", "1", "--out", tmp_path / "run").code == 2
    assert {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("where", ["thesis.txt", "thesis.txt/run"])
def test_an_out_that_is_a_file_is_refused(where, say, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = say("train", *words(SMALL), "--out", tmp_path / where)
    assert done.code == 2
    assert len(done.err) == 1
    assert "thesis.txt" in done.err[0]
    assert (tmp_path / "thesis.txt").read_text() == "mine"


DAMAGE = {
    "not JSON": ("{", "not JSON"),
    "a list": ("[]", "object"),
    "nothing": ("", "not JSON"),
    "another version": ('{"schema_version": 2, "steps": 3}', "2"),
    "no steps that make sense": ('{"schema_version": 1, "steps": "soon"}', "steps"),
    "an unknown loss": ('{"schema_version": 1, "loss": {"kind": "bogus"}}', "loss"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_resume_refuses_a_damaged_recipe_in_one_line(name, say, tmp_path):
    say("train", *words(SMALL), "--out", tmp_path / "run")
    text, says = DAMAGE[name]
    (tmp_path / "run" / "recipe.json").write_text(text)
    (tmp_path / "run" / "result.json").unlink()
    state = (tmp_path / "run" / "state.json").read_bytes()
    done = say("resume", tmp_path / "run")
    assert done.code == 2
    assert len(done.err) == 1
    assert str(tmp_path / "run") in done.err[0]
    assert says in done.err[0]
    assert (tmp_path / "run" / "state.json").read_bytes() == state


@pytest.mark.parametrize("name", DAMAGE)
def test_train_refuses_a_damaged_recipe_file_in_one_line_and_leaves_no_run(name, say, tmp_path):
    file = tmp_path / "recipe.json"
    file.write_text(DAMAGE[name][0])
    done = say("train", "--recipe", file, "--out", tmp_path / "run")
    assert done.code == 2
    assert len(done.err) == 1
    assert str(file) in done.err[0]
    assert not (tmp_path / "run").exists()


def test_what_is_not_there_cannot_be_resumed_nor_read(say, tmp_path, own_home):
    for line in (["resume", tmp_path / "none"], ["resume", tmp_path], ["train", "--recipe", tmp_path / "none.json"]):
        done = say(*line)
        assert done.code == 2
        assert len(done.err) == 1
        assert str(line[-1]) in done.err[0]
    assert not (tmp_path / "none").exists()
    assert say("train", "--recipe", tmp_path).code == 2


def test_a_cancelled_run_says_so_and_resume_ends_where_an_uninterrupted_one_does(say, tmp_path, monkeypatch):
    whole = say("train", *words(SMALL), "--out", tmp_path / "whole")
    questions = itertools.count()
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "asked_to_stop", lambda folder: next(questions) > 5)
        stopped = say("train", *words(SMALL), "--out", tmp_path / "run")
    assert stopped.code == 1
    assert stopped.out == []
    assert "cancelled" in stopped.err[-1]
    assert 0 < len(RunFolder(tmp_path / "run").metrics()) < 12
    resumed = say("resume", tmp_path / "run")
    assert resumed.code == 0
    assert resumed.result()["metrics"] == whole.result()["metrics"]
    assert say("resume", tmp_path / "run").result() == resumed.result()


def test_runs_are_listed_the_newest_first_and_a_damaged_one_says_so(say):
    assert json.loads(say("runs", "--json").out[-1]) == []
    ids = [say("train", *words(SMALL), "--seed", seed).result()["run"]["id"] for seed in ("0", "1")]
    for age, name in enumerate(reversed(ids)):
        os.utime(runs_home() / name, (1e9 - age, 1e9 - age))
    rows = json.loads(say("runs", "--json").out[-1])
    assert [row["id"] for row in rows] == ids[::-1]
    assert rows[0] == {
        "id": ids[1],
        "folder": str(runs_home() / ids[1]),
        "state": "done",
        "step": 12,
        "steps": 12,
        "message": "",
    }
    (runs_home() / ids[0] / "recipe.json").write_text("{")
    rows = json.loads(say("runs", "--json").out[-1])
    assert {row["id"]: row["state"] for row in rows} == {ids[0]: "damaged", ids[1]: "done"}
    plain = say("runs").out
    assert len(plain) == 2
    assert all(any(name in line for line in plain) for name in ids)


def test_the_catalogue_lists_every_piece_once_with_its_schema(say):
    rows = json.loads(say("catalogue", "--json").out[-1])
    assert len({(row["kind"], row["key"]) for row in rows}) == len(rows) == sum(len(list(r)) for r in REGISTRIES)
    assert {row["kind"] for row in rows} >= {"loss", "mixing", "method", "diagnostic", "data", "encoder"}
    for row in rows:
        assert {"key", "kind", "title", "papers", "origin", "params"} <= set(row)
        assert row["title"]
        assert row["origin"] in ("code", "paper", "recalled", "designed")
        assert row["params"]["type"] == "object"
        assert row["params"]["properties"].get("kind", {}).get("default", row["key"]) == row["key"]
    assert rows == json.loads(json.dumps(catalogue()))
    assert len(say("catalogue").out) == len(rows)


def test_a_reader_that_goes_away_ends_a_command_without_a_word():
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "core", "catalogue"]
    done = subprocess.run(line, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("line", [[], ["bogus"], ["runs", "extra"], ["resume"], ["catalogue", "--jason"]])
def test_a_bad_command_is_exit_code_two(line, say):
    done = say(*line)
    assert done.code == 2
    assert done.out == []
    assert done.err[-1].startswith("python -m core")


@pytest.mark.parametrize("command", ["dashboard", "tests"])
def test_the_two_commands_start_on_a_bare_python(command):
    code = f"import {command}.__main__ as m; import sys; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "streamlit" not in done.stdout


def test_help_names_the_arguments():
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-m", "dashboard", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(flag in done.stdout for flag in ("--host", "--port", "--no-browser", "--paste"))


@pytest.fixture
def started(monkeypatch) -> Callable[..., list[str]]:
    """Run `python3 -m dashboard` up to the point where it becomes Streamlit; its command."""

    def started(*line: str) -> list[str]:
        commands: list[list[str]] = []
        monkeypatch.setattr(sys, "argv", ["dashboard", *line])
        monkeypatch.setattr(dashboard_command, "ensure", lambda requirements: Path("python"))
        monkeypatch.setattr(
            dashboard_command,
            "hand_over",
            lambda command, **more: commands.append([*map(str, command), *(f"{k}={v}" for k, v in more.items())]),
        )
        dashboard_command.main()
        return commands[0]

    return started


def option(command: list[str], name: str) -> str:
    return command[command.index(f"--{name}") + 1]


def test_the_dashboard_listens_on_this_machine_and_opens_a_browser_unless_told_otherwise(started):
    usual = started()
    assert usual[:5] == ["python", "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py")]
    assert (option(usual, "server.address"), option(usual, "server.headless")) == ("127.0.0.1", "false")
    assert "--server.port" not in usual
    asked = started("--no-browser", "--port", "8599", "--host", "0.0.0.0")
    assert (option(asked, "server.address"), option(asked, "server.headless")) == ("0.0.0.0", "true")
    assert option(asked, "server.port") == "8599"


def test_losses_are_pasted_only_where_that_is_asked_for_and_nobody_else_listens(started, monkeypatch, capsys):
    monkeypatch.setenv(PASTE, "on")
    assert [word for word in started() if PASTE in word] == []
    assert PASTE not in os.environ
    asked = started("--paste")
    assert asked[-1] == f"{PASTE}=on"
    assert option(asked, "server.address") == "127.0.0.1"
    assert (option(asked, "server.enableCORS"), option(asked, "server.enableXsrfProtection")) == ("true", "true")
    for host in ("0.0.0.0", "localhost", "192.168.0.7"):
        with pytest.raises(SystemExit) as end:
            started("--paste", "--host", host)
        assert end.value.code == 2
        assert f"--host {host} lets others type; expected 127.0.0.1" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("line", [["--port", "many"], ["--bogus"], ["extra"]])
def test_bad_arguments_of_the_dashboard_are_exit_code_two(line, started, capsys):
    with pytest.raises(SystemExit) as end:
        started(*line)
    assert end.value.code == 2
    assert line[-1] in capsys.readouterr().err


def test_no_question_is_asked_in_the_terminal_on_a_first_start(tmp_path):
    code = (
        "from streamlit import config; config.get_config_options(True, {'server.headless': False});"
        "from streamlit.runtime.credentials import check_credentials; check_credentials()"
    )
    fresh = os.environ | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=fresh, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_tests_are_started_from_the_root_with_what_was_asked(monkeypatch):
    commands = []
    monkeypatch.setattr(sys, "argv", ["tests", "-k", "streams"])
    monkeypatch.setattr(tests_command, "ensure", lambda requirements: commands.append(requirements) or Path("python"))
    monkeypatch.setattr(tests_command, "hand_over", lambda command: commands.append([str(word) for word in command]))
    tests_command.main()
    assert commands == [
        ROOT / "tests" / "requirements.txt",
        ["python", str(ROOT / "tests" / "suite.py"), "-k", "streams"],
    ]


def test_the_fingerprint_follows_every_file_that_decides_what_is_installed(tmp_path):
    base, more = tmp_path / "base.txt", tmp_path / "more" / "requirements.txt"
    more.parent.mkdir()
    base.write_text("numpy==1\n")
    more.write_text("-r ../base.txt\npytest==1\n")
    seen = [fingerprint(more)]
    more.write_text("-r ../base.txt\npytest==2\n")
    seen.append(fingerprint(more))
    base.write_text("numpy==2\n")
    seen.append(fingerprint(more))
    assert len(set(seen)) == 3
    assert fingerprint(more) == seen[-1]
    assert fingerprint(base) not in seen


@pytest.fixture
def machine(tmp_path, monkeypatch) -> list[list[str]]:
    """An empty machine: no environment yet, pip only written down; the commands that were run."""
    ran: list[list[str]] = []

    def create(folder, **options):
        environment.python().parent.mkdir(parents=True, exist_ok=True)
        environment.python().touch()

    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment.venv, "create", create)
    monkeypatch.setattr(environment.subprocess, "call", lambda command: ran.append(list(map(str, command))) or 0)
    return ran


def test_the_environment_is_made_once_and_again_after_a_change(tmp_path, machine):
    needs = tmp_path / "project" / "requirements.txt"
    needs.parent.mkdir()
    needs.write_text("numpy==1\n")
    assert environment.ensure(needs) == environment.python()
    environment.ensure(needs)
    assert len(machine) == 1
    assert machine[0][-2:] == ["-r", str(needs)]
    needs.write_text("numpy==2\n")
    environment.ensure(needs)
    assert len(machine) == 2


def test_a_failed_installation_is_said_and_tried_again(tmp_path, machine, monkeypatch):
    needs = tmp_path / "requirements.txt"
    needs.write_text("numpy==1\n")
    with monkeypatch.context() as patch:
        patch.setattr(environment.subprocess, "call", lambda command: 1)
        with pytest.raises(SystemExit, match="pip could not install"):
            environment.ensure(needs)
    environment.ensure(needs)
    assert len(machine) == 1


def test_an_old_python_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "OLDEST", (99, 0))
    with pytest.raises(SystemExit, match="too old"):
        environment.ensure(tmp_path / "requirements.txt")


def test_the_default_recipe_has_every_field_as_a_flag():
    assert set(Recipe.model_fields) >= {"data", "encoder", "method", "mixing", "loss", "optimiser", "steps", "seed"}
