"""A home of its own for every test here, and one warm reader for all."""

import pytest

from core.checkpoints import fence


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session", autouse=True)
def warm():
    fence.warm_up()
