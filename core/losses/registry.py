"""The registry of losses: what an entry says beside its formula."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from core.paid import Paid
from core.params import Params
from core.registry import Entry, Learned, Origin, Registry

Family = Literal["hinge", "softmax", "logistic", "angular", "contrastive", "none"]
Plan = Callable[[Mapping[str, Tensor], Any, Generator], dict[str, Tensor]]


@dataclass(frozen=True)
class Claims:
    """Invariants that the contract tests hold the loss to: True, or the reason why it is not claimed.

    permutation: the batch may be reordered. pulls: no positive is pushed away, some are pulled. pushes: no negative
    is pulled, some are pushed. margin: a larger margin never makes it cheaper.
    """

    permutation: Literal[True] | str = True
    pulls: Literal[True] | str = True
    pushes: Literal[True] | str = True
    margin: Literal[True] | str = True


@dataclass(frozen=True)
class Companion:
    """A small network that the trainer owns and that learns along: it turns what a batch has into inputs of the loss.

    `build`: (params, sizes) -> the network; sizes say how many dimensions D an embedding has and how many classes P
    there are. Its forward takes {name: tensor} of all that it `eats`, plans included, and gives {name: tensor} of all
    that it `makes`, both named in the vocabulary. A look changes nothing of it: it keeps no running statistics.
    `turns`: params -> whether it learns in turn with the networks, these in even steps and it in odd ones.
    `twins`: whether the two sides have to come from one tower, since the network could turn one side into the other.
    """

    build: Callable[[Any, Mapping[str, int]], nn.Module]
    makes: tuple[str, ...]
    eats: tuple[str, ...] = ()
    turns: Callable[[Any], bool] = lambda p: False
    twins: bool = False


@dataclass(frozen=True)
class LossEntry(Entry):
    """An `Entry` with its formula, family of margin (`core.mixing`), claims and relatives.

    `plan` makes the inputs named in `planned`, without gradient, from the others, the params and a generator: draws,
    mined places, weights that are held fixed. It is handed what the loss is, and the loss pays by what it made.
    `companion` makes further inputs in a run, with gradient; where there is no run they are handed in.
    `fewest` modalities or views are what its claim takes. `work` is one sentence on what the formula computes for N
    items beyond one matrix of N x N scores; empty where that is all, and the loss is held to the speed of it.
    """

    family: Family = "softmax"
    formula: str = ""
    claims: Claims = field(default_factory=Claims)
    relations: Mapping[str, str] = field(default_factory=dict)
    learned: Callable[[Any], Mapping[str, Learned]] = lambda p: {}
    variants: tuple[Mapping[str, object], ...] = ({},)
    plan: Plan | None = None
    planned: tuple[str, ...] = ()
    companion: Companion | None = None
    fewest: int = 2
    work: str = ""

    def complete(
        self, given: Mapping[str, Tensor], p: Any, g: Generator, network: nn.Module | None = None
    ) -> dict[str, Tensor]:
        """The inputs, with those that the plan makes where they are missing, and those that the companion makes.

        Args:
            given: the inputs by name.
            p: params.
            g: a fresh generator, on the CPU; draws are moved to where the inputs are.
            network: the companion, where a run has one; a loss that has none leaves it alone.
        """
        known = dict(given)
        if self.plan is not None and not set(self.planned) <= set(given):
            with torch.no_grad():
                known = {**self.plan({name: value.detach() for name, value in given.items()}, p, g), **given}
        if network is None or self.companion is None:
            return known
        made = network({name: known[name] for name in self.companion.eats})
        return {name: value for name, value in (known | made).items() if name in self.inputs}

    def pay(self, given: Mapping[str, Tensor], p: Any, g: Generator, network: nn.Module | None = None) -> Paid:
        """What the loss asks of these inputs, completed first; arguments as for `complete`."""
        return self.call(**self.complete(given, p, g, network), p=p)

    @property
    def needed(self) -> list[str]:
        """The inputs that have to be handed in where there is no run: required, and not made by the plan."""
        return [name for name, required in self.inputs.items() if required and name not in self.planned]

    @property
    def made(self) -> tuple[str, ...]:
        """The inputs that the companion makes."""
        return self.companion.makes if self.companion else ()

    @functools.cached_property
    def taken(self) -> dict[str, bool]:
        """What a run may hand in, as `inputs`: those but what the companion makes, and what that eats."""
        eaten = dict.fromkeys(self.companion.eats if self.companion else (), True)
        return {name: required for name, required in (self.inputs | eaten).items() if name not in self.made}

    @property
    def needed_of_a_run(self) -> list[str]:
        """What a run has to hand in: required, and not made by the plan or the companion."""
        return [name for name, required in self.taken.items() if required and name not in self.planned]

    @property
    def pairwise(self) -> bool:
        """Whether pairs of embeddings, and classes where it asks for them, are all that it needs."""
        return {"a", "b"} <= set(self.needed) <= {"a", "b", "labels"}


LOSSES: Registry[LossEntry] = Registry("loss", "core.losses")


def loss(
    params: type[Params],
    *,
    title: str,
    source: str,
    formula: str,
    family: Family,
    origin: Origin = "paper",
    papers: tuple[str, ...] = (),
    claims: Claims | None = None,
    relations: Mapping[str, str] | None = None,
    learned: Callable[[Any], Mapping[str, Learned]] = lambda p: {},
    variants: tuple[Mapping[str, object], ...] = ({},),
    plan: Plan | None = None,
    planned: tuple[str, ...] = (),
    companion: Companion | None = None,
    fewest: int = 2,
    work: str = "",
) -> Callable[[Callable[..., Paid]], Callable[..., Paid]]:
    """Register a loss under the `kind` of its params.

    Args:
        params: the frozen params class; its `kind` is the key.
        title: the field's standard name.
        source: paper and equation.
        formula: LaTeX of what one anchor pays.
        family: what a margin means for it: the hinge's or the distance's own, taken off the positive (softmax,
            logistic), added to the positive's angle in radians (angular), or nothing.
        origin: where the definition comes from.
        papers: ids of the papers that it belongs to.
        claims: invariants; what is not claimed carries a reason.
        relations: key of a relative -> how this loss differs from it.
        learned: params -> the parameters that the trainer has to own.
        variants: settings of the params that the contract tests run, the defaults first.
        plan: (inputs, params, generator) -> the inputs in `planned`, all without gradient.
        planned: names of the inputs that the plan makes.
        companion: the network that makes some of the inputs in a run.
        fewest: modalities or views that it has to be handed for its claim to make sense.
        work: what its formula computes beyond one matrix of N x N scores, where it does.
    """

    def register(call: Callable[..., Paid]) -> Callable[..., Paid]:
        LOSSES.add(
            LossEntry(
                title=title,
                params=params,
                call=call,
                source=source,
                origin=origin,
                papers=papers,
                family=family,
                formula=formula,
                claims=claims or Claims(),
                relations=relations or {},
                learned=learned,
                variants=variants,
                plan=plan,
                planned=planned,
                companion=companion,
                fewest=fewest,
                work=work,
            )
        )
        return call

    return register
