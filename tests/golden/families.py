"""What the golden files have in common: reading them, and which arrays of which files make one case."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

HOME = Path(__file__).parent
FOLDER = Path(os.environ.get("GOLDEN_DIR", HOME))
SIZE = r"(?:_(?:N|bs?)\d+)*"
Golden = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """Files of one kind, by patterns: of the stem of the file, and of names of arrays.

    `inputs` are read by every case. A group of `cases` names the case that an array belongs to; an array that matches
    without a group belongs to the case `rest`. `left_out`: pattern -> why its arrays are in no case.
    """

    files: str
    inputs: str
    cases: str
    check: Callable[[Golden, str], None]
    rest: str = ""
    left_out: Mapping[str, str] | None = None

    def case(self, name: str) -> str | None:
        """The case of an array; None where it is in none."""
        found = re.fullmatch(self.cases, name)
        return found and next(filter(None, found.groups()), self.rest)

    def arrays(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """Each file of the family in a folder with each of its arrays."""
        for file in sorted(folder.glob("*.npz")):
            if re.fullmatch(self.files, file.stem):
                with np.load(file, allow_pickle=False) as found:
                    yield from ((file, name) for name in found.files)


def load(file: Path) -> Golden:
    """Name -> tensor, or a tuple of texts."""
    with np.load(file, allow_pickle=False) as arrays:
        return {
            name: tuple(arrays[name].ravel().tolist())
            if arrays[name].dtype.kind == "U"
            else torch.from_numpy(arrays[name])
            for name in arrays.files
        }


def leaf(value: Tensor) -> Tensor:
    return value.clone().requires_grad_()


def same(mine: Tensor, theirs: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(mine, theirs, rtol=0, atol=atol)


def close(mine: Tensor, theirs: Tensor) -> None:
    """Equal to a relative 1e-6, or to 2e-4 where the authors' number is in float32; zeros to what such sums round."""
    exact = theirs.dtype == torch.float64
    size = float(theirs.abs().max()) if theirs.numel() else 0.0
    rtol, round_off = (1e-6, 1e-12) if exact else (2e-4, 1e-6)
    torch.testing.assert_close(mine.to(theirs.dtype), theirs, rtol=rtol, atol=round_off * max(1.0, size))


def close_gradients(z: Golden, value: Tensor, inputs: Mapping[str, Tensor]) -> None:
    """The gradients of `value` at the inputs are close to theirs; the keys name the arrays that hold them."""
    found = torch.autograd.grad(value, list(inputs.values()), materialize_grads=True)
    for name, mine in zip(inputs, found, strict=True):
        close(mine, z[name])


def same_gradients(z: Golden, value: Tensor, inputs: Mapping[str, Tensor], at: Any = ..., atol: float = 1e-10) -> None:
    """The gradients of `value` at the inputs, named as the arrays that hold theirs, equal them at the index `at`."""
    found = torch.autograd.grad(value, list(inputs.values()), materialize_grads=True)
    for name, mine in zip(inputs, found, strict=True):
        if name in z:
            same(mine, z[name][at], atol)
