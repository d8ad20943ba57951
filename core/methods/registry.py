"""The registry of methods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor

from core.params import Params
from core.registry import Entry, Origin, Registry


class Method(Protocol):
    """Decides which items meet in a batch, and whether a teacher and a bank of its embeddings go along."""

    teaches: bool

    def epoch(self, n: int, p: Any, seed: int, epoch: int) -> Tensor:
        """(steps, B) int64: positions among the n training items, one row a step, on the CPU."""
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


def method(params: type[Params], *, title: str, source: str, origin: Origin = "designed") -> Callable[[M], M]:
    """Register a method under the `kind` of its params."""

    def register(call: M) -> M:
        METHODS.add(MethodEntry(title=title, params=params, call=call, source=source, origin=origin))
        return call

    return register
