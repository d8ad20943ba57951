"""Every procedure makes the same of tensors on another device, and makes it there."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.procedures.registry import PROCEDURES, ProcedureEntry
from core.streams import stream
from tests.core.elsewhere import Far, elsewhere, here, there

N, D = 12, 4


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=stream(seed, "devices"), dtype=torch.float64)


def share(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=stream(seed, "devices"), dtype=torch.float64)


def order(*shape: int) -> Tensor:
    return share(*shape).argsort(dim=-1)


def graph(shift: int = 1) -> Tensor:
    ring = torch.eye(N, dtype=torch.float64).roll(shift, 0)
    return ring + ring.T


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(normal(*shape, seed=seed), dim=-1)


EXAMPLES: Mapping[str, Callable[[], Any]] = {
    "a": lambda: unit(N, D),
    "b": lambda: unit(N, D, seed=1),
    "bank": lambda: unit(N, D),
    "biases": lambda: (normal(5), normal(D)),
    "candidates": lambda: normal(2, 3, D, seed=1),
    "clusters": lambda: torch.arange(N) // 3,
    "community": lambda: torch.arange(N) // 4,
    "counts": lambda: torch.tensor([9, 4, 6, 2]),
    "covariances": lambda: normal(4, 9, D).mT @ normal(4, 9, D),
    "context": lambda: normal(2, 5, D),
    "correlation": lambda: normal(9, D).T @ normal(9, D),
    "distance": lambda: share(N, 3),
    "draws": lambda: share(N),
    "dropped": graph,
    "edges": lambda: graph().triu().nonzero().T,
    "factor": lambda: 0.8 + share(N),
    "features": lambda: normal(N, D),
    "graph": lambda: graph() + graph(2),
    "kept": lambda: normal(9, D, seed=1).T @ normal(9, D, seed=1),
    "labels": lambda: torch.arange(N) // 3,
    "means": lambda: normal(4, D),
    "order": lambda: order(N),
    "orders": lambda: order(2, D),
    "other": lambda: normal(N, D, seed=1),
    "other_sequence": lambda: normal(3, 10, D, seed=1),
    "partner": lambda: order(N),
    "patches": lambda: normal(2, 16, D),
    "positions": lambda: 80 * (share(N, 2) - 0.5),
    "positive_share": lambda: share(N, seed=1),
    "predictor": lambda: share(D),
    "probability": lambda: share(2, 3),
    "prototypes": lambda: normal(3, D),
    "queries": lambda: normal(N, D, seed=1),
    "ratio": lambda: share(D, seed=2),
    "sequence": lambda: normal(3, 10, D),
    "share": lambda: share(N),
    "strength": lambda: share(N),
    "stretch": lambda: 1 + share(N, D),
    "targets": lambda: share(N, 3),
    "variance": lambda: share(D, seed=1),
    "views": lambda: normal(2, N, D),
    "visited": lambda: normal(7, D, seed=1),
    "weights": lambda: (normal(5, D), normal(D, 5)),
    "x": lambda: normal(N, D),
    "z": lambda: unit(N, D),
}
OF_ONE: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "class_samples": {"draws": lambda: normal(4, 5, D)},
    "community_attribute_mask": {"draws": lambda: share(D)},
    "community_edge_drop": {"draws": lambda: share(N, N)},
    "cumulative_labels": {"stages": lambda: torch.stack([torch.arange(N) // 3, torch.arange(N) % 4])},
    "negative_interpolation": {"share": lambda: share(N, D)},
    "neighbour_batches": {"neighbours": lambda: share(N, N).argsort()[:, :8], "draws": lambda: share(N, 8)},
    "supremix_mixtures": {
        "targets": lambda: normal(N).round(),
        "share": lambda: share(N, N),
        "order": lambda: share(N, N, seed=1),
    },
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "cluster_batches": {"batch": 2},
    "cumulative_labels": {"clusters": 4},
    "k_means": {"clusters": 3},
    "nearest_counterparts": {"k": 3},
    "nearest_places": {"k": 3},
    "neighbour_batches": {"batch": 4, "select": 4},
    "subclasses": {"clusters": 2},
}


def arguments(entry: ProcedureEntry) -> dict[str, Any]:
    makers = {**EXAMPLES, **OF_ONE.get(entry.key, {})}
    unknown = [name for name in entry.inputs if name not in makers]
    assert not unknown, f"give {entry.key} an example of {', '.join(unknown)}"
    return {name: makers[name]() for name in entry.inputs}


@pytest.mark.parametrize("entry", list(PROCEDURES), ids=lambda entry: entry.key)
def test_makes_the_same_of_tensors_on_another_device(entry: ProcedureEntry):
    known = {name: value for name, value in SETTINGS.get(entry.key, {}).items() if name in entry.params.model_fields}
    given, p = arguments(entry), entry.params(**known)
    expected = entry.call(**given, p=p)
    with elsewhere():
        found = entry.call(**there(given), p=p)
    several = found if isinstance(found, tuple) else (found,)
    assert all(isinstance(x, Far) for x in several)
    torch.testing.assert_close(here(found), expected, rtol=1e-9, atol=1e-12, equal_nan=True)
    assert all(x.near.numel() for x in several)
