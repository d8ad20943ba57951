"""What torch.save wrote, checked before torch sees it, loaded without running anything, and checked again."""

import argparse
import collections
import pathlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor
from torch.serialization import safe_globals

from core.checkpoints.limits import Limits
from core.refusal import Refusal

# Classes that only hold values; whatever else a file names is refused.
NUMBERS = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
INERT = (
    *(dict, list, set, int, float),
    argparse.Namespace,
    collections.defaultdict,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    pathlib.WindowsPath,
    pathlib.PureWindowsPath,
    np.dtype,
    np.ndarray,
    multiarray._reconstruct,
    multiarray.scalar,
    *(type(np.dtype(name)) for name in NUMBERS),
)
KEPT = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn,
    torch.float8_e5m2, torch.complex64,
)  # fmt: skip
PLAIN = (str, int, float, bool, type(None), np.generic, torch.dtype, torch.device, torch.Size, pathlib.PurePath)
CONTAINERS = ("dict", "list", "tuple", "set", "OrderedDict")
CONTENTS = "data.pkl"
_UNSUPPORTED = re.compile(r"GLOBAL ([\w.]+)")
_REASON = re.compile(r"WeightsUnpickler error: ([^\n]{1,160})")


@dataclass
class Found:
    """The tensors of a file by their place in it, and what it held beside them; see `core.checkpoints.summary`."""

    limits: Limits
    tensors: dict[str, Tensor] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    bytes: int = 0
    _places: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def take(self, place: str, value: Any) -> None:
        """Sort in a value that is no container."""
        if isinstance(value, np.ndarray) and value.dtype.name in NUMBERS:
            value = torch.from_numpy(np.ascontiguousarray(value))
        if isinstance(value, Tensor):
            self._tensor(place or "tensor", value)
        elif not isinstance(value, PLAIN):
            self.name_class(value)
        elif len(self.notes) < self.limits.notes:
            self.notes[(place or "value")[: self.limits.name]] = str(value)[: self.limits.name]

    def name_class(self, value: Any) -> None:
        self.classes.add(f"{type(value).__module__}.{type(value).__qualname__}")

    def _tensor(self, name: str, value: Tensor) -> None:
        _check_tensor(name, value, self.limits)
        if why := _unkept(value):
            self.left[name] = why
            return
        key = (value.untyped_storage().data_ptr(), value.storage_offset(), value.shape, value.stride(), value.dtype)
        if value.numel() and key in self._places:
            self.tied[name] = self._places[key]
            return
        self._places[key] = name
        self.bytes += value.numel() * value.element_size()
        self.tensors[name] = value.detach()


