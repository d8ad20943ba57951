"""A guard for the meta device, where nothing is computed and a tensor of another device gives itself away."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class OnlyMeta(TorchDispatchMode):
    """Refuses every operation that touches a tensor elsewhere."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, out)):
            assert not isinstance(leaf, Tensor) or leaf.device.type == "meta", f"{func} touches a {leaf.device} tensor"
        return out
