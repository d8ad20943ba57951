"""The registry of methods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from core.params import Params
from core.registry import Entry, Origin, Registry


class Method(Protocol):
    """Decides which items meet in a batch, and whether a teacher and a bank of its embeddings go along.

    A method that `teaches` says with `kept` what the bank holds after a step.
    """

    teaches: bool

    @staticmethod
    def kept(bank: Tensor, fresh: Tensor) -> Tensor:
        """The bank (K, ...) after a step whose batch was `fresh` (B, ...)."""
        ...

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


METHODS: Registry[MethodEntry] = Registry("method", "core.methods")


def method(
    params: type[Params], *, title: str, source: str, origin: Origin = "designed"
) -> Callable[[Callable[[], Method]], Callable[[], Method]]:
    """Register a method under the `kind` of its params."""

    def register(call: Callable[[], Method]) -> Callable[[], Method]:
        METHODS.add(MethodEntry(title=title, params=params, call=call, source=source, origin=origin))
        return call

    return register
