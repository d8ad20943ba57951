"""The registry of mixings and the plan that they draw: everything random about a step, stored and replayable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Generator, Tensor, device

from core.paid import Paid
from core.params import Params
from core.registry import Entry, Learned, Origin, Registry

Level = Literal["input", "hidden", "embedding"]
Side = Literal["a", "b", "alternate", "both", "each"]
Mixes = Literal["sides", "negatives"]
Memory = Mapping[str, Tensor]


@dataclass(frozen=True)
class Step:
    """Where training stands: the index of the step and of its epoch, both from 0."""

    index: int
    epoch: int


@dataclass(frozen=True)
class Plan:
    """What was drawn for one batch of n items.

    `lam` (n,): share of the anchor that stays, in [0, 1]. `partner` (n,) int64: row of the item mixed in, of the batch,
    or of the bank where `from_bank` (n,) bool. `margin` (n,): the margin that the mixed pair is asked for; where the
    rule is learned it carries a gradient. `side`: the side that this step mixes, where the params leave it open.
    `partner_margin` (n,): the margin asked of the mixed anchor and its partner's positive, where these are a pair too.
    `penalty` (): what the margin rule itself pays.
    """

    lam: Tensor
    partner: Tensor
    margin: Tensor
    from_bank: Tensor | None = None
    side: Side | None = None
    partner_margin: Tensor | None = None
    penalty: Tensor | None = None

    @property
    def alone(self) -> Tensor:
        """(n,) bool: items that are their own partner, so that nothing is mixed."""
        own = self.partner == torch.arange(len(self.partner), device=self.partner.device)
        return own if self.from_bank is None else own & ~self.from_bank

    def to(self, where: device) -> "Plan":
        """The same plan on another device."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Plan(**{name: value.to(where) if isinstance(value, Tensor) else value for name, value in values.items()})


@dataclass(frozen=True)
class Known:
    """What a plan may look at.

    `margin`: the loss's own, for a mixing that has none. `z` (n, D) and `labels` (n,): embeddings and classes, for
    partners that are chosen by them. `step`: index of the step, for sides that take turns. `memory`: as `remember` gave
    it after the step before, empty at the first one. `learned`: name -> () the scalars of a learned margin rule.
    """

    margin: float
    z: Tensor | None = None
    labels: Tensor | None = None
    step: int = 0
    memory: Memory = field(default_factory=dict)
    learned: Mapping[str, Tensor] = field(default_factory=dict)


class Mixing(Protocol):
    """Stateless: `plan` draws, `apply` mixes, `combine` adds up; none of them changes its params or the loss's.

    What has to last from step to step (a bank, a decayed margin) is a `Memory` of plain tensors that the trainer
    keeps: `remember` gives the next one. `mixes` says what `apply` makes: mixed sides, or mixed negatives.
    """

    mixes: Mixes

    def plan(self, n: int, p: Any, g: Generator, known: Known) -> Plan: ...

    def apply(self, inputs: Mapping[str, Tensor], plan: Plan, p: Any) -> Mapping[str, Tensor]: ...

    def remember(self, memory: Memory, plan: Plan, inputs: Mapping[str, Tensor], p: Any) -> dict[str, Tensor]: ...

    def combine(self, clean: Paid, mixed: Paid, step: Step, p: Any) -> Paid: ...


@dataclass(frozen=True)
class MixingEntry(Entry):
    """An `Entry` whose `call` makes the mixing, or None where nothing is mixed.

    `learned`: params -> the scalars that the trainer has to own and to pass to `plan`.
    """

    call: Callable[[], Mixing | None]
    formula: str = ""
    learned: Callable[[Any], Mapping[str, Learned]] = lambda p: {}


MIXINGS: Registry[MixingEntry] = Registry("mixing", "core.mixing")


def mixing(
    params: type[Params],
    *,
    title: str,
    source: str,
    formula: str = "",
    origin: Origin = "paper",
    papers: tuple[str, ...] = (),
    learned: Callable[[Any], Mapping[str, Learned]] = lambda p: {},
) -> Callable[[Callable[[], Mixing | None]], Callable[[], Mixing | None]]:
    """Register a mixing under the `kind` of its params; arguments as for `core.losses.registry.loss`."""

    def register(call: Callable[[], Mixing | None]) -> Callable[[], Mixing | None]:
        MIXINGS.add(
            MixingEntry(
                title=title,
                params=params,
                call=call,
                source=source,
                origin=origin,
                papers=papers,
                formula=formula,
                learned=learned,
            )
        )
        return call

    return register
