"""The registry of procedures: tensors in, tensors out, nothing trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from core.params import Params
from core.registry import Entry, Origin, Registry

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class ProcedureEntry(Entry):
    """An `Entry` with its formula; `call` takes tensors by name and `p`, and returns tensors."""

    formula: str = ""


PROCEDURES: Registry[ProcedureEntry] = Registry("procedure", "core.procedures")


def procedure(
    params: type[Params],
    *,
    title: str,
    source: str,
    formula: str,
    origin: Origin = "paper",
    papers: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Register a function under the `kind` of its params; arguments as for `core.losses.registry.loss`."""

    def register(call: F) -> F:
        PROCEDURES.add(
            ProcedureEntry(
                title=title, params=params, call=call, source=source, origin=origin, papers=papers, formula=formula
            )
        )
        return call

    return register
