"""Every diagnostic says the same of tensors on another device as of those on the CPU."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor

from core.diagnostics import maps
from core.diagnostics.forces import forces
from core.diagnostics.mixed_gaps import Setting
from core.diagnostics.registry import DIAGNOSTICS, DiagnosticEntry
from core.diagnostics.released_margin import Users
from core.diagnostics.synthetic import synthetic
from core.losses.clip import Clip, clip
from core.paid import Paid
from core.streams import stream
from tests.core.diagnostics.clouds import unit
from tests.core.elsewhere import elsewhere, here, there

N = 12


def clouds(seed: int) -> Tensor:
    return unit(N, 5, seed, torch.float64)


def labels() -> Tensor:
    return torch.arange(N) // 3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=stream(seed, "devices"), dtype=torch.float64)


def sides(seed: int) -> dict[str, Tensor]:
    return {"image": clouds(seed), "name": clouds(seed + 1)}


EXAMPLES: Mapping[str, Callable[[], Any]] = {
    "a": lambda: clouds(1),
    "b": lambda: clouds(2),
    "z": lambda: clouds(1),
    "x": lambda: clouds(1),
    "queries": lambda: clouds(1),
    "gallery": lambda: clouds(2),
    "target": lambda: torch.arange(N).flip(0),
    "labels": labels,
    "test": lambda: clouds(3),
    "test_labels": labels,
    "sequence": lambda: unit(N, 5, 1, torch.float64).unflatten(0, (3, 4)),
    "mask": lambda: torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 1, 0]]).bool(),
    "marked": lambda: clouds(4),
    "layout": lambda: clouds(1)[:, :2],
    "predicted": lambda: normal(N),
    "truth": lambda: normal(N, seed=1),
    "yes": lambda: normal(4, 3),
    "no": lambda: normal(4, 3, seed=1),
    "record": lambda: normal(N, 5),
    "gap": lambda: torch.linspace(-1, 1, 5, dtype=torch.float64),
    "own": lambda: torch.linspace(-1, 1, 5, dtype=torch.float64),
    "other": lambda: torch.linspace(1, -1, 5, dtype=torch.float64),
    "margin": lambda: 0.2,
    "temperature": lambda: 0.1,
    "s": lambda: Setting(n=8, dim=4),
    "batch": lambda: synthetic(8, 4, 0.6, 0.2, stream(0, "devices")),
    "seed": lambda: 0,
    "start": lambda: None,
}
OF_ONE: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "missing_modalities": {
        "train": lambda: sides(1),
        "test": lambda: sides(3),
        "joint": lambda: (clouds(5), clouds(6)),
    },
    "filled_modality": {"train": lambda: sides(1), "test": lambda: sides(3), "gone": lambda: "image"},
    "twins_across": {"train": lambda: torch.cat([clouds(3)[:4], clouds(1)])},
    "recommendation": {"scores": lambda: normal(4, N), "wanted": lambda: normal(4, N, seed=1) > 0},
    "histogram": {"scores": lambda: normal(N) / 4},
    "summary": {"scores": lambda: normal(N) / 4},
    "hardness_curve": {"count": lambda: 4},
    "activation_timeline": {"bursts": lambda: torch.eye(4, dtype=torch.bool)[:3]},
    "broadcast_hinge": {"found": lambda: Users(normal(6).abs(), normal(6, seed=1).abs())},
    "pair_phase": {"lam": lambda: 0.6},
    "resting_similarity": {"lam": lambda: torch.linspace(0, 1, 5, dtype=torch.float64)},
    "little_far": {"lam": lambda: 0.6},
}
PAID = ("paid", "total", "pairs", "force")


def paid_for(a: Tensor, b: Tensor) -> dict[str, Any]:
    """What a loss makes of embeddings where they are, for the diagnostics that look at it."""
    paid: Paid = clip(a, b, Clip(temperature=0.3))
    return {"paid": paid, "total": paid.total(), "pairs": paid.pairs[0], "force": forces(paid)[0]}


def arguments(entry: DiagnosticEntry, send: Callable[[Any], Any]) -> dict[str, Any]:
    """One of each argument that has no default or is a tensor, on the device that `send` takes them to."""
    asked = inspect.signature(entry.call).parameters
    makers = {**EXAMPLES, **OF_ONE.get(entry.key, {})}
    unknown = [n for n, q in asked.items() if q.default is q.empty and n not in makers and n not in PAID]
    assert not unknown, f"give {entry.key} an example of {', '.join(unknown)}"
    found = {name: send(makers[name]()) for name in asked if name in makers}
    if looked_at := [name for name in asked if name in PAID]:
        a, b = (send(clouds(seed)).requires_grad_() for seed in (1, 2))
        found |= {"a": a, "b": b} if "a" in asked else {}
        found |= {name: value for name, value in paid_for(a, b).items() if name in looked_at}
    return found


def parts(value: Any) -> list[Any]:
    """The tensors, numbers and words that a result holds, in order."""
    if dataclasses.is_dataclass(value):
        return [x for f in dataclasses.fields(value) for x in parts(getattr(value, f.name))]
    if isinstance(value, Mapping):
        return [x for name, part in value.items() for x in [name, *parts(part)]]
    return [x for part in value for x in parts(part)] if isinstance(value, (list, tuple)) else [value]


@pytest.fixture(autouse=True)
def no_drawing_by_umap(monkeypatch: pytest.MonkeyPatch):
    """Its first drawing compiles for a minute; what it is handed has to be arrays."""
    monkeypatch.setattr(maps, "_drawn", lambda x, init, **settings: torch.from_numpy(x[:, :2] + init))


def holds_tensors(kind: Any) -> bool:
    """Whether an annotation is of tensors or arrays, or of what has them as fields."""
    if dataclasses.is_dataclass(kind):
        return any(holds_tensors(hint) for hint in get_type_hints(kind).values())
    return kind in (Tensor, np.ndarray) or any(holds_tensors(part) for part in get_args(kind))


def takes_tensors(entry: DiagnosticEntry) -> bool:
    hints = get_type_hints(entry.call)
    return any(holds_tensors(hint) for name, hint in hints.items() if name != "return")


def locked(value: Any) -> Any:
    """The same as arrays that are only read, as those of a file are."""
    if isinstance(value, Tensor):
        array = value.numpy().copy()
        array.setflags(write=False)
        return array
    if isinstance(value, Mapping):
        return {name: locked(x) for name, x in value.items()}
    return tuple(locked(x) for x in value) if isinstance(value, tuple) else value


def same(ours: Any, theirs: Any) -> None:
    both = [parts(x) for x in (ours, theirs)]
    assert len(both[0]) == len(both[1]) > 0
    for one, other in zip(*both, strict=True):
        if isinstance(other, (float, Tensor)):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)
        else:
            assert one == other


TAKERS = [entry for entry in DIAGNOSTICS if takes_tensors(entry)]
OF_ARRAYS = [e for e in TAKERS if any("ndarray" in str(hint) for hint in get_type_hints(e.call).values())]


@pytest.mark.parametrize("entry", TAKERS, ids=lambda entry: entry.key)
def test_says_the_same_of_tensors_on_another_device(entry: DiagnosticEntry):
    expected = entry.call(**arguments(entry, lambda x: x))
    with elsewhere():
        found = entry.call(**arguments(entry, there))
    same(here(found), expected)


@pytest.mark.parametrize("entry", OF_ARRAYS, ids=lambda entry: entry.key)
def test_says_the_same_of_arrays_that_cannot_be_written_to(entry: DiagnosticEntry):
    hints, given = get_type_hints(entry.call), arguments(entry, lambda x: x)
    arrays = {name: locked(x) if "ndarray" in str(hints[name]) else x for name, x in given.items()}
    same(entry.call(**arrays), entry.call(**given))


def test_what_is_left_out_reads_numbers_that_were_taken_from_tensors_before():
    left_out = {entry.key for entry in DIAGNOSTICS} - {entry.key for entry in TAKERS}
    assert {"overlap", "released_margin", "margin_left", "collapsed", "dead_margin"} <= left_out
    assert not left_out & {"histogram", "uniformity", "retrieval", "mixed_activity", "broadcast_hinge", "force"}
