"""What the contract feeds to a loss: batches by the names of the vocabulary, and the legal params."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from core.losses.registry import LossEntry
from core.params import Domain, Params, domain
from core.streams import stream
from core.vocabulary import SMALL, VOCABULARY, Sizes

Batch = dict[str, Tensor]
MOST_COMBINATIONS = 32
TOGETHER = {"context": ("context", "other_context"), "other_context": ("context", "other_context")}


def example(name: str, seed: int, dtype: torch.dtype = torch.float64, sizes: Sizes = SMALL) -> Tensor:
    """The named input, from a stream of its own, floating ones in `dtype`."""
    value = VOCABULARY[name].make(stream(seed, "contract", name), sizes)
    return value.to(dtype) if value.is_floating_point() else value


def batches(
    entry: LossEntry, seed: int = 0, dtype: torch.dtype = torch.float64, sizes: Sizes = SMALL
) -> Iterator[Batch]:
    """The required inputs alone, with each optional one, with a margin for all anchors, and with everything.

    Optional inputs that have a meaning only `TOGETHER` come together.
    """
    needed = {name: example(name, seed, dtype, sizes) for name, required in entry.inputs.items() if required}
    extra = {name: example(name, seed, dtype, sizes) for name, required in entry.inputs.items() if not required}
    yield needed
    for names in dict.fromkeys(TOGETHER.get(name, (name,)) for name in extra):
        yield needed | {name: extra[name] for name in names}
    if "margin" in extra:
        yield needed | {"margin": extra["margin"][0]}
    if len(extra) > 1:
        yield needed | extra


def leaves(batch: Batch) -> Batch:
    """A copy whose floating inputs ask for a gradient, except those that never have one."""
    return {name: value.clone().requires_grad_(has_gradient(name, value)) for name, value in batch.items()}


def has_gradient(name: str, value: Tensor) -> bool:
    return value.is_floating_point() and not VOCABULARY[name].constant


def with_learned_ends(entry: LossEntry, p: Params, batch: Batch) -> Iterator[Batch]:
    """The batch, and the batch with the learned scalars that it holds at the ends of their ranges."""
    yield batch
    for end in ("low", "high"):
        learned = {name: getattr(scalar, end) for name, scalar in entry.learned(p).items() if name in batch}
        if learned:
            yield batch | {name: torch.tensor(value, dtype=batch[name].dtype) for name, value in learned.items()}


def knobs(entry: LossEntry) -> dict[str, Domain]:
    return {name: domain(field) for name, field in entry.params.model_fields.items() if name != "kind"}


def ends(d: Domain) -> list[Any]:
    """The extreme values of a knob; an open end is approached."""
    if d.choices or d.kind is bool:
        values = list(d.choices) or [False, True]
    else:
        assert d.low is not None, "a number needs a lower and an upper bound"
        assert d.high is not None, "a number needs a lower and an upper bound"
        inside = (1 if d.kind is int else 1e-3 * (d.high - d.low)) if d.open_low else 0
        values = [d.kind(d.low + inside), d.kind(d.high)]
    return [*values, None] if d.optional else values


def extremes(entry: LossEntry) -> list[Params]:
    """Params at the ends of all their ranges together, or of one range at a time where that would be too many."""
    by_name = {name: ends(d) for name, d in knobs(entry).items()}
    together = list(itertools.islice(itertools.product(*by_name.values()), MOST_COMBINATIONS + 1))
    if len(together) <= MOST_COMBINATIONS:
        return [entry.params(**dict(zip(by_name, values, strict=True))) for values in together]
    return [entry.params(**{name: value}) for name, values in by_name.items() for value in values]


def legal(entry: LossEntry) -> st.SearchStrategy[Params]:
    """Any legal params."""

    def values(d: Domain) -> st.SearchStrategy[Any]:
        if d.choices or d.kind is bool:
            return st.sampled_from(ends(d))
        low, *_, high = ends(d)[:2]
        number = st.integers(low, high) if d.kind is int else st.floats(low, high, allow_subnormal=False)
        return st.none() | number if d.optional else number

    return st.builds(entry.params, **{name: values(d) for name, d in knobs(entry).items()})


def hard(batch: Batch) -> Mapping[str, Batch]:
    """Batches at which arithmetic breaks first: embeddings or scores equal, embeddings opposite, and a single class."""
    embeddings = [name for name in batch if VOCABULARY[name].meaning.startswith("embedding")]
    if not embeddings:
        level = {
            name: value.flatten()[:1].expand_as(value) for name, value in batch.items() if has_gradient(name, value)
        }
        return {"as drawn": batch, "all equal": batch | level}
    one = batch[embeddings[0]][(0,) * (batch[embeddings[0]].ndim - 1)]

    def filled(name: str, sign: Tensor) -> Tensor:
        value = batch[name]
        return one * sign.to(value.dtype).reshape(-1, *[1] * (value.ndim - 1)) * torch.ones_like(value)

    same = {name: filled(name, torch.ones(1)) for name in embeddings}
    opposite = {name: filled(name, torch.tensor([-1, 1]).repeat(len(batch[name]))[::2]) for name in embeddings}
    found = {
        "as drawn": batch,
        "collapsed": batch | same,
        "items opposite": batch | opposite,
    }
    if "b" in batch:
        found["positives opposite"] = batch | same | {"b": -same["b"]}
    if "labels" in batch:
        found["one class"] = batch | {"labels": torch.zeros_like(batch["labels"])}
    return found
