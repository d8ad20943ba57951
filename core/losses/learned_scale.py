"""A temperature that the trainer learns: the field, and the parameter behind it."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from core.registry import Learned


def learned() -> Any:
    """A field that says whether the temperature is learned."""
    return Field(False, title="Learn τ", description="Train the temperature along, from this start.")


def learned_temperature(p: Any) -> Mapping[str, Learned]:
    """The temperature as the trainer owns it, in log space; nothing where it is fixed."""
    return {"temperature": Learned(p.temperature, low=0.01, high=5)} if p.learned else {}
