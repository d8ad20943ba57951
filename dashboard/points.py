"""Where everything stands: a circle in two dimensions, a sphere in three, else a plane along two fixed directions."""

from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from core.data.registry import DataSet
from core.diagnostics.maps import Basis, pca
from core.recipe import Recipe
from dashboard.charts.chart import Chart
from dashboard.charts.circle import circle
from dashboard.charts.plane import plane
from dashboard.charts.sphere import sphere
from dashboard.lab import Frame
from dashboard.thumbnails import urls

SHOWN = 64


def thumbnails(data: DataSet, items: np.ndarray) -> list[str] | None:
    """Addresses of the items' pictures, or None where the data has none."""
    if data.thumbnails is None:
        return None
    pictures = data.thumbnails
    return urls(data.digest[:16], items.tolist(), lambda: pictures)


@st.cache_resource(max_entries=32, show_spinner=False)
def _basis(run: str, step: int, _last: Frame) -> Basis:
    """The two leading directions of a run's newest frame; both halves of the pairs count."""
    return pca(torch.from_numpy(np.concatenate([_last.a, _last.b])))


def _flat(basis: Basis, z: np.ndarray) -> np.ndarray:
    """(n, 2) projections about the origin of the sphere, so that they are never longer than 1."""
    return (torch.from_numpy(z).to(basis.axes.dtype) @ basis.axes).numpy()


@lru_cache(maxsize=200)
def _on_circle(data: DataSet, now: Frame) -> Chart:
    items = now.items[:SHOWN]
    return circle(
        now.a[:SHOWN],
        now.b[:SHOWN],
        urls=thumbnails(data, items),
        mixed=None if now.mixed is None else now.mixed[:SHOWN],
        names=[data.names[i] for i in items],
        classes=data.labels[items].numpy(),
    )


def picture(recipe: Recipe, data: DataSet, run: str, now: Frame, last: Frame) -> tuple[Chart, str]:
    """The chart of a frame, and what it shows of the embedding in words.

    Args:
        recipe: of the run.
        data: of the run.
        run: name of the run, or of the untrained network.
        now: the frame at the cursor.
        last: the newest frame, whose directions hold the picture steady while scrubbing.
    """
    items = now.items[:SHOWN]
    some = f" {len(items)} of {len(now.items)} are drawn." if len(items) < len(now.items) else ""
    if now.a.shape[1] == 2:
        return _on_circle(data, now), some
    a, b = now.a[:SHOWN], now.b[:SHOWN]
    mixed = None if now.mixed is None else now.mixed[:SHOWN]
    names, labels = [data.names[i] for i in items], data.labels[items].numpy()
    if a.shape[1] == 3:
        return sphere(a, b, mixed=mixed, names=names, classes=labels), some
    basis = _basis(run, last.step, last)
    flat = plane(
        _flat(basis, a),
        _flat(basis, b),
        urls=thumbnails(data, items),
        mixed=None if mixed is None else _flat(basis, mixed),
        names=names,
    )
    return flat, f" Two of {a.shape[1]} directions are drawn.{some}"
