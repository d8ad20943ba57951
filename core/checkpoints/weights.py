"""Every tensor of a checkpoint in a few numbers, and the tree that their names make."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from core.checkpoints.families import counted, quoted
from core.checkpoints.opened import Checkpoint, Listed
from core.diagnostics.verdicts import Verdict

CHUNK = 1 << 20
SMALLEST, LARGEST = 1e-70, 1e70  # norms that are told apart from slips
PRUNED = 0.5  # share of weights that are exactly 0; above: pruned


class TensorStats(BaseModel):
    """A tensor in numbers. `norm`, `mean`, `std`, `low`, `high` are of its finite numbers, None where there are none.

    `zeros` and `broken` are shares of numbers that are exactly 0, and that are NaN or infinite. `norm` is Euclidean
    over all numbers, `std` divides by their count. Complex numbers count as two.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    shape: tuple[int, ...]
    dtype: str
    numel: int
    size: int
    norm: float | None = None
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    zeros: float = 0.0
    broken: float = 0.0

    @property
    def legible(self) -> bool:
        """Whether its numbers are finite, and of a size whose fourth power a float can hold."""
        return not self.broken and self.norm is not None and (self.norm == 0 or SMALLEST < self.norm < LARGEST)


def flat(values: Tensor) -> Iterator[Tensor]:
    """The numbers of a tensor in float64, at most `CHUNK` at a time."""
    if values.is_complex():
        values = torch.view_as_real(values)
    for part in values.reshape(-1).split(CHUNK):
        yield part.double()


def statistics(listed: Listed, values: Tensor) -> TensorStats:
    """The numbers of a tensor, exact to float64 in one pass."""
    n, mean, squares, zeros, broken, low, high = 0, 0.0, 0.0, 0, 0, math.inf, -math.inf
    for part in flat(values):
        if not math.isfinite(float(part.sum())):
            finite = part[part.isfinite()]
            broken += part.numel() - finite.numel()
            part = finite
        if not part.numel():
            continue
        zeros += part.numel() - int(part.count_nonzero())
        low, high = min(low, float(part.min())), max(high, float(part.max()))
        own = float(part.mean())
        part = part - own
        step, n = own - mean, n + part.numel()
        mean += step * part.numel() / n
        squares += float(part @ part) + step * step * part.numel() * (n - part.numel()) / n
    total = max(n + broken, 1)
    found = {"low": low, "high": high, "mean": mean, "std": math.sqrt(squares / n)} if n else {}
    found |= {"norm": math.sqrt(squares + n * mean * mean)} if n else {"norm": 0.0 if not broken else math.inf}
    return TensorStats(
        **{key: getattr(listed, key) for key in ("name", "shape", "dtype", "numel", "size")},
        **{key: value for key, value in found.items() if math.isfinite(value)},
        zeros=zeros / total,
        broken=broken / total,
    )


def measure(checkpoint: Checkpoint) -> tuple[TensorStats, ...]:
    """The statistics of every tensor, in the order of their names; one tensor is held at a time."""
    return tuple(statistics(each, checkpoint.tensor(each.name)) for each in checkpoint)


@dataclass
class Node:
    """A branch of the tree: what lies under a name, up to a dot.

    `norm` is that of all numbers below together, None where one has none; `tensor` is set at the leaves alone.
    """

    name: str
    tensors: int = 0
    numel: int = 0
    size: int = 0
    squares: float | None = 0.0
    broken: int = 0
    tensor: TensorStats | None = None
    inside: dict[str, "Node"] = field(default_factory=dict)

    @property
    def norm(self) -> float | None:
        known = self.squares is not None and math.isfinite(self.squares)
        return math.sqrt(self.squares or 0.0) if known else None

    def add(self, tensor: TensorStats) -> None:
        known = self.squares is not None and tensor.norm is not None
        self.squares = self.squares + tensor.norm * tensor.norm if known else None
        self.tensors, self.numel, self.size = self.tensors + 1, self.numel + tensor.numel, self.size + tensor.size
        self.broken += bool(tensor.broken)


def tree(tensors: Iterable[TensorStats]) -> Node:
    """The tensors of a file by the parts of their names, each branch with the sums of what lies below."""
    root = Node("")
    for tensor in tensors:
        at = root
        at.add(tensor)
        for part in tensor.name.split("."):
            at = at.inside.setdefault(part, Node(part))
            at.add(tensor)
        at.tensor = tensor
    return root


def findings(tensors: Iterable[TensorStats], moments: Collection[str] = ()) -> tuple[Verdict, ...]:
    """What the numbers alone tell: whether they are finite, whether matrices are all 0 or mostly.

    Args:
        tensors: from `measure`.
        moments: names that belong to an optimiser, where zeros mean something else.
    """
    floating = [each for each in tensors if each.dtype.startswith(("float", "bfloat", "complex"))]
    return (_finite(floating), *_zero([each for each in floating if each.name not in moments]))


def _finite(tensors: Sequence[TensorStats]) -> Verdict:
    broken = [each for each in tensors if each.broken]
    if not broken:
        return Verdict("finite", "ok", f"All {sum(each.numel for each in tensors):,} numbers are finite.")
    share = max(each.broken for each in broken)
    return Verdict(
        "broken",
        "bad",
        f"{counted(len(broken))} of {len(tensors):,} hold NaN or infinity, up to {100 * share:.3g}% of one: "
        f"{quoted([each.name for each in broken])}.",
    )


def _zero(tensors: Sequence[TensorStats]) -> Iterator[Verdict]:
    matrices = [each for each in tensors if len(each.shape) > 1 and each.numel]
    dead = [each.name for each in matrices if each.zeros == 1]
    if dead:
        yield Verdict(
            "all 0", "watch", f"{len(dead):,} of {len(matrices):,} matrices hold nothing but 0: {quoted(dead)}."
        )
    rest = [each for each in matrices if each.zeros < 1]
    share = sum(each.zeros * each.numel for each in rest) / max(sum(each.numel for each in rest), 1)
    if share > PRUNED:
        yield Verdict("pruned", "info", f"{100 * share:.0f}% of the numbers in matrices are exactly 0.")


def by_name(tensors: Iterable[TensorStats]) -> Mapping[str, TensorStats]:
    return {each.name: each for each in tensors}
