"""Another device without a GPU: tensors that say they are on `meta`, hold numbers, and meet no tensor of the CPU."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

THERE, CPU = torch.device("meta"), torch.device("cpu")
aten = torch.ops.aten
MOVES = (aten._to_copy, aten.copy_)
INDEXES = (aten.index, aten.index_put, aten.index_put_)
FROM_LISTS = (torch.tensor, torch.as_tensor, Tensor.new_tensor)


class Far(Tensor):
    """A tensor over there; `near` holds its numbers for the operations, which the code under test cannot know."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> "Far":
        shape = {"strides": near.stride(), "storage_offset": near.storage_offset()}
        found = Tensor._make_wrapper_subclass(cls, near.shape, dtype=near.dtype, device=THERE, **shape)
        found.near = near
        return found

    def tolist(self) -> Any:
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Dispatched(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _FromLists(TorchFunctionMode):
    """What is made of a Python list bypasses the dispatcher."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        asked = options.get("device") or (args[0].device if func is Tensor.new_tensor else None)
        listed = args[-1] if args else None
        if func in FROM_LISTS and asked is not None and torch.device(asked) == THERE and not isinstance(listed, Tensor):
            dtype = args[0].dtype if func is Tensor.new_tensor else None
            return there(torch.tensor(listed, **{"dtype": dtype, **options, "device": CPU}))
        return func(*args, **options)


@contextmanager
def elsewhere() -> Iterator[None]:
    """What is made on that device is far, and an operation that mixes both sides is refused, as by a GPU.

    A CPU tensor without dimensions counts as a number, and an index may be on the CPU: a GPU takes both.
    """
    with _FromLists(), _Dispatched():
        yield


def there(value: Any) -> Any:
    """The same with every tensor in it far."""
    return _each(value, lambda x: x if isinstance(x, Far) else Far(x))


def here(value: Any) -> Any:
    """The same with every far tensor in it back."""
    return _each(value, lambda x: x.near if isinstance(x, Far) else x)


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`change` of every tensor in lists, tuples, mappings and dataclasses."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _each(getattr(value, f.name), change) for f in fields(value) if f.init})
    if isinstance(value, Mapping):
        return {name: _each(x, change) for name, x in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_each(x, change) for x in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return change(value) if isinstance(value, Tensor) else value


def _computed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    far = {id(x.near): x for x in given if isinstance(x, Far)}
    if far and func.overloadpacket not in MOVES:
        free = given[1:] if func.overloadpacket in INDEXES else []
        near = [x for x in given if x.ndim and not isinstance(x, Far) and not any(x is index for index in free)]
        assert not near, f"{func} mixes a tensor of another device with one of the CPU"
    stays = bool(far)
    if func.overloadpacket is aten.copy_:
        stays = isinstance(args[0], Far)
    elif kwargs.get("device") is not None:
        stays, kwargs = torch.device(kwargs["device"]) == THERE, {**kwargs, "device": CPU}
    found = func(*here(args), **here(kwargs))
    return _each(found, lambda x: far[id(x)] if id(x) in far else Far(x)) if stays else found
