"""Hidden layers of an encoder: how many there are, and the network before and after one."""

from torch import nn

from core.encoders.deep_sets import OnMembers, Pooled


def _ends(network: nn.Module) -> list[int]:
    """Where each hidden layer ends: behind its nonlinearity, before its dropout."""
    parts = list(network) if isinstance(network, nn.Sequential) else []
    return [place + 1 for place, part in enumerate(parts) if isinstance(part, nn.GELU)]


def hidden_layers(network: nn.Module) -> int:
    """How many hidden layers a network has; none where it is a single map."""
    return len(_ends(network.members.each if isinstance(network, Pooled) else network))


def split(network: nn.Module, layer: int) -> tuple[nn.Module, nn.Module]:
    """The network up to its hidden layer `layer` (from 1; 0 is the input) and from there on, with shared weights.

    A network of bags is split before its mean: both parts map packed bags to packed bags.
    """
    if isinstance(network, Pooled):
        front, back = split(network.members.each, layer)
        return OnMembers(front), OnMembers(back)
    if not layer:
        return nn.Identity(), network
    assert isinstance(network, nn.Sequential)
    end = _ends(network)[layer - 1]
    return network[:end], network[end:]
