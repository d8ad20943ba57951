"""A checkpoint behind the fence: what it lists is known from its headers, and a tensor is read when it is asked for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import safe_open
from torch import Tensor

from core.checkpoints.fence import folder_of
from core.checkpoints.limits import Limits
from core.checkpoints.safetensors_file import ITEM, header
from core.checkpoints.summary import SUMMARY, Summary
from core.refusal import Refusal

# The format's names of number types, as torch calls them.
DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32",
    "I64": "int64", "U64": "uint64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F16": "float16",
    "BF16": "bfloat16", "F32": "float32", "F64": "float64", "C64": "complex64",
}  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """What a header says of a tensor. `size` is in bytes; `part` is the file that holds it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    numel: int
    size: int
    part: Path

    @property
    def floating(self) -> bool:
        return self.dtype.startswith(("float", "bfloat"))


class Checkpoint:
    """The tensors of a file by name. Names that share their numbers with another are in `summary.tied` alone."""

    def __init__(self, key: str, summary: Summary, listed: Mapping[str, Listed]) -> None:
        self.key, self.summary, self.listed = key, summary, dict(listed)
        self._open: dict[Path, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.listed)

    def __iter__(self) -> Iterator[Listed]:
        return iter(self.listed.values())

    def __len__(self) -> int:
        return len(self.listed)

    def tensor(self, name: str) -> Tensor:
        """The numbers of a tensor, on the CPU, also by a name that is tied to another.

        Raises:
            Refusal: if the file has no such tensor.
        """
        found = self.listed.get(self.summary.tied.get(name, name))
        if found is None:
            raise Refusal(f"The file holds no tensor '{name[:80]}'; expected one of its {len(self)} names: choose one")
        if found.part not in self._open:
            self._open[found.part] = safe_open(found.part, framework="pt").__enter__()
        return self._open[found.part].get_tensor(found.name)


def open_checkpoint(key: str) -> Checkpoint:
    """What the fence left under a key of `fence.add`.

    Raises:
        Refusal: if nothing was left under it, or it was changed since.
    """
    folder = folder_of(key)
    if not re.fullmatch("[0-9a-f]{64}", key) or not (folder / SUMMARY).exists():
        raise Refusal(
            f"No checkpoint {key[:12]} is kept on this machine; expected one that was opened lately: add the file again"
        )
    listed: dict[str, Listed] = {}
    try:
        summary = Summary.model_validate_json((folder / SUMMARY).read_bytes())
        for part in sorted(folder.glob("tensors-*.safetensors")):
            listed = _listed(part) | listed
    except (OSError, ValidationError) as error:
        raise Refusal(
            f"The copy of checkpoint {key[:12]} cannot be read ({type(error).__name__}); expected what the fence "
            "wrote: add the file again"
        ) from error
    return Checkpoint(key, summary, dict(sorted(listed.items(), key=lambda row: natural(row[0]))))


def _listed(part: Path) -> dict[str, Listed]:
    return {
        name: Listed(
            name=name,
            shape=tuple(entry["shape"]),
            dtype=DTYPES[entry["dtype"]],
            numel=(entry["data_offsets"][1] - entry["data_offsets"][0]) // ITEM[entry["dtype"]],
            size=entry["data_offsets"][1] - entry["data_offsets"][0],
            part=part,
        )
        for name, entry in header(part, Limits()).items()
    }


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key by which 'layer.2' comes before 'layer.10'."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in name.split(".")]
