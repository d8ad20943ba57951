"""Pages are read with every `?` open: what a closed one would say is held to the truth as well."""

from collections.abc import Iterator

import pytest
from streamlit.elements.lib.mutable_popover_container import PopoverContainer


@pytest.fixture(scope="package", autouse=True)
def every_help_is_open() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PopoverContainer, "open", property(lambda self: True, lambda self, said: None))
        yield
