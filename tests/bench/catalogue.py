"""Every registered loss forward and backward at N = 1024, D = 128, in float32, against the limit of `losses.limit`.

N counts the pairs that come in, or, where a loss is not of pairs, what is an anchor in it: the members of all bags, the
steps of all series, the places of all maps. A bank and the candidates of a query are N as well. `MORE` are the losses
whose entries say that their formulas need more than N x N scores; all others are held to the goal.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.registry import LOSSES, LossEntry
from core.streams import stream
from core.vocabulary import VOCABULARY, Sizes
from tests.bench.losses import limit
from tests.bench.paired import ratio

N, D, SEVERAL, SIDE = 1024, 128, 16, 8
GOAL = 6
TWO_VIEWS = {"align_uniform", "csgcl", "dcl", "dclw", "debiased", "hcl", "nt_xent", "pot_gcl", "sbcl", "supcon"}
TWO_VIEWS |= {"angular_triplet", "batch_hard", "circle", "lifted_structure", "multi_similarity"}
MANY_VIEWS = {"beclr", "cacr", "global_volumes", "local_global", "mv_avg", "mv_dhel", "mv_infonce", "mv_pvc", "mv_pwe"}
SEVERAL_MATRICES = {"gmc", "m3col", "mclrec", "multi_sclip", "pairwise_clip", "pdf_mim", "sepclr", "symile"}
MORE_CANDIDATES = {"lco_emb", "local_regions", "mochi", "supremix"}
MORE = TWO_VIEWS | MANY_VIEWS | SEVERAL_MATRICES | MORE_CANDIDATES
FEWER = {"supremix": 64}  # N of a loss that takes minutes at 1024


def sizes(entry: LossEntry) -> Sizes:
    """How large the inputs of a loss are for N anchors."""
    n, symbols = FEWER.get(entry.key, N), {s for name in entry.needed for s in VOCABULARY[name].shape.split()}
    found = {"A": n, "B": n, "C": 2, "D": D, "K": n, "M": entry.fewest, "N": n, "P": n, "Q": n, "V": entry.fewest}
    if symbols & {"H", "W"}:
        return found | {"B": n // SIDE**2, "C": D, "H": SIDE, "W": SIDE, "N": 2, "K": SEVERAL}
    if symbols & {"n", "T"}:
        return found | {"B": n // SEVERAL, "N": SEVERAL, "T": SEVERAL, "n": SEVERAL}
    return found | ({"K": SEVERAL} if "negatives" in entry.needed else {})


def inputs(entry: LossEntry) -> dict[str, Tensor]:
    """What the loss has to be handed, floating ones in float32, those that may move as leaves."""
    given = {}
    for name in entry.needed:
        value = VOCABULARY[name].make(stream(0, "bench", name), sizes(entry))
        moving = value.is_floating_point() and not VOCABULARY[name].constant
        given[name] = value.float().requires_grad_(moving) if value.is_floating_point() else value
    return given


def step(entry: LossEntry, given: dict[str, Tensor]) -> None:
    """Embeddings made unit vectors as in the limit, the plan, the loss, and the way back to the leaves."""
    units = {
        name: F.normalize(value, dim=-1) if value.requires_grad and VOCABULARY[name].shape[-1] == "D" else value
        for name, value in given.items()
    }
    paid = entry.pay(units, entry.params(), stream(0, "bench", "plan"))
    torch.autograd.grad(paid.total(), [z for z in given.values() if z.requires_grad], allow_unused=True)


def measured(entry: LossEntry) -> tuple[str, float, str]:
    """The name, the ratio to the limit at its N, and the goal or what it needs more."""
    n, given = FEWER.get(entry.key, N), inputs(entry)
    x, y = torch.randn(2, n, D, generator=stream(0, "bench", "losses"))
    times = ratio(lambda: step(entry, given), lambda: limit(x, y))
    return f"{entry.key} / limit, N = {n}", times, f"none: {entry.work}" if entry.key in MORE else f"<= {GOAL}"


def run() -> list[tuple[str, float, str]]:
    torch.set_num_threads(1)
    return [measured(entry) for entry in LOSSES]
