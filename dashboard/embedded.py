"""What a checkpoint embeds, computed once for each file and data set."""

from dataclasses import dataclass

import streamlit as st

from core.checkpoints import extras
from core.checkpoints.embedding import Embedded, Fit, embed
from core.checkpoints.families import recognise
from core.checkpoints.inferred import fits
from core.checkpoints.opened import open_checkpoint
from core.data.loading import load
from core.data.npz import Npz
from core.diagnostics.embedding_health import of_items
from core.home import home
from core.params import Params
from core.refusal import Refusal
from dashboard.health import Health, of_network

FILES, LARGEST = 6, 50_000_000


@dataclass(frozen=True)
class Seen:
    """The embeddings of a data set by a checkpoint, and their health."""

    found: Embedded
    health: Health


def files() -> tuple[Params, ...]:
    """The user's files that were added last, but for very large ones."""
    found = [file for file in (home() / "data").glob("*.npz") if file.stat().st_size <= LARGEST]
    kept = sorted(found, key=lambda file: -file.stat().st_mtime)
    return tuple(Npz(digest=file.stem) for file in kept[:FILES])


def fitting(key: str) -> dict[str, Fit]:
    """Digest of a data set -> how a checkpoint fits it; empty where another library has to build its network.

    Raises:
        Refusal: if neither the core nor a library that is known can build it, saying what is needed.
    """
    open_checkpoint(key)
    return _fitting(key, files())


@st.cache_resource(max_entries=16, show_spinner="Looking for data that fits ...")
def _fitting(key: str, brought: tuple[Params, ...]) -> dict[str, Fit]:
    checkpoint = open_checkpoint(key)
    try:
        return {load(each.recipe.data).digest: each for each in fits(checkpoint, brought)}
    except Refusal:
        if extras.needed(recognise(checkpoint)) is None:
            raise
        return {}


def on(key: str, digest: str) -> Seen:
    """The embeddings of a data set that a checkpoint fits; of built-in ones where another library runs it.

    Args:
        key: of the checkpoint.
        digest: of the data, empty for another library.

    Raises:
        Refusal: if the checkpoint is not kept any more, its embeddings are none, or a library is not installed.
    """
    open_checkpoint(key)
    return _on(key, digest, files())


@st.cache_resource(max_entries=4, show_spinner="Embedding with this checkpoint ...")
def _on(key: str, digest: str, brought: tuple[Params, ...]) -> Seen:
    checkpoint = open_checkpoint(key)
    found = embed(checkpoint, _fitting(key, brought)[digest]) if digest else extras.embed(checkpoint)
    health = of_items(found.z, found.random, found.data)
    return Seen(found, of_network(health, f"{health.items} of '{found.data.title}'"))
