"""No test touches the user's own runs, and none but those of a real browser starts a trainer of its own accord."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHPULL_HOME", str(tmp_path_factory.mktemp("home")))
        yield
