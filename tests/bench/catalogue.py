"""Every registered loss forward and backward at N = 1024, D = 128, in float32, against the limit of `losses.limit`.

N counts the pairs that come in, or, where a loss is not of pairs, what its anchors are: the members of all bags, the
steps of all sequences, the regions of all maps. A bank, and the candidates of a query, are N as well.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.registry import LOSSES, LossEntry
from core.streams import stream
from core.vocabulary import VOCABULARY, Sizes
from tests.bench.losses import limit
from tests.bench.paired import ratio

N, D, SEVERAL = 1024, 128, 16
GOAL = 6
PAIRS: Sizes = {"A": N, "B": N, "C": 2, "D": D, "K": N, "M": 2, "N": N, "Q": N, "V": 2}
WITHIN: Sizes = PAIRS | {"B": N // SEVERAL, "N": SEVERAL, "T": SEVERAL, "n": SEVERAL}


def sizes(entry: LossEntry) -> Sizes:
    """How large the inputs of a loss are for N anchors."""
    symbols = {symbol for name in entry.needed for symbol in VOCABULARY[name].shape.split()}
    if symbols & {"H", "W"}:
        return WITHIN | {"C": D, "H": 8, "W": 8, "N": 2, "K": SEVERAL}
    if symbols & {"n", "T"}:
        return WITHIN
    several = {"K": SEVERAL} if "negatives" in entry.needed else {}
    return PAIRS | {"M": entry.fewest, "V": entry.fewest} | several


def inputs(entry: LossEntry) -> dict[str, Tensor]:
    """What the loss has to be handed, floating ones in float32, those that may move as leaves."""
    given = {}
    for name in entry.needed:
        value = VOCABULARY[name].make(stream(0, "bench", name), sizes(entry))
        moving = value.is_floating_point() and not VOCABULARY[name].constant
        given[name] = value.float().requires_grad_(moving) if value.is_floating_point() else value
    return given


def step(entry: LossEntry, given: dict[str, Tensor]) -> None:
    """One forward and backward, from what is to be normalised as in the limit, draws and mined places included."""
    units = {
        name: F.normalize(value, dim=-1) if value.requires_grad and VOCABULARY[name].shape[-1] == "D" else value
        for name, value in given.items()
    }
    p = entry.params()
    paid = entry.pay(units, p, stream(0, "bench", "plan"))
    leaves = [value for value in given.values() if value.requires_grad]
    torch.autograd.grad(paid.total(), leaves, allow_unused=True)


def run(keys: tuple[str, ...] = ()) -> list[tuple[str, float, str]]:
    torch.set_num_threads(1)
    g = stream(0, "bench", "losses")
    x, y = (torch.randn(N, D, generator=g) for _ in "xy")
    found = []
    for entry in LOSSES:
        if not keys or entry.key in keys:
            given = inputs(entry)
            times = ratio(lambda e=entry, v=given: step(e, v), lambda: limit(x, y))
            found.append((f"{entry.key} / limit", times, f"<= {GOAL}"))
            print(found[-1], flush=True)
    return found
