"""The registry of mixings and the plan that they draw: everything random about a step, stored and replayable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Generator, Tensor, device

from core.paid import Paid
from core.params import Params
from core.registry import Entry, Origin, Registry

Level = Literal["input", "embedding"]
Side = Literal["a", "b"]


@dataclass(frozen=True)
class Step:
    """Where training stands: the index of the step and of its epoch, both from 0."""

    index: int
    epoch: int


@dataclass(frozen=True)
class Plan:
    """What was drawn for one batch of n items.

    `lam` (n,): share of the anchor that stays, in [0, 1]. `partner` (n,): index of the item mixed in. `margin` (n,):
    the margin that the mixed pair is asked for.
    """

    lam: Tensor
    partner: Tensor
    margin: Tensor

    def to(self, where: device) -> "Plan":
        return Plan(self.lam.to(where), self.partner.to(where), self.margin.to(where))


class Mixing(Protocol):
    """Stateless: `plan` draws, `apply` mixes, `combine` adds up; none of them changes its params or the loss's."""

    def plan(self, n: int, p: Any, g: Generator, *, margin: float, z: Tensor | None = None) -> Plan: ...

    def apply(self, inputs: Mapping[str, Tensor], plan: Plan, p: Any) -> Mapping[str, Tensor]: ...

    def combine(self, clean: Paid, mixed: Paid, step: Step, p: Any) -> Paid: ...


@dataclass(frozen=True)
class MixingEntry(Entry):
    """An `Entry` whose `call` makes the mixing, or None where nothing is mixed."""

    call: Callable[[], Mixing | None]
    formula: str = ""


MIXINGS: Registry[MixingEntry] = Registry("mixing", "core.mixing")


def mixing(
    params: type[Params],
    *,
    title: str,
    source: str,
    formula: str = "",
    origin: Origin = "paper",
    papers: tuple[str, ...] = (),
) -> Callable[[Callable[[], Mixing | None]], Callable[[], Mixing | None]]:
    """Register a mixing under the `kind` of its params; arguments as for `core.losses.registry.loss`."""

    def register(call: Callable[[], Mixing | None]) -> Callable[[], Mixing | None]:
        MIXINGS.add(
            MixingEntry(
                title=title, params=params, call=call, source=source, origin=origin, papers=papers, formula=formula
            )
        )
        return call

    return register
