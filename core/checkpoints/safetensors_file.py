"""A .safetensors file, its header held against its bytes before anything is made of it."""

import json
import math
import os
from pathlib import Path
from typing import Any

from safetensors import safe_open

from core.checkpoints.limits import Limits
from core.refusal import Refusal

# Bytes of a number; the format's own names.
ITEM = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip

METADATA = "__metadata__"


def _damaged(seen: str) -> Refusal:
    return Refusal(f"The file is no whole .safetensors: {seen}; expected what safetensors writes: save it again")


def header(file: Path, limits: Limits) -> dict[str, Any]:
    """Name -> dtype, shape and offsets, as the file says and its size bears out.

    Raises:
        Refusal: if the header is damaged, lies about the bytes behind it, or is beyond the limits.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(limits.header, size - 8):
            raise _damaged(f"its header claims {length:,} bytes of {size:,}")
        try:
            found = json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise _damaged(f"its header is not JSON ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise _damaged("its header lists no tensors")
    found.pop(METADATA, None)
    if len(found) > limits.members:
        raise Refusal(f"The file lists {len(found):,} tensors; expected at most {limits.members:,}: split it")
    for name, entry in found.items():
        _check(name, entry, size - 8 - length, limits)
    return found


def metadata(file: Path, limits: Limits) -> dict[str, str]:
    """The plain texts that a checked file carries beside its tensors, cut short."""
    with file.open("rb") as stream:
        said = json.loads(stream.read(int.from_bytes(stream.read(8), "little"))).get(METADATA)
    rows = list(said.items())[: limits.notes] if isinstance(said, dict) else []
    return {str(name)[: limits.name]: str(text)[: limits.name] for name, text in rows}


def _check(name: str, entry: Any, room: int, limits: Limits) -> None:
    """Hold the entry of a tensor against the `room` bytes behind the header."""
    short = name[:60]
    if len(name) > limits.name:
        raise Refusal(f"A tensor's name has {len(name):,} characters; expected at most {limits.name}: rename '{short}'")
    if not isinstance(entry, dict) or entry.get("dtype") not in ITEM:
        raise _damaged(f"'{short}' has no dtype that is known")
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not _whole(shape) or not _whole(offsets) or len(offsets) != 2:
        raise _damaged(f"'{short}' has no shape and place")
    if len(shape) > limits.dimensions:
        raise Refusal(
            f"'{short}' has {len(shape):,} dimensions; expected at most {limits.dimensions}: reshape it before saving"
        )
    begin, end = offsets
    if not begin <= end <= room:
        raise _damaged(f"'{short}' lies outside the file")
    if math.prod(shape) * ITEM[entry["dtype"]] != end - begin:
        raise _damaged(f"'{short}' claims the shape {shape} in {end - begin:,} bytes")


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def convert(file: Path, out: Path, limits: Limits) -> None:
    """Copy a checked file to `out`, byte by byte, and let the format's own reader look at it.

    Raises:
        Refusal: as for `header`, or if the format's own reader finds fault.
    """
    header(file, limits)
    with file.open("rb") as source, out.open("wb") as target:
        while block := source.read(1 << 22):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    try:
        with safe_open(out, framework="pt") as opened:
            opened.keys()
    except Exception as error:
        raise _damaged(str(error).splitlines()[0][:200]) from error
