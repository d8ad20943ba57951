"""The stack of layers that several encoders end in."""

from torch import nn


def perceptron(features: int, width: int, depth: int, dropout: float, dim: int) -> list[nn.Module]:
    """`depth` hidden layers (linear, GELU, dropout) from (n, features), then a linear map to (n, dim)."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(features, width), nn.GELU(), nn.Dropout(dropout)]
        features = width
    return [*layers, nn.Linear(features, dim)]
