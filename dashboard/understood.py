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

    def send() -> None:
        said = st.session_state
        names = {column.name: said[f"{place}_{at}"].strip() for at, column in enumerate(blocks[:CHANGED])}
        kept = {name: found.uses.modalities[name] for name in found.uses.modalities if name not in names}
        uses = Uses(
            modalities={name: called for name, called in names.items() if called} | kept,
            labels=said[f"{place}_labels"],
            names=said[f"{place}_names"],
        )
        changed(digest, found, uses)

    with st.form(place, border=False):
        _choice("Labels", single, found.uses.labels, f"{place}_labels")
        _choice("Names of the rows", single, found.uses.names, f"{place}_names")
        st.markdown("**Modalities** :small[by the name that each shall have; without one it is left out]")
        for at, column in enumerate(blocks[:CHANGED]):
            st.text_input(
                f"{plain(column.name)}, {_shape(column)}",
                value=found.uses.modalities.get(column.name, ""),
                key=f"{place}_{at}",
                placeholder="left out",
                max_chars=32,
            )
        st.form_submit_button("Read it so", icon=":material/check:", on_click=send)


def _choice(label: str, columns: Sequence[str], chosen: str, key: str) -> None:
    options = ["", *columns]
    st.selectbox(label, options, index=options.index(chosen), format_func=lambda name: name or "none", key=key)


def _shape(column: Column) -> str:
    if column.form == "vector":
        return f"{column.rows:,} × {column.width:,}"
    return f"{column.rows:,} " + (f"pictures of {column.why}" if column.form == "image" else "texts")
