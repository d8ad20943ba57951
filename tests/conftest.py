"""No test touches the user's own runs, and none but those of a real browser starts a trainer of its own accord."""

import gc
from collections.abc import Iterator

import pytest


def pytest_collection() -> None:
    """Nothing that is collected is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Fourteen thousand tests are not looked through again each time that one leaves garbage."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHPULL_HOME", str(tmp_path_factory.mktemp("home")))
        yield
