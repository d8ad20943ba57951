"""G1: a loss forward and backward at N = 4096, D = 128, against the limit of any loss over an N x N matrix.

The limit: normalise, one product forward, one exponential in place, two products backward, back through the
normalisation; no autograd, the matrix made once.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.info_nce import InfoNCE, info_nce
from core.losses.ranking import Ranking, ranking
from core.paid import Paid
from core.streams import stream
from tests.bench.paired import ratio

N, D = 4096, 128


def limit(x: Tensor, y: Tensor) -> None:
    long, wide = x.norm(dim=1, keepdim=True), y.norm(dim=1, keepdim=True)
    a, b = x / long, y / wide
    scores = (a @ b.T).exp_()
    for z, g, length in ((a, scores @ b, long), (b, scores.T @ a, wide)):
        (g - (g * z).sum(dim=1, keepdim=True) * z).div_(length)


def run() -> list[tuple[str, float, str]]:
    torch.set_num_threads(1)
    g = stream(0, "bench", "losses")
    x, y = (torch.randn(N, D, generator=g) for _ in "xy")
    margin = 0.2 * torch.rand(N, generator=g)
    held = [z.clone().requires_grad_() for z in (x, y)]

    def step(paid: Paid) -> None:
        for z in held:
            z.grad = None
        paid.total().backward()

    def units() -> tuple[Tensor, ...]:
        return tuple(F.normalize(z, dim=1) for z in held)

    return [
        (
            "ranking, a margin for each anchor / limit",
            ratio(lambda: step(ranking(*units(), Ranking(), margin=margin)), lambda: limit(x, y)),
            "<= 3",
        ),
        (
            "info_nce, a margin for each anchor / limit",
            ratio(lambda: step(info_nce(*units(), InfoNCE(), margin=margin)), lambda: limit(x, y)),
            "none yet",
        ),
    ]
