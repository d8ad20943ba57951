"""From a run or a file to a map: which points, their places by PCA or UMAP, and how far these can be trusted."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
import torch

from core.data.registry import DataSet
from core.diagnostics.maps import COLD_EPOCHS, WARM_EPOCHS, Basis, nearest, pca
from core.diagnostics.trust import Structure, twin
from core.params import Params
from core.refusal import Refusal
from core.runs import layouts
from core.runs.layouts import Wanted, sample, sampled_trust
from core.streams import stream
from dashboard.charts.map import kept
from dashboard.opened import file_embeddings, open_run

BOTH = "both"
KEPT = 10
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Cloud:
    """The points of a map, M of them.

    `z` (M, D) unit rows; `item` (M,) rows of the data set; `part` (M,) index in `modalities`; `end` (M, D) the same
    points at the end of the run, which the axes are fitted on; `total`: points before any were left out. `key` stands
    for all of it in caches.
    """

    z: np.ndarray
    item: np.ndarray
    part: np.ndarray
    end: np.ndarray
    modalities: tuple[str, ...]
    total: int
    key: str


@dataclass(frozen=True, eq=False)
class Plane:
    """A map and its honesty.

    `kind`: pca, umap, or exact where nothing was projected. `xy` (M, 2). `kept`: share of the ten nearest that the map
    keeps. `explained`: share of the variance on the two axes of PCA. `other`: title and places of a second map of the
    same points. `shuffled`: places of the map of the shuffled twin. The last two and `structure` are None until drawn.
    """

    kind: str
    xy: np.ndarray
    trust: float
    kept: float
    explained: float = 0.0
    tiny: bool = False
    other: tuple[str, np.ndarray] | None = None
    shuffled: np.ndarray | None = None
    structure: Structure | None = None


@dataclass(frozen=True)
class Waiting:
    """What the worker still owes: keys of its requests, and why one of them failed, or an empty text."""

    keys: tuple[str, ...] = ()
    failed: str = ""


@dataclass(frozen=True, eq=False)
class Source:
    """Modality -> (N, D) embeddings of N items now and at the end, and the rows of the data set that they are."""

    now: Mapping[str, np.ndarray]
    end: Mapping[str, np.ndarray]
    items: np.ndarray
    data: DataSet


def of_run(folder: str, step: int | None) -> Source:
    """All items at the end of a run, or the recorded items at one step.

    Raises:
        Refusal: as `open_run` does, or if the recorded arrays are damaged.
    """
    run, _, data = open_run(folder)
    if step is None:
        z = run.embeddings()
        return Source(z, z, np.arange(len(data)), data)
    now, last = run.snapshot(step), run.snapshot(run.snapshots()[-1])
    return Source(_embeddings(now), _embeddings(last), now["items"], data)


def of_file(p: Params) -> Source:
    """All items of a data set whose vectors are embeddings already.

    Raises:
        Refusal: as `file_embeddings` does.
    """
    data, z = file_embeddings(p)
    return Source(z, z, np.arange(len(data)), data)


def _embeddings(snapshot: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix("z."): value for name, value in snapshot.items() if name.startswith("z.")}


def choices(source: Source) -> list[str]:
    """What can be drawn: each modality, and all of them together where they share their dimensions."""
    one_space = len({z.shape[1] for z in source.now.values()}) == 1
    return [*source.now, *([BOTH] if one_space and len(source.now) > 1 else [])]


def cloud(source: Source, modality: str) -> Cloud:
    """The points of one of the `choices`; of more than can be drawn, evenly spread ones.

    Raises:
        Refusal: if they are not finite numbers.
    """
    names = tuple(source.now) if modality == BOTH else (modality,)
    count = len(source.items)
    rows = kept(count * len(names))
    z, end = (np.concatenate([of[name] for name in names])[rows] for of in (source.now, source.end))
    if not np.isfinite(z).all():
        raise Refusal("The embeddings of this step are not finite numbers: the run diverged; choose an earlier step")
    end = end if np.isfinite(end).all() else z
    digest = hashlib.sha256(z.tobytes() + end.tobytes()).hexdigest()
    return Cloud(z, source.items[rows % count], rows // count, end, names, count * len(names), digest)


@st.cache_resource(max_entries=200, show_spinner=False)
def by_pca(key: str, _cloud: Cloud) -> Plane:
    """The map by PCA, its axes fitted at the end of the run; or the embedding itself where it has two dimensions."""
    z, end = _cloud.z, _cloud.end
    exact = z.shape[1] == 2
    basis = pca(end, dims=min(4, z.shape[1]))
    xy = z if exact else _on(basis, z)[:, :2]
    mixed = shuffled_twin(z, _cloud.part)
    shuffled = mixed if exact else _on(pca(shuffled_twin(end, _cloud.part)), mixed)
    trust = sampled_trust(z, xy)
    other = None if len(basis.explained) < 4 else ("the next two axes", _on(basis, z)[:, 2:])
    return Plane(
        kind="exact" if exact else "pca",
        xy=xy,
        trust=trust,
        kept=kept_neighbours(z, xy),
        explained=sum(basis.explained[:2]),
        other=other,
        shuffled=shuffled,
        structure=Structure(trust, sampled_trust(mixed, shuffled), exact),
    )


def shuffled_twin(z: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(M, D) the points with every column shuffled within each modality, so that a gap between these is kept."""
    mixed = np.empty_like(z)
    for index in np.unique(part):
        mixed[part == index] = twin(z[part == index], seed=int(index)).numpy()
    return mixed


