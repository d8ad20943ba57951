"""Pages are read with every `?` open: what a closed one would say is held to the truth as well."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.elements.lib.mutable_popover_container import PopoverContainer


@pytest.fixture(scope="package", autouse=True)
def every_help_is_open() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PopoverContainer, "open", property(lambda self: True, lambda self, said: None))
        yield


@pytest.fixture(scope="package", autouse=True)
def the_same_chart_is_held_to_its_schema_once() -> Iterator[None]:
    """Every chart is held to it, but one that was valid before, to the letter, is not looked through again."""
    from altair.utils import schemapi

    hold, valid = schemapi.validate_jsonschema, set()

    def hold_once(spec: Any, schema: Any, *rest: Any, **more: Any) -> Any:
        said = json.dumps([spec, schema])
        found = None if said in valid else hold(spec, schema, *rest, **more)
        if found is None:
            valid.add(said)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemapi, "validate_jsonschema", hold_once)
        yield