def check_archive(file: Path, limits: Limits) -> None:
    """Refuse an archive by its directory alone.

    Raises:
        Refusal: if a member is compressed, encrypted or named outside the archive, if the members are too many or
            claim more bytes than the file has, or if it holds a program.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise Refusal(
            f"The file is a damaged archive ({error}); expected what torch.save writes: save or fetch it again"
        ) from error
    if len(members) > limits.members:
        raise Refusal(f"The archive has {len(members):,} members; expected at most {limits.members:,}: split it")
    for member in members:
        _check_member(member, limits)
    claimed, size = sum(member.file_size for member in members), file.stat().st_size
    if claimed > size:
        raise Refusal(f"The archive claims {claimed:,} bytes and has {size:,}; expected a whole file: fetch it again")
    names = {pathlib.PurePosixPath(member.filename).name for member in members}
    if "constants.pkl" in names:
        raise Refusal(
            "The file is a TorchScript program; expected weights alone: save module.state_dict() with torch.save"
        )
    if CONTENTS not in names:
        raise Refusal("The archive holds no tensors; expected what torch.save writes: save the state_dict with it")


def _check_member(member: zipfile.ZipInfo, limits: Limits) -> None:
    shown, place = member.filename[:60], pathlib.PurePosixPath(member.filename.replace("\\", "/"))
    if member.compress_type != zipfile.ZIP_STORED:
        raise Refusal(
            f"'{shown}' in the archive is compressed; expected plain members, as torch.save writes them: such a file "
            "can unpack to any size, so save it anew with torch.save"
        )
    if member.flag_bits & 1:
        raise Refusal(f"'{shown}' in the archive is encrypted; expected plain members: save it with torch.save")
    if ".." in place.parts or place.is_absolute():
        raise Refusal(f"The archive names a member '{shown}' outside itself; expected none: do not trust this file")
    if place.name == CONTENTS and member.file_size > limits.pickle:
        raise Refusal(
            f"The list of contents has {member.file_size:,} bytes; expected at most {limits.pickle:,}: save the "
            "state_dict alone"
        )


def load(file: Path) -> Any:
    """What the file holds, made of tensors, plain values and inert classes; no code of the file runs.

    Raises:
        Refusal: if it names any other class or function; the sentence names it.
    """
    try:
        with safe_globals(list(INERT)):
            return torch.load(file, map_location="cpu", weights_only=True, mmap=False)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        named = _UNSUPPORTED.search(str(error))
        if named:
            raise Refusal(
                f"The file wants to run or build '{named[1]}'; expected tensors and plain values alone: where you "
                "trust it, save its state_dict anew in your own Python"
            ) from error
        reason = _REASON.search(str(error))
        told = reason[1] if reason else (str(error).splitlines() or ["no reason given"])[0][:160]
        raise Refusal(
            f"torch cannot read the file ({type(error).__name__}: {told.rstrip('. ')}); "
            "expected what torch.save writes: save or fetch it again"
        ) from error


def _inside(value: Any) -> list[tuple[str, Any]] | None:
    """Name and value of each member of a container, or None if it is none."""
    if isinstance(value, Mapping):
        return [(str(key), inner) for key, inner in value.items()]
    if isinstance(value, (list, tuple, set, frozenset)) and not isinstance(value, torch.Size):
        return [(str(place), inner) for place, inner in enumerate(value)]
    return list(vars(value).items()) if isinstance(value, argparse.Namespace) else None


def gather(loaded: Any, limits: Limits, size: int) -> Found:
    """Every tensor of what was loaded, by its place, such as `state_dict.encoder.weight`; and the plain values.

    Args:
        loaded: what `load` gave.
        limits: caps.
        size: bytes of the file; its tensors may not be larger than `limits.copies` times that.

    Raises:
        Refusal: if it is nested too deep, holds too much, or a tensor claims more numbers than the file has.
    """
    found, waiting, seen = Found(limits), [("", loaded, 0)], 0
    while waiting:
        place, value, depth = waiting.pop()
        seen += 1
        inside = _inside(value)
        if inside is None:
            found.take(place, value)
            if found.bytes > limits.copies * size:
                raise Refusal(
                    f"The tensors claim more than {limits.copies:g} times the {size:,} bytes of the file; expected "
                    "each number once: save them with clone()"
                )
            continue
        if type(value).__name__ not in CONTAINERS:
            found.name_class(value)
        if depth >= limits.depth:
            raise Refusal(f"The file nests values more than {limits.depth} deep; expected a state_dict: save it flat")
        if seen + len(waiting) + len(inside) > limits.nodes:
            raise Refusal(f"The file holds more than {limits.nodes:,} values; expected weights: save the state_dict")
        waiting += [(f"{place}.{name}" if place else name, inner, depth + 1) for name, inner in reversed(inside)]
    return found


def _check_tensor(name: str, value: Tensor, limits: Limits) -> None:
    short = name[:60]
    if len(name) > limits.name:
        raise Refusal(f"A tensor's name has {len(name):,} characters; expected at most {limits.name}: rename '{short}'")
    if value.is_nested:
        return
    if value.layout != torch.strided:
        raise Refusal(f"'{short}' is {str(value.layout).removeprefix('torch.')}; expected dense: call to_dense()")
    if value.ndim > limits.dimensions:
        raise Refusal(
            f"'{short}' has {value.ndim:,} dimensions; expected at most {limits.dimensions}: reshape it before saving"
        )
    if value.device.type != "cpu":
        return
    held = value.untyped_storage().nbytes()
    if value.numel() * value.element_size() > held:
        raise Refusal(
            f"'{short}' claims {value.numel():,} numbers and the file holds {held:,} bytes of it; expected each number "
            "to be there: save it with contiguous()"
        )


def _unkept(value: Tensor) -> str:
    """Why a tensor cannot be looked into, or nothing."""
    if value.device.type != "cpu":
        return f"it is on the device '{value.device.type}' and has no numbers"
    if value.is_quantized or value.is_nested:
        return "it is quantised" if value.is_quantized else "it is nested"
    return "" if value.dtype in KEPT else f"its numbers are of the type {str(value.dtype).removeprefix('torch.')}"
