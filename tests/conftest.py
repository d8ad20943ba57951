"""No test touches the user's own runs, and none but those of a real browser starts a trainer of its own accord.

Of two workers one begins with the browser tests, which share a server and a browser; the other files follow whole, so
that what a file trains or measures for its tests is made once.
"""

import gc
from collections.abc import Iterator

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/e2e"


class WholeFiles(LoadScopeScheduling):
    """Hands out whole files, and all files of the browser as one."""

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(BROWSER) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> WholeFiles:
    return WholeFiles(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no worker waits for it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(BROWSER))


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
