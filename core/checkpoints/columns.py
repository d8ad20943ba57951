"""What the fence says of a file of embeddings: its columns, by what each can be."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Form = Literal["vector", "image", "text", "whole", "none"]
LABELS = ("labels", "label", "y", "class", "target", "category")
NAMES = ("names", "name", "title", "caption", "text", "file", "filename", "file_name", "path", "id")
# What stands in a column of whole numbers where there is none.
GAP = -(2**63)


class Column(BaseModel):
    """One column of a table, or several of one kind that belong together.

    A `vector` is kept as (rows, width) float32, an `image` as (rows, height, width, channels) uint8 with the shape of
    one picture in words in `why`, a `whole` as (rows,) int64 with `GAP` where there is none, a `text` as strings with
    "" where there is none; `none` is not kept, and `why` says why. `distinct` counts the values of a whole or a text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=400)
    form: Form
    rows: int = Field(ge=0)
    width: int = Field(1, ge=1)
    distinct: int = Field(0, ge=0)
    gaps: int = Field(0, ge=0)
    why: str = Field("", max_length=400)
    file: str = Field("", pattern=r"^((\d{1,2}/)?\d{3}\.(npy|json))?$")


class Table(BaseModel):
    """The columns of one file; `more` counts those that are not even listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["npy", "npz", "csv", "tsv", "parquet"]
    size: int = Field(ge=0)
    columns: tuple[Column, ...]
    more: int = Field(0, ge=0)
