"""Knobs that several losses share, with one range and one wording."""

from typing import Any

from pydantic import Field


def temperature(default: float) -> Any:
    """A field for the temperature of a softmax."""
    return Field(default, ge=0.01, le=5, title="Temperature τ", description="Smaller weighs hard negatives more.")


def lead() -> Any:
    """A field for the margin of a softmax, taken off the positive logit."""
    return Field(0, ge=0, le=1, title="Margin m", description="Lead, in similarity, asked of the positive.")


def weight(default: float, title: str, what: str) -> Any:
    """A field for the weight of one part of a composite loss."""
    return Field(default, ge=0, le=10, title=title, description=f"Weight of {what}.")
