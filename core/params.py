"""Constraints as data: every knob of the product is a field of a frozen pydantic model.

Widgets, links, the command line, the saved run, the docs and the tests read the same fields, so this module
knows nothing of torch: the schema must be cheap to load.
"""

import functools
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo


class Params(BaseModel):
    """Frozen settings; an unknown name is refused, so a misspelt knob is never silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _spelt(cls, given: Any) -> Any:
        """Read what only a string can say in a link: no value, and lists."""
        if not isinstance(given, dict):
            return given
        known = domains(cls)
        return {
            name: known[name].read(value) if isinstance(value, str) and name in known else value
            for name, value in given.items()
        }


def only(**when: Any) -> dict[str, Any]:
    """For `Field(json_schema_extra=...)`: the field matters only where other fields of its params hold these values.

    A value is one, or a tuple of several.
    """
    return {"only": {name: list(values) if isinstance(values, tuple) else [values] for name, values in when.items()}}


def matters(p: Params, field: FieldInfo) -> bool:
    """Whether a field of `p` has any effect beside the present values of the others."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    needed: Any = extra.get("only", {})
    return all(getattr(p, name) in values for name, values in needed.items())


@dataclass(frozen=True)
class Domain:
    """What a field can hold. `kind` is the type of one value; `low` and `high` are inclusive unless `open_low`."""

    kind: type
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    optional: bool = False
    many: bool = False

    def read(self, text: str) -> Any:
        """A spelt value, ready for validation."""
        if self.optional and text == "none":
            return None
        if self.kind is int and self.choices:
            return next((choice for choice in self.choices if str(choice) == text), text)
        return tuple(part for part in text.split(",") if part) if self.many else text

    def expectation(self) -> str:
        """What was expected, in words."""
        if self.choices:
            text = "one of " + ", ".join(map(str, self.choices))
        elif self.kind is bool:
            text = "on or off"
        elif self.kind in (int, float):
            text = ("a whole number" if self.kind is int else "a number") + self._range()
        else:
            text = "names separated by commas" if self.many else "a text"
        if self.many and self.choices:
            text = "some of " + ", ".join(map(str, self.choices)) + ", separated by commas"
        return text + (", or none" if self.optional else "")

    def _range(self) -> str:
        above = "" if self.low is None else f" {'above' if self.open_low else 'from'} {self.low:g}"
        return above + ("" if self.high is None else f" to {self.high:g}")


def domain(field: FieldInfo) -> Domain:
    """The domain of a field, from its annotation and its constraints."""
    kind: Any = field.annotation
    optional = get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind)
    if optional:
        kind = next(part for part in get_args(kind) if part is not type(None))
    many = get_origin(kind) is tuple
    if many:
        kind = get_args(kind)[0]
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        kind = type(choices[0])
    limits: dict[str, Any] = {}
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Ge):
            limits["low"] = rule.ge
        elif isinstance(rule, annotated_types.Gt):
            limits |= {"low": rule.gt, "open_low": True}
        elif isinstance(rule, annotated_types.Le):
            limits["high"] = rule.le
    return Domain(kind if isinstance(kind, type) else object, choices, optional=optional, many=many, **limits)


@functools.cache
def domains(schema: type[Params]) -> Mapping[str, Domain]:
    """The domain of every field of a schema, by name."""
    return {name: domain(field) for name, field in schema.model_fields.items()}
