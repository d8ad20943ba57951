"""Constraints as data: every knob of the product is a field of a frozen pydantic model.

Widgets, links, the command line, the saved run, the docs and the tests read the same fields, so this module
knows nothing of torch: the schema must be cheap to load.
"""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Frozen settings; an unknown name is refused, so a misspelt knob is never silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
