"""The registry of methods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor

from core.params import Params
from core.registry import Entry, Origin, Registry


class Method(Protocol):
    """Decides which items meet in a batch, and what goes along with them.

    `teaches`: whether a teacher and a bank of its embeddings go along. `looks`: whether it sees how the networks embed
    the training items, before the first step and then every `p.every` epochs. `gives`: inputs of a loss that it brings.
    """

    teaches: bool
    looks: bool
    gives: tuple[str, ...]

    def fault(self, n: int, classes: int, p: Any) -> str:
        """Why it cannot work on n training items of so many classes, in a sentence; empty where it can."""
        ...

    def keep(self, z: Mapping[str, Tensor], labels: Tensor, p: Any, seed: int, epoch: int) -> dict[str, Tensor]:
        """What it keeps of a look, until the next one: (n, ...) tensors on the CPU, which the checkpoint holds.

        Args:
            z: modality -> (n, D) unit embeddings of the training items, on the CPU.
            labels: (n,) their classes.
            p: its params.
            seed: of the recipe.
            epoch: that is about to begin.
        """
        ...

    def epoch(self, n: int, p: Any, seed: int, epoch: int, kept: Mapping[str, Tensor]) -> Tensor:
        """(steps, B) int64: positions among the n training items, one row a step, on the CPU; `kept` as of `keep`."""
        ...

    def steps(self, n: int, p: Any) -> int:
        """Steps in an epoch over n training items."""
        ...


@dataclass(frozen=True)
class MethodEntry(Entry):
    """An `Entry` whose `call` makes the method."""

    call: Callable[[], Method]


M = TypeVar("M", bound=Callable[[], Method])

METHODS: Registry[MethodEntry] = Registry("method", "core.methods")


def method(
    params: type[Params], *, title: str, source: str, origin: Origin = "designed", papers: tuple[str, ...] = ()
) -> Callable[[M], M]:
    """Register a method under the `kind` of its params."""

    def register(call: M) -> M:
        METHODS.add(MethodEntry(title=title, params=params, call=call, source=source, origin=origin, papers=papers))
        return call

    return register
