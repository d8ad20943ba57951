"""No mixing: the loss alone."""

from typing import Literal

from core.mixing.registry import mixing
from core.params import Params


class NoMixing(Params):
    kind: Literal["none"] = "none"


@mixing(NoMixing, title="No mixing", source="", origin="designed")
def none() -> None:
    """Trains on the clean batch alone."""
