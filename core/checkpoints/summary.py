"""What the fence says of a file beside its tensors: a JSON object that is checked again when it is opened."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

TENSORS, SUMMARY, REFUSED = "tensors.safetensors", "summary.json", "refused.json"
Kind = Literal["safetensors", "torch archive", "torch legacy", "sharded"]


class Summary(BaseModel):
    """How a file was read, and what it held that is no tensor.

    `notes`: place in the file -> a plain value as text. `tied`: name -> the name under which the same numbers were
    kept. `left`: name -> why that tensor was not kept. `classes`: classes beside plain containers that the file named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    size: int = Field(ge=0)
    notes: dict[str, str] = {}
    tied: dict[str, str] = {}
    left: dict[str, str] = {}
    classes: tuple[str, ...] = ()
