"""A checkpoint as Inspect shows it, computed once for each file."""

import streamlit as st

from core.checkpoints import fence
from core.checkpoints.opened import open_checkpoint
from core.checkpoints.report import Report, report
from core.checkpoints.spectra import Spectrum, spectrum
from core.checkpoints.weights import TensorStats

BRANCHES = 12


def looked_into(key: str, other: str = "") -> Report:
    """All that is told of a checkpoint, and of how far another one is from it.

    Raises:
        Refusal: if a checkpoint is not kept any more.
    """
    for each in filter(None, (key, other)):
        open_checkpoint(each)
    return _report(key, other)


@st.cache_resource(max_entries=8, show_spinner="Reading the weights ...")
def _report(key: str, other: str) -> Report:
    return report(open_checkpoint(key), open_checkpoint(other) if other else None)


@st.cache_resource(max_entries=64, show_spinner=False)
def spectrum_of(key: str, name: str) -> Spectrum:
    """The singular values of one tensor.

    Raises:
        Refusal: if it has none, or too many.
    """
    return spectrum(open_checkpoint(key), name)


def title(key: str) -> str:
    """What the user's file was called, with the first letters of its hash."""
    return f"{fence.name_of(key)} · {key[:4]}"


def branches(tensors: tuple[TensorStats, ...]) -> dict[str, tuple[TensorStats, ...]]:
    """The tensors by the first part of their names in which they differ; the smallest branches together where many."""
    depth = 0
    parts = [each.name.split(".") for each in tensors]
    while len({tuple(row[: depth + 1]) for row in parts}) == 1 and min(map(len, parts)) > depth + 1:
        depth += 1
    found: dict[str, list[TensorStats]] = {}
    for row, each in zip(parts, tensors, strict=True):
        found.setdefault(".".join(row[: depth + 1]), []).append(each)
    if len(found) <= BRANCHES:
        return {name: tuple(inside) for name, inside in found.items()}
    large = sorted(found, key=lambda name: -sum(each.numel for each in found[name]))[: BRANCHES - 1]
    kept = {name: tuple(inside) for name, inside in found.items() if name in large}
    rest = tuple(each for name, inside in found.items() if name not in large for each in inside)
    return kept | {f"{len(found) - len(large)} others": rest}
