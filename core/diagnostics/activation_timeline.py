"""The timeline of activations: which steps of a sequence stand out, and whether those are the ones that matter."""

import math
from dataclasses import dataclass

from torch import Tensor

from core.diagnostics.arrays import Array, integers, tensor
from core.diagnostics.registry import diagnostic
from core.procedures.activation import SOURCE, Activation, activation


@dataclass(frozen=True)
class Timeline:
    """The activation of each step, (B, T), and how well it ranks the bursts; NaN where no sequence has one.

    `precision` and `chance` are means over the sequences that have a burst: average precision, and what an order
    drawn at random is expected to reach.
    """

    activation: Tensor
    precision: float
    chance: float


@diagnostic(
    "activation_timeline",
    title="Timeline of activations",
    source=SOURCE,
    origin="designed",
    papers=("rasl_highlight",),
    values="above 0, to 1 where the steps in bursts are the strongest; their share where all are level",
    chance="by the number of steps and of those in bursts: somewhat above their share",
)
def activation_timeline(sequence: Array, bursts: Array) -> Timeline:
    """Average precision of the activations, as a ranking of the steps, for the steps that lie in bursts.

    Steps of one activation share a rank, and the precision there counts all of them.

    Args:
        sequence: (B, T, D) features of each step, of any length.
        bursts: (B, T) whether a step lies in a burst.

    Raises:
        ValueError: if the steps and the bursts differ in number.
    """
    level = activation(tensor(sequence), Activation()).double()
    true = integers(bursts, level).bool()
    if true.shape != level.shape:
        raise ValueError(f"got steps {tuple(level.shape)} and bursts {tuple(true.shape)}; give each step one mark")
    reached = level[:, None, :] >= level[:, :, None]
    precision = (reached & true[:, None, :]).sum(dim=2).double() / reached.sum(dim=2)
    count = true.sum(dim=1)
    found = (precision * true).sum(dim=1)[count > 0] / count[count > 0]
    expected = [by_chance(level.shape[1], n) for n in count[count > 0].tolist()]
    if not expected:
        return Timeline(level, math.nan, math.nan)
    return Timeline(level, float(found.mean()), sum(expected) / len(expected))


def by_chance(steps: int, positives: int) -> float:
    """The mean average precision over all orders of `steps`, of which `positives` >= 1 count."""
    harmonic = sum(1 / rank for rank in range(1, steps + 1)) / steps
    return harmonic + (positives - 1) / max(steps - 1, 1) * (1 - harmonic)
