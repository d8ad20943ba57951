"""Regression with a sign: how far off a predicted number is, and whether it is on the right side of 0."""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.diagnostics.arrays import Array, share, tensor
from core.diagnostics.registry import diagnostic


@dataclass(frozen=True)
class Signed:
    """How predictions agree with numbers that have a sign.

    `mae`: mean absolute error. `correlation`: Pearson's, NaN where one side does not vary. Over the `signed` items
    whose truth is not 0: `accuracy` of the sign, `f1` weighted by how many items truly have each sign, and
    `f1_released` weighted by how many are predicted to, since the released code swaps the two arguments.
    """

    mae: float
    correlation: float
    accuracy: float
    f1: float
    f1_released: float
    n: int
    signed: int


def pearson(x: Tensor, y: Tensor) -> float:
    """Pearson's correlation of two flat tensors, -1 to 1; NaN where one of them does not vary."""
    u, v = x.double() - x.double().mean(), y.double() - y.double().mean()
    length = u.norm() * v.norm()
    return float((u @ v) / length) if length > 0 else float("nan")


def weighted_f1(truth: Tensor, predicted: Tensor) -> float:
    """F1 of both classes, (n,) bool each, weighted by how often the first argument has each; 0 for one never met."""
    total = 0.0
    for positive in (False, True):
        true, said = truth == positive, predicted == positive
        both = float(true.sum() + said.sum())
        total += float(true.sum()) * (2 * float((true & said).sum()) / both if both else 0.0)
    return total / len(truth)


@diagnostic(
    "signed_regression",
    title="Regression with a sign",
    source="the evaluation of sentiment on CMU-MOSEI; the swapped F1: released code of So et al. 2023 (DMM)",
    papers=("dmm",),
    values="mae 0 upwards; correlation -1 to 1; accuracy and F1 0 to 1",
    chance="mae: the mean distance from the median; correlation 0; accuracy the share of the commoner sign",
)
def signed_regression(predicted: Array, truth: Array) -> Signed:
    """Error, correlation, and agreement of the signs where the truth has one.

    Args:
        predicted: (n,) numbers; one above 0 is predicted positive, any other negative.
        truth: (n,) numbers; 0 has no sign.

    Raises:
        ValueError: if they are not two equally long rows of finite numbers.
    """
    x, y = tensor(predicted), tensor(truth)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(
            f"got predictions of shape {tuple(x.shape)} for truths of shape {tuple(y.shape)}; give one for each"
        )
    if not bool((torch.isfinite(x) & torch.isfinite(y)).all()):
        raise ValueError("got NaN or infinity where finite numbers are expected; drop those items")
    has = y != 0
    right, said = y[has] > 0, x[has] > 0
    none = float("nan")
    return Signed(
        mae=float((x.double() - y.double()).abs().mean()),
        correlation=pearson(x, y),
        accuracy=share(right == said),
        f1=weighted_f1(right, said) if len(right) else none,
        f1_released=weighted_f1(said, right) if len(right) else none,
        n=len(x),
        signed=int(has.sum()),
    )
