"""The registry of encoders, and how one is built with weights that depend on its address alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from core.data.registry import Form, Modality
from core.params import Params
from core.registry import Entry, Origin, Registry
from core.streams import drawing_from


class Prepare(Protocol):
    """A modality -> (N, ...) float32: what the network eats, computed once and kept on the device."""

    def __call__(self, modality: Modality, p: Any) -> Tensor: ...


def as_it_is(modality: Modality, p: Any) -> Tensor:
    """The values themselves."""
    assert isinstance(modality.values, Tensor)
    return modality.values


@dataclass(frozen=True)
class EncoderEntry(Entry):
    """An `Entry` whose `call` makes the network: (params, shape of one prepared item, output dimension) -> module.

    The module maps (n, *shape) to (n, dim), not normalised. One of bags is a `core.encoders.deep_sets.Pooled`.
    """

    call: Callable[[Any, tuple[int, ...], int], nn.Module]
    forms: tuple[Form, ...] = ()
    prepare: Prepare = as_it_is


ENCODERS: Registry[EncoderEntry] = Registry("encoder", "core.encoders")


def encoder(
    params: type[Params],
    *,
    title: str,
    source: str,
    forms: tuple[Form, ...],
    prepare: Prepare = as_it_is,
    origin: Origin = "designed",
) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Register an encoder under the `kind` of its params, for modalities of the given `forms`."""

    def register(call: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        ENCODERS.add(
            EncoderEntry(
                title=title, params=params, call=call, source=source, origin=origin, forms=forms, prepare=prepare
            )
        )
        return call

    return register


def build(p: Params, shape: tuple[int, ...], dim: int, seed: int, tower: str) -> nn.Module:
    """An encoder whose initial weights depend on the seed and the name of its tower, and on nothing drawn before."""
    with drawing_from(seed, "weights", tower):
        return ENCODERS.of(p).call(p, shape, dim)
