"""The arrows between the parts point one way: pages -> dashboard -> core, and likewise inside core."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from core.environment import ROOT

PARTS = ("core", "dashboard", "pages")
DISPLAY = ("streamlit", "plotly", "altair")
FORBIDDEN: Mapping[str, tuple[str, ...]] = {
    "core": ("dashboard", "pages", "tests", *DISPLAY),
    "dashboard": ("pages", "tests"),
    "pages": ("pages", "tests"),
    "core.data": ("core.losses", "core.mixing", "core.runs"),
    "core.encoders": ("core.losses", "core.mixing", "core.runs"),
    "core.diagnostics": ("core.runs", "core.methods"),
    "core.losses": ("core",),
    "core.mixing": ("core",),
    "core.procedures": ("core",),
}
EXCEPT: Mapping[str, tuple[str, ...]] = {
    "core.losses": ("core.losses", "core.procedures", "core.params", "core.paid", "core.registry"),
    "core.mixing": ("core.mixing", "core.params", "core.paid", "core.registry"),
    "core.procedures": ("core.procedures", "core.params", "core.registry"),
}
LIGHT = ("core.params", "core.registry", "core.environment", "core.home")


def modules() -> Iterator[tuple[str, Path]]:
    for part in PARTS:
        for file in sorted((ROOT / part).rglob("*.py")):
            yield ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), file


def imported(module: str, source: str, is_package: bool = False) -> Iterator[str]:
    """Every dotted name that a module imports, at the top, inside functions, or by a literal name."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join(filter(None, (*above, node.module, alias.name))) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__"):
                yield str(node.args[0].value)


def within(name: str, parts: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(part + ".") for part in parts)


def wrong_arrows(module: str, source: str, is_package: bool = False) -> list[str]:
    """Each import of `module` that its place forbids, as a sentence."""
    return [
        f"{module} imports {name}"
        for place, forbidden in FORBIDDEN.items()
        if within(module, (place,))
        for name in imported(module, source, is_package)
        if within(name, forbidden) and not within(name, EXCEPT.get(place, ()))
    ]


@pytest.mark.parametrize(("module", "file"), [pytest.param(*found, id=found[0]) for found in modules()])
def test_imports_only_what_its_place_allows(module: str, file: Path):
    assert wrong_arrows(module, file.read_text(encoding="utf-8"), file.stem == "__init__") == []


def test_all_parts_are_looked_at():
    found = {module for module, _ in modules()}
    assert {"core", "core.losses.info_nce", "core.mixing.dmm", "core.registry", "dashboard.charts.theme"} <= found


@pytest.mark.parametrize(
    ("module", "source", "seen"),
    [
        ("core.losses.bad", "from core.runs.trainer import Trainer", "core.runs.trainer.Trainer"),
        ("core.losses.bad", "from core import runs", "core.runs"),
        ("core.losses.bad", "from ..mixing import dmm", "core.mixing.dmm"),
        ("core.losses.bad", "import core.streams", "core.streams"),
        ("core.mixing.bad", "from core.losses.ranking import ranking", "core.losses.ranking.ranking"),
        ("core.diagnostics.bad", "def f():\n    from core.runs import trainer", "core.runs.trainer"),
        ("core.diagnostics.bad", "import core.methods.shuffle as s", "core.methods.shuffle"),
        ("core.data.bad", "from core.mixing.registry import Plan", "core.mixing.registry.Plan"),
        ("core.encoders.bad", "import core.losses", "core.losses"),
        ("core.runs.bad", "import streamlit as st", "streamlit"),
        ("core.bad", "import importlib\nimportlib.import_module('plotly.express')", "plotly.express"),
        ("core.bad", "from dashboard.charts import theme", "dashboard.charts.theme"),
        ("dashboard.bad", "from pages import play", "pages.play"),
        ("pages.bad", "from tests.suite import main", "tests.suite.main"),
    ],
)
def test_a_planted_wrong_import_is_seen(module: str, source: str, seen: str):
    assert wrong_arrows(module, source) == [f"{module} imports {seen}"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.losses.good", "from core.paid import Paid\nfrom core.losses.scores import similarity\nimport torch"),
        ("core.losses.good", "from core.procedures.sinkhorn import plan\nfrom . import fields"),
        ("core.mixing.good", "from core.mixing.registry import Plan\nfrom core.params import Params"),
        ("core.runs.good", "from core.losses.registry import LOSSES\nfrom core.diagnostics import scores"),
        ("dashboard.good", "import streamlit\nfrom core.recipe import Recipe"),
        ("pages.good", "from dashboard import controls\nfrom core.runs import queue"),
        ("core.losses_of_weight", "import core.streams"),
    ],
)
def test_a_right_import_is_left_alone(module: str, source: str):
    assert wrong_arrows(module, source) == []


def loads_torch(*names: str) -> bool:
    script = f"import sys, {', '.join(names)}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return found.stdout.strip() == "True"


def test_the_light_modules_load_without_torch():
    assert not loads_torch(*LIGHT)


def test_the_others_are_seen_to_load_torch():
    assert loads_torch("core.paid")
