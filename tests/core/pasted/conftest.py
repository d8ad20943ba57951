"""A home of its own for every test here, in which losses may be pasted."""

import pytest

from core.environment import PASTE
from core.pasted import calls


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(PASTE, "on")


@pytest.fixture(scope="session", autouse=True)
def warm():
    calls.warm_up()
    yield
    calls.end_all()
