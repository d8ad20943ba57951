"""Lint, format and types, and the things that are never done in this house."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.environment import ROOT

SOURCES = ("core", "dashboard", "pages")
TEXTS = (".py", ".toml", ".md", ".txt", ".css", ".js", ".json", ".svg", ".sh")
BANNED_WIDGETS = ("checkbox", "toggle", "radio", "multiselect")
UNSAFE_MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve")
UNSAFE_CALLS = ("eval", "exec")
RUNS_TEXTS = ROOT / "core" / "pasted" / "bench.py"  # a process of its own, and only where the app was started for it
HOSTS = "|".join(
    re.escape(".".join(host))
    for host in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("anaconda", "org"),
        ("anaconda", "com"),
        ("npmjs", "org"),
        ("npmjs", "com"),
    )
)
REGISTRY = re.compile(rf"https?://[\w.@:-]*(?:{HOSTS})", re.IGNORECASE)
PLACE = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/\w+|[A-Za-z]:\\Users\\")


def files(*parts: str) -> Iterator[Path]:
    return (file for part in parts for file in sorted((ROOT / part).rglob("*.py")))


def texts() -> Iterator[Path]:
    """Every file of the repository that people wrote."""
    for part in (*SOURCES, "tests", "assets", ".ci", ".streamlit"):
        for file in sorted((ROOT / part).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and (file.suffix in TEXTS or part == ".ci"):
                yield file
    yield from (file for file in sorted(ROOT.glob("*")) if file.is_file() and file.suffix in TEXTS)


def keywords(call: ast.Call) -> dict[str | None, object]:
    return {word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)}


def unsafe(source: str) -> list[str]:
    """What runs, or could run, code out of a file: by line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), keywords(node)
            if name == "torch.load" and given.get("weights_only") is not True:
                found.append(f"line {node.lineno}: torch.load without weights_only=True")
            if name.endswith("load") and given.get("allow_pickle"):
                found.append(f"line {node.lineno}: {name} with allow_pickle")
            if name in UNSAFE_CALLS:
                found.append(f"line {node.lineno}: {name}")
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"line {node.lineno}: imports {x}" for x in names if x.split(".")[0] in UNSAFE_MODULES]
    return found


def banned_widgets(source: str) -> list[str]:
    """Widgets whose white mark vanishes on the dark theme's accent: by line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in BANNED_WIDGETS:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and keywords(node).get("type") == "primary":
            found.append(f"line {node.lineno}: type primary")
    return found


def sleeps(source: str) -> list[str]:
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr in ("sleep", "wait_for_timeout"))
        or (isinstance(node, ast.ImportFrom) and node.module == "time" and any(x.name == "sleep" for x in node.names))
    ]


def where_it_was_written(text: str) -> list[str]:
    """Hosts of package registries, and absolute paths of somebody's machine."""
    return [found[0] for pattern in (REGISTRY, PLACE) for found in pattern.finditer(text)]


@pytest.mark.parametrize(
    "command",
    [("ruff", "check"), ("ruff", "format", "--check"), ("ty", "check")],
    ids=lambda command: " ".join(command),
)
def test_tools_have_nothing_to_say(command: tuple[str, ...]):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("check", "parts"),
    [(unsafe, (*SOURCES, "tests")), (banned_widgets, ("dashboard", "pages")), (sleeps, ("tests",))],
    ids=["unsafe", "banned widgets", "sleeps"],
)
def test_never(check, parts: tuple[str, ...]):
    looked_at = [file for file in files(*parts) if file != RUNS_TEXTS]
    found = {str(file): seen for file in looked_at if (seen := check(file.read_text(encoding="utf-8")))}
    assert looked_at
    assert found == {}


def test_no_file_says_where_it_was_written():
    looked_at = list(texts())
    found = {str(file): seen for file in looked_at if (seen := where_it_was_written(file.read_text(encoding="utf-8")))}
    assert {file.name for file in looked_at} >= {"pyproject.toml", "run", "requirements.txt", "registry.py"}
    assert found == {}


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (unsafe, "torch.load(path)"),
        (unsafe, "torch.load(path, weights_only=False)"),
        (unsafe, "np.load(path, allow_pickle=True)"),
        (unsafe, "import pickle"),
        (unsafe, "from pickle import loads"),
        (unsafe, "import joblib.hashing"),
        (unsafe, "eval('1')"),
        (banned_widgets, "st.checkbox('a')"),
        (banned_widgets, "left.toggle('a')"),
        (banned_widgets, "make = st.sidebar.radio"),
        (banned_widgets, "st.multiselect('a', [])"),
        (banned_widgets, "st.button('a', type='primary')"),
        (sleeps, "import time\ntime.sleep(1)"),
        (sleeps, "from time import sleep"),
        (sleeps, "page.wait_for_timeout(5)"),
        (where_it_was_written, "index-url = " + "https://files." + "pythonhosted.org/simple"),
        (where_it_was_written, "https" + "://user@pypi" + ".org"),
        (where_it_was_written, "open('/" + "home/someone/x')"),
        (where_it_was_written, "C:" + "\\Users\\someone"),
        (where_it_was_written, "cat /" + "work/shared/x"),
    ],
)
def test_a_planted_offence_is_seen(check, source: str):
    assert len(check(source)) == 1


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (unsafe, "torch.load(path, weights_only=True)\nmodel.eval()\nnp.load(path, allow_pickle=False)"),
        (banned_widgets, "st.pills('a', [])\nst.button('a', type='secondary')\ntype = 'primary'"),
        (sleeps, "time.monotonic()\npage.wait_for_url('/x')"),
        (where_it_was_written, "https://docs.python.org/3/ and tests/home/x and ~/x"),
    ],
)
def test_what_is_allowed_is_left_alone(check, source: str):
    assert check(source) == []
