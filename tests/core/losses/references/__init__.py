"""Each loss once more, as slow loops over plain floats that a reader can hold against the paper.

A reference takes the inputs as nested lists, with the optional ones only where they are given, and the params. Each
module here holds those of some papers, in its `REFERENCES`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Slow

_MODULES = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {
    key: reference for module in _MODULES for key, reference in getattr(module, "REFERENCES", {}).items()
}
