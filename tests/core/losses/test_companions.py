"""The networks that make inputs of losses, against slow loops in plain Python with their own weights."""

import math

import pytest
import torch
from torch import Tensor, nn

from core.losses.amcl import Heads
from core.losses.centres import Centres
from core.losses.hydra_simlap import Gates
from core.losses.mclrec import Augmenters
from tests.core.losses.batches import example

Row = list[float]
D = 5


def exact(network: nn.Module) -> nn.Module:
    """In float64, with every weight and every shift drawn, so that none of them is a 0 or a 1 that hides a fault."""
    g = torch.Generator().manual_seed(3)
    network = network.double()
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(torch.randn(weights.shape, generator=g, dtype=torch.float64))
    return network


def linear(layer: nn.Linear, x: Row) -> Row:
    shift = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    return [
        sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(layer.weight.tolist(), shift, strict=True)
    ]


def relu(x: Row) -> Row:
    return [max(v, 0.0) for v in x]


def gelu(x: Row) -> Row:
    return [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x]


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def unit(x: Row) -> Row:
    length = math.sqrt(sum(v * v for v in x))
    return [v / length for v in x]


def over_the_batch(layer: nn.BatchNorm1d, rows: list[Row]) -> list[Row]:
    columns = []
    for column, weight, shift in zip(zip(*rows, strict=True), layer.weight.tolist(), layer.bias.tolist(), strict=True):
        mean = sum(column) / len(column)
        variance = sum((v - mean) ** 2 for v in column) / len(column)
        columns.append([weight * (v - mean) / math.sqrt(variance + layer.eps) + shift for v in column])
    return [list(row) for row in zip(*columns, strict=True)]


def equal(found: Tensor, slow: object) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(slow, dtype=torch.float64), rtol=1e-9, atol=1e-10)


def test_centres_are_unit_vectors_along_their_directions():
    network = exact(Centres(4, D))
    equal(network({})["proxies"], [unit(row) for row in network.directions.tolist()])


@pytest.mark.parametrize("resting", [False, True])
@pytest.mark.parametrize("fuse", [True, False])
def test_a_gate_is_made_from_both_classes_and_normalised_over_the_batch(fuse: bool, resting: bool):
    network = exact(Gates(4, D, fuse))
    labels, partners = example("labels", 0), example("partner_labels", 1)
    _, first, wide, _, second, last = network.layers
    each = network.classes.weight.tolist()

    def through(rows: list[Row]) -> list[Row]:
        rows = [linear(wide, row) for row in over_the_batch(first, [relu(row) for row in rows])]
        rows = over_the_batch(second, [relu(row) for row in rows])
        return [[sigmoid(v) for v in linear(last, row)] for row in rows]

    own, other = ([each[k] for k in classes.tolist()] for classes in (labels, partners))
    if fuse:
        slow = through([[(u + v) / 2 for u, v in zip(*pair, strict=True)] for pair in zip(own, other, strict=True)])
    else:
        pairs = zip(through(own), through(other), strict=True)
        slow = [[u * v for u, v in zip(*pair, strict=True)] for pair in pairs]
    made = network.train(not resting)({"labels": labels, "partner_labels": partners})["gate"]
    equal(made, slow)
    turned = network({"labels": partners, "partner_labels": labels})["gate"]
    torch.testing.assert_close(turned, made)


def test_heads_see_both_sides_alike_and_every_pair_has_its_temperature_under_each():
    network = exact(Heads(3, D, 0.05, 2.0))
    a, b = example("a", 0), example("b", 1)
    made = network({"a": a, "b": b})
    sides = {}
    for name, side in (("heads", a), ("other_heads", b)):
        sides[name] = [
            [unit(linear(head[2], relu(linear(head[0], row)))) for row in side.tolist()] for head in network.heads
        ]
        equal(made[name], sides[name])
    slow = []
    for own, other in zip(sides["heads"], sides["other_heads"], strict=True):
        slow.append([])
        for x in own:
            hidden = [
                relu([u + v for u, v in zip(linear(network.own, x), linear(network.other, y), strict=True)])
                for y in other
            ]
            slow[-1].append([0.05 + 1.95 * sigmoid(linear(network.last, h)[0]) for h in hidden])
    equal(made["pair_temperatures"], slow)


def test_the_hidden_layer_of_the_temperatures_is_one_layer_of_both_sides_together():
    network = exact(Heads(1, D, 0.05, 2.0))
    a, b = example("a", 0), example("b", 1)
    made = network({"a": a, "b": b})
    whole = nn.Linear(2 * D, D).double()
    with torch.no_grad():
        whole.weight.copy_(torch.cat([network.own.weight, network.other.weight], dim=1))
        whole.bias.copy_(network.own.bias)
    pairs = torch.cat([made["heads"][0][:, None].expand(-1, 6, -1), made["other_heads"][0][None].expand(6, -1, -1)], -1)
    by_hand = 0.05 + 1.95 * torch.sigmoid(network.last(torch.relu(whole(pairs))))[..., 0]
    torch.testing.assert_close(made["pair_temperatures"][0], by_hand)


@pytest.mark.parametrize("dimensions", [D, 64])
def test_each_augmenter_narrows_twice_and_comes_back_on_the_sphere(dimensions: int):
    network = exact(Augmenters(dimensions))
    given = {name: example(name, 0, sizes={"B": 6, "D": dimensions}) for name in ("a", "b")}
    made = network(given)
    for layers, own, out in ((network.first, "a", "augmented"), (network.second, "b", "other_augmented")):
        down, narrow, up = layers[0], layers[2], layers[4]
        assert [down.out_features, narrow.out_features] == [dimensions // 2, dimensions // 4]
        slow = [unit(linear(up, gelu(linear(narrow, gelu(linear(down, row)))))) for row in given[own].tolist()]
        equal(made[out], slow)
