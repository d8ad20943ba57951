"""Knobs that several encoders share, with one range and one wording."""

from typing import Any

from pydantic import Field


def width(default: int) -> Any:
    """A field for the size of the hidden layers."""
    return Field(default, ge=4, le=1024, title="Width", description="Features in each hidden layer.")


def depth(default: int) -> Any:
    """A field for the number of hidden layers."""
    return Field(default, ge=0, le=6, title="Depth", description="Hidden layers; 0 leaves one linear map.")


def dropout(default: float) -> Any:
    """A field for the share of features that is dropped in training."""
    return Field(default, ge=0, le=0.9, title="Dropout", description="Share of features dropped in training.")
