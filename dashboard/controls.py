"""One widget builder over the schema: a field is a knob is an address in the link.

The only place that decides which widget a field gets. A yes or no is a segmented control, so that it stays readable
in the dark theme.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.addresses import Knob, choices, knob_at, spell
from core.params import Domain, domain
from dashboard.link import change, view

WIDTH = 156
FEW = 3
LEAST = 1e-4


def knob(
    address: str,
    *,
    label: str | None = None,
    names: Mapping[str, str] | None = None,
    options: Sequence[str] | None = None,
    width: int | str = WIDTH,
    disabled: bool = False,
) -> None:
    """The widget of one address; moving it changes the view and so the link.

    Args:
        address: of a field, or of a field with a choice of kinds.
        label: instead of the field's title.
        names: option -> what is shown for it.
        options: a choice among fewer than the schema has.
        width: pixels, or "stretch".
        disabled: shown, but not to be moved.

    Raises:
        KeyError: if the view has no such address now.
    """
    kinds = choices(type(view()), address)
    place = f"{address}.kind" if kinds else address
    found = knob_at(view(), place)
    if found is None:
        raise KeyError(f"{address} is not an address of the present view")
    shared: dict[str, Any] = {
        "label": label or (address.rpartition(".")[2].capitalize() if kinds else found.field.title),
        "key": address,
        "help": None if kinds else found.field.description,
        "width": width,
        "disabled": disabled,
    }
    what = domain(found.field)
    listed = list(options or kinds or what.choices)
    if kinds or (what.choices and not what.many):
        _choice(address, shared, listed, names or {}, spell(found.value), bool(kinds))
    elif what.kind is bool:
        _choice(address, shared, ["off", "on"], {}, spell(found.value), False)
    elif what.many:
        _several(address, shared, listed, names or {}, found)
    else:
        _number(address, shared, what, found)


def option(
    address: str,
    label: str,
    options: Sequence[str],
    now: str,
    *,
    names: Mapping[str, str] | None = None,
    roomy: bool = False,
) -> str:
    """A select box for an address whose options depend on what is open; what is not among them becomes the first."""
    chosen = now if now in options else options[0]
    st.session_state[address] = chosen
    shown = names or {}

    def moved() -> None:
        change(address, st.session_state[address])

    st.selectbox(
        label,
        options,
        key=address,
        on_change=moved,
        width=2 * WIDTH if roomy else WIDTH,
        format_func=lambda each: shown.get(each, each),
    )
    return chosen


def _commit(address: str, label: str, text: Callable[[Any], str] = spell) -> Callable[[], None]:
    """What a moved widget does; a value that the schema refuses is named, and the widget goes back."""

    def committed() -> None:
        for refused in change(address, text(st.session_state[address])):
            st.toast(f"{label}: {refused.reason}.", icon=":material/block:")

    return committed


def follow(key: str, value: Any, /, **start: Any) -> dict[str, Any]:
    """Let the widget of this key show `value`; gives the arguments it is to be made with.

    It is told only where it says something else: an answer that repeats what was said would come late where a hand is
    faster than the server, and take the next move back. Else it has its start, which a widget inside a popover takes
    when that is opened.

    Args:
        key: of the widget.
        value: what it is to show.
        start: the argument that makes such a widget start at `value`.
    """
    if st.session_state.get(key, value) == value:
        return start
    st.session_state[key] = value
    return {}


def _choice(
    address: str, shared: dict[str, Any], options: list[Any], names: Mapping[str, str], value: str, roomy: bool
) -> None:
    texts = [str(option) for option in options]
    shared |= {
        "options": texts,
        "format_func": lambda option: names.get(option, option.replace("_", " ")),
        "on_change": _commit(address, shared["label"]),
    }
    if roomy or len(options) > FEW:
        st.selectbox(**shared, **follow(address, value, index=texts.index(value)))
    else:
        segmented: Any = st.segmented_control
        segmented(**shared | {"width": "content"}, required=True, **follow(address, value, default=value))


def _several(address: str, shared: dict[str, Any], options: list[Any], names: Mapping[str, str], found: Knob) -> None:
    pills: Any = st.pills
    pills(
        **shared | {"width": "stretch"},
        options=options,
        selection_mode="multi",
        format_func=lambda option: names.get(option, option),
        on_change=_commit(address, shared["label"], lambda chosen: ",".join(chosen)),
        **follow(address, list(found.value), default=list(found.value)),
    )


def _number(address: str, shared: dict[str, Any], what: Domain, found: Knob) -> None:
    value = found.value
    shared |= {"on_change": _commit(address, shared["label"]), **follow(address, value, value=value)}
    bounded = what.low is not None and what.high is not None
    if what.kind is float and bounded:
        stops: list[float | None] = sorted({*_stops(what), *([] if value is None else [value])})
        named = ([None] if what.optional else []) + stops
        st.select_slider(
            **shared, options=named, format_func=lambda stop: "the loss's" if stop is None else f"{stop:.3g}"
        )
    elif what.kind is int and bounded and what.high - what.low <= 256:
        st.slider(**shared, min_value=int(what.low), max_value=int(what.high))
    elif what.kind in (int, float):
        limits = {"min_value": what.low, "max_value": what.high}
        typed = {name: None if limit is None else what.kind(limit) for name, limit in limits.items()}
        st.number_input(**shared, **typed)
    else:
        st.text_input(**shared)


def _stops(what: Domain) -> list[float]:
    """Where a slider stops: even steps, or even ratios where the range spans more than two powers of ten."""
    low, high = float(what.low or 0), float(what.high or 1)
    low = max(low, high * LEAST) if what.open_low else low
    if low > 0 and high / low > 100:
        count = 40
        return [float(f"{low * (high / low) ** (i / count):.2g}") for i in range(count + 1)]
    return [round(low + (high - low) * i / 50, 4) for i in range(51)]
