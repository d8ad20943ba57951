"""Every knob has one address: `loss.temperature` is a link's parameter, a flag, a widget's key and a JSON path.

Links and command lines are read here, against the schema, before anything is built from them.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from core.params import Params, domain, matters

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Knob:
    """One field of a schema: its address, its definition, its present value, and whether that has any effect now."""

    address: str
    field: FieldInfo
    value: Any
    matters: bool = True


@dataclass(frozen=True)
class Refused:
    """An address that was not taken: its value as it was seen, and what was expected."""

    address: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.address} = {self.value!r}: {self.reason}"


def knobs(p: Params, prefix: str = "") -> Iterator[Knob]:
    """All fields below `p`, depth first; a field that holds params gives the fields inside it."""
    for name, field in type(p).model_fields.items():
        value = getattr(p, name)
        if isinstance(value, Params):
            yield from knobs(value, f"{prefix}{name}.")
        else:
            yield Knob(prefix + name, field, value, matters(p, field))


def knob_at(p: Params, address: str) -> Knob | None:
    """The knob that `knobs` lists at an address, gone to directly; None where it lists none."""
    *owners, name = address.split(".")
    owner: Any = p
    for part in owners:
        owner = getattr(owner, part) if isinstance(owner, Params) and part in type(owner).model_fields else None
    if not isinstance(owner, Params) or name not in type(owner).model_fields:
        return None
    field, value = type(owner).model_fields[name], getattr(owner, name)
    return None if isinstance(value, Params) else Knob(address, field, value, matters(owner, field))


def spell(value: Any) -> str:
    """A value as it stands in a link or on the command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def flatten(p: Params, base: Params) -> dict[str, str]:
    """Address -> spelt value of every field of `p` that differs from `base`; `read` takes it back to `p`."""
    flat: dict[str, str] = {}
    for name in type(p).model_fields:
        value, usual = getattr(p, name), getattr(base, name)
        if isinstance(value, Params):
            if type(value) is not type(usual):
                flat[f"{name}.kind"] = getattr(value, "kind")  # noqa: B009
                usual = type(value)()
            flat |= {f"{name}.{inner}": text for inner, text in flatten(value, usual).items()}
        elif value != usual:
            flat[name] = spell(value)
    return flat


def read(flat: Mapping[str, str], base: P) -> tuple[P, list[Refused]]:
    """The params that `flat` describes as changes to `base`, and what of it had to be left out.

    Args:
        flat: address -> spelt value. The address of a field with a choice of kinds stands for its kind, so
            `data=emoji` is `data.kind=emoji`; a new kind starts from its own defaults.
        base: the settings to change.
    """
    kept, errors = dict(flat), {}
    while True:
        try:
            result = type(base).model_validate(_merged(base, _tree(kept)))
        except ValidationError as failure:
            found = {
                address: error for error in failure.errors() for address in _blamed(error["loc"], kept, type(base))
            }
            if not found:
                raise
            errors |= found
            kept = {address: value for address, value in kept.items() if address not in found}
        else:
            present = {knob.address: knob for knob in knobs(result)} if errors else {}
            refused = [Refused(a, flat[a], _reason(a, errors[a], present, base)) for a in flat if a in errors]
            return result, refused


def choices(schema: type[Params], address: str) -> dict[str, type[Params]]:
    """Kind -> params class at the address of a field with a choice of kinds; empty for any other address."""
    owner: Any = schema
    for name in address.split("."):
        field = owner.model_fields.get(name) if isinstance(owner, type) and issubclass(owner, Params) else None
        if field is None:
            return {}
        owner = field.annotation
    members = get_args(owner) or (owner,)
    kinds = [m for m in members if isinstance(m, type) and issubclass(m, Params) and "kind" in m.model_fields]
    return {m.model_fields["kind"].default: m for m in kinds}


def _tree(flat: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for address, value in sorted(flat.items()):
        *owners, name = address.split(".")
        place = tree
        for owner in owners:
            inner = place.get(owner)
            place[owner] = place = inner if isinstance(inner, dict) else {} if inner is None else {"kind": inner}
        place[name] = value
    return tree


def _merged(base: Params, tree: Mapping[str, Any]) -> dict[str, Any]:
    data = base.model_dump()
    for name, given in tree.items():
        inner = getattr(base, name, None)
        if isinstance(inner, Params):
            given = given if isinstance(given, dict) else {"kind": given}
            same = given.get("kind", data[name].get("kind")) == data[name].get("kind")
            data[name] = _merged(inner, given) if same else given
        else:
            data[name] = given
    return data


def _blamed(where: tuple[int | str, ...], given: Mapping[str, str], schema: type[Params]) -> list[str]:
    """The given addresses that an error at `where` is about: the field, its kind, what it holds, or what holds it."""
    names: list[str] = []
    for part in (part for part in where if isinstance(part, str)):
        is_tag = names and part in choices(schema, ".".join(names))
        if not is_tag:
            names.append(part)
    address = ".".join(names)
    exact = [a for a in (address, f"{address}.kind") if a in given]
    inside = [a for a in given if a.startswith(f"{address}.")]
    return exact or inside or [a for a in given if address.startswith(f"{a}.")]


def _reason(address: str, error: Any, present: Mapping[str, Knob], base: Params) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    kinds = choices(type(base), address.removesuffix(".kind"))
    if kinds and (address.endswith(".kind") or address not in present):
        return "expected one of " + ", ".join(kinds)
    if address in present:
        fewest = f", at least {error['ctx']['min_length']}" if error["type"] == "too_short" else ""
        return "expected " + domain(present[address].field).expectation() + fewest
    near = difflib.get_close_matches(address, present, n=1)
    return "no such setting here" + (f"; did you mean {near[0]}?" if near else "")
