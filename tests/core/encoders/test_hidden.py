"""An encoder taken apart at a hidden layer, and the joint encoder over several modalities."""

import pytest
import torch
from torch import nn

from core.encoders.bags import Bag, unpacked
from core.encoders.cnn import CNN
from core.encoders.deep_sets import DeepSets
from core.encoders.free import Free
from core.encoders.hidden import hidden_layers, split
from core.encoders.joint import build_joint
from core.encoders.linear import Linear
from core.encoders.mlp import MLP
from core.encoders.registry import build
from core.encoders.text import Text

NETWORKS = {
    "mlp": (MLP(depth=3, width=8), (5,), 3),
    "cnn": (CNN(depth=2, width=4), (3, 8, 8), 2),
    "text": (Text(depth=1, buckets=64, width=8), (64,), 1),
    "text without layers": (Text(depth=0, buckets=64), (64,), 0),
    "linear": (Linear(), (5,), 0),
    "free": (Free(), (5,), 0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_hidden_layers_are_counted_and_both_parts_together_are_the_network(name: str):
    p, shape, layers = NETWORKS[name]
    network = build(p, shape, 4, 0, "tower").eval()
    assert hidden_layers(network) == layers
    x = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0))
    for layer in range(layers + 1):
        front, back = split(network, layer)
        assert torch.equal(back(front(x)), network(x))
        assert layer == 0 or isinstance(list(front)[-1], nn.GELU)


def test_a_network_of_bags_is_split_before_its_mean():
    g = torch.Generator().manual_seed(0)
    x = Bag(torch.randn(6, 3, 5, generator=g), torch.arange(3) < torch.tensor([3, 1, 2, 3, 2, 1])[:, None]).packed()
    network = build(DeepSets(depth=2, width=8), (3, 6), 4, 0, "tower").eval()
    assert hidden_layers(network) == 2
    for layer in range(3):
        front, back = split(network, layer)
        assert front(x).shape == (6, 3, 1 + (5 if layer == 0 else 8))
        assert torch.allclose(unpacked(back(front(x))).mean(), network(x), atol=1e-6)


@pytest.mark.parametrize(("p", "shape"), [(MLP(depth=2, width=8), (5,)), (DeepSets(depth=2, width=8), (3, 6))])
def test_the_parts_share_the_weights(p, shape):
    network = build(p, shape, 4, 0, "tower")
    front, back = split(network, 1)
    assert {id(p) for part in (front, back) for p in part.parameters()} == {id(p) for p in network.parameters()}


def test_a_joint_encoder_sees_every_modality_and_depends_on_seed_and_names_alone():
    parts = {"left": (MLP(width=8), (5,)), "right": (Linear(), (3,))}
    first = build_joint(parts, 4, seed=0)
    torch.rand(3)
    again, other = build_joint(parts, 4, seed=0), build_joint(parts, 4, seed=1)
    x = {"left": torch.ones(6, 5), "right": torch.ones(6, 3)}
    out = first(x)
    assert out.shape == (6, 4)
    assert torch.equal(out, again(x))
    assert not torch.equal(out, other(x))
    for name in x:
        assert not torch.equal(out, first(x | {name: 2 * x[name]}))
