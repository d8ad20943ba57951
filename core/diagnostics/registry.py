"""The registry of diagnostics: each with its definition, its range and its chance level."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import create_model

from core.params import Params
from core.registry import Entry, Origin, Registry

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class DiagnosticEntry(Entry):
    """An `Entry` with the values that its number can take and the value that means nothing was learned, in words."""

    values: str = ""
    chance: str = ""


DIAGNOSTICS: Registry[DiagnosticEntry] = Registry("diagnostic", "core.diagnostics")


def diagnostic(
    key: str,
    *,
    title: str,
    source: str,
    values: str,
    chance: str,
    origin: Origin = "paper",
    papers: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Register a function under `key`; its keyword-only arguments with a default are its params.

    Args:
        key: the diagnostic's name in the catalogue.
        title: the field's standard name.
        source: paper and equation, or what it follows from.
        values: the values that the number can take, with what the ends mean.
        chance: what random or collapsed embeddings give.
        origin: where the definition comes from.
        papers: ids of the papers that it belongs to.
    """

    def register(call: F) -> F:
        knobs: dict[str, Any] = {
            q.name: (q.annotation, q.default)
            for q in inspect.signature(call).parameters.values()
            if q.kind is q.KEYWORD_ONLY and q.default is not q.empty
        }
        only: Any = Literal
        params = create_model(f"{key}_params", __base__=Params, kind=(only[key], key), **knobs)
        DIAGNOSTICS.add(
            DiagnosticEntry(
                title=title,
                params=params,
                call=call,
                source=source,
                origin=origin,
                papers=papers,
                values=values,
                chance=chance,
            )
        )
        return call

    return register