def _on(basis: Basis, z: np.ndarray) -> np.ndarray:
    return basis.project(z).numpy()


def by_umap(points: Cloud, neighbours: int, min_dist: float) -> tuple[Plane | None, Waiting]:
    """The map by UMAP as far as the worker has drawn it, and what is still to come; asks for what is missing.

    At a step before the last the map starts from that of the last step, so that it stays steady. Its two companions,
    the same from random places and the shuffled twin's, are asked for once it is there.
    """
    wanted = Wanted(points.end, neighbours=neighbours, min_dist=min_dist)
    if not np.array_equal(points.z, points.end):
        last = layouts.find(layouts.ask(wanted))
        if last is None:
            return None, _owed(wanted)
        wanted = replace(wanted, x=points.z, start=last.coordinates, epochs=WARM_EPOCHS)
    main = layouts.find(layouts.ask(wanted))
    if main is None:
        return None, _owed(wanted)
    companions = _companions(wanted.key, wanted, points.part)
    other, shuffled = (layouts.find(layouts.ask(each)) for each in companions)
    plane = Plane(
        kind="umap",
        xy=main.coordinates,
        trust=main.trust,
        kept=_kept_by_umap(wanted.key, points.z, main.coordinates),
        tiny=main.tiny,
        other=None if other is None else ("from another start", other.coordinates),
        shuffled=None if shuffled is None else shuffled.coordinates,
        structure=None if shuffled is None else Structure(main.trust, shuffled.trust, exact=False),
    )
    missing = [each for each, drawn in zip(companions, (other, shuffled), strict=True) if drawn is None]
    return plane, _owed(*missing)


@st.cache_resource(max_entries=50, show_spinner=False)
def _companions(key: str, _wanted: Wanted, _part: np.ndarray) -> tuple[Wanted, Wanted]:
    """The same map from random places, and the map of the shuffled twin."""
    cold = replace(_wanted, epochs=COLD_EPOCHS)
    anywhere = torch.randn(len(cold.x), 2, generator=stream(1, "map", "start")).numpy()
    return replace(cold, start=anywhere, seed=1), replace(cold, x=shuffled_twin(cold.x, _part), start=None)


@st.cache_resource(max_entries=200, show_spinner=False)
def _kept_by_umap(key: str, _z: np.ndarray, _xy: np.ndarray) -> float:
    return kept_neighbours(_z, _xy)


def _owed(*wanted: Wanted) -> Waiting:
    """Taken from what was not found, since an answer may come in the next moment."""
    failed = {each.key: said for each in wanted if (said := layouts.failure(each.key))}
    return Waiting(tuple(each.key for each in wanted if each.key not in failed), " ".join(failed.values()))


def kept_neighbours(z: np.ndarray, xy: np.ndarray) -> float:
    """Share of the ten nearest items in all dimensions that are among the ten nearest on the map, on `sample`."""
    rows = sample(len(z))
    k = min(KEPT, len(rows) - 1)
    there, here = nearest(z[rows], k)[0], nearest(xy[rows], k)[0]
    return float((there[:, :, None] == here[:, None, :]).any(dim=2).double().mean())


def around(xy: np.ndarray, row: int, count: int) -> np.ndarray:
    """(count,) rows nearest to `row` on the map, itself first."""
    return np.argsort(((xy - xy[row]) ** 2).sum(axis=1), kind="stable")[:count]


def middle(xy: np.ndarray, rows: np.ndarray) -> int:
    """The one of these rows that lies nearest to their middle."""
    return int(rows[((xy[rows] - xy[rows].mean(axis=0)) ** 2).sum(axis=1).argmin()])


def alike(points: Cloud, row: int, count: int) -> np.ndarray:
    """(count,) rows of other items nearest to `row` in all dimensions, each item once."""
    order = np.argsort(-(points.z @ points.z[row]), kind="stable")
    items = points.item[order]
    _, first = np.unique(items, return_index=True)
    found = order[np.sort(first)]
    return found[points.item[found] != points.item[row]][:count]
