"""The registry of losses: what an entry says beside its formula."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.paid import Paid
from core.params import Params
from core.registry import Entry, Learned, Origin, Registry

Family = Literal["hinge", "softmax", "logistic", "angular", "contrastive", "none"]


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
class LossEntry(Entry):
    """An `Entry` with its formula, family of margin (`core.mixing`), claims and relatives."""

    family: Family = "softmax"
    formula: str = ""
    claims: Claims = field(default_factory=Claims)
    relations: Mapping[str, str] = field(default_factory=dict)
    learned: Callable[[Any], Mapping[str, Learned]] = lambda p: {}
    variants: tuple[Mapping[str, object], ...] = ({},)

    @property
    def pairwise(self) -> bool:
        """Whether pairs of embeddings, and classes where it asks for them, are all that it needs."""
        return {name for name, required in self.inputs.items() if required} <= {"a", "b", "labels"}


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
            )
        )
        return call

    return register
