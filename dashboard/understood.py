"""What was understood of a file of the user's, read aloud, and the place to say otherwise."""

from collections.abc import Callable, Sequence

import streamlit as st

from core.checkpoints.columns import Column
from core.data.brought import reading
from core.data.uses import Reading, Uses
from dashboard.link import code, plain

CHANGED = 12

Changed = Callable[[str, Reading, Uses], None]


def understood(digest: str, changed: Changed) -> None:
    """The checker's sentence on the file of this digest, if it was brought in on this machine.

    Args:
        digest: of the file.
        changed: called with the digest, what was understood, and the uses that the user wants instead.
    """
    found = reading(digest)
    if found is None:
        return
    st.markdown(f"{code(', '.join(found.files))}: {found.aloud(code)}")
    with st.popover("Change what I said", icon=":material/edit:", type="tertiary", key="change"):
        _form(digest, found, changed)


def _form(digest: str, found: Reading, changed: Changed) -> None:
    """Selects for labels and names, and a field for each modality; nothing happens until it is sent."""
    single = [column.name for column in found.columns if column.form in ("whole", "text")]
    blocks = [column for column in found.columns if column.form in ("vector", "image", "text")]
    place = f"use_{digest[:12]}"

    with st.form(place, border=False):
        labels = _choice("Labels", single, found.uses.labels, f"{place}_labels")
        named = _choice("Names of the rows", single, found.uses.names, f"{place}_names")
        st.markdown("**Modalities** :small[by the name that each shall have; without one it is left out]")
        names = {column.name: _field(column, found.uses, f"{place}_{at}") for at, column in enumerate(blocks[:CHANGED])}
        if st.form_submit_button("Read it so", icon=":material/check:"):
            kept = {name: called for name, called in found.uses.modalities.items() if name not in names}
            modalities = {name: called for name, called in names.items() if called} | kept
            with st.spinner("Reading it so ..."):
                changed(digest, found, Uses(modalities=modalities, labels=labels, names=named))
            st.rerun()


def _field(column: Column, uses: Uses, key: str) -> str:
    """The name that the modality of a column shall have; empty where it is left out."""
    given = st.text_input(
        f"{plain(column.name)}, {_shape(column)}",
        value=uses.modalities.get(column.name, ""),
        key=key,
        placeholder="left out",
        max_chars=32,
    )
    return given.strip()


def _choice(label: str, columns: Sequence[str], chosen: str, key: str) -> str:
    options = ["", *columns]
    return st.selectbox(label, options, index=options.index(chosen), format_func=lambda name: name or "none", key=key)


def _shape(column: Column) -> str:
    if column.form == "vector":
        return f"{column.rows:,} × {column.width:,}"
    return f"{column.rows:,} " + (f"pictures of {column.why}" if column.form == "image" else "texts")
