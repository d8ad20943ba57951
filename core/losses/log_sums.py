"""The logarithm of a sum of exponentials over the candidates that a mask names, and the mean over another mask.

They are taken over blocks of rows that fit the cache. The backward pass scales the exponentials that the forward pass
kept, and adds the share of the mean in the same matrix.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 2**18  # scores in a block: 1 MB of float32


def log_sum(scores: Tensor, taken: Tensor | None = None, temperature: Tensor | float = 1.0) -> Tensor:
    """The log-sum-exp of every row over its temperature.

    Args:
        scores: (A, C), finite.
        taken: (A, C) bool, which candidates of each row take part; without it, all.
        temperature: a number, () or (A,), above 0.

    Returns:
        (A,) log of the sum of exp(s_ij / t_i) over the taken j; minus infinity, without gradient, where there are
        none. The gradient has no gradient of its own: a second derivative is refused by torch.
    """
    return _LogSum.apply(scores, taken, None, _of_rows(temperature, scores))[0]


def log_sum_and_mean(
    scores: Tensor, taken: Tensor | None, pulled: Tensor, temperature: Tensor | float = 1.0
) -> tuple[Tensor, Tensor]:
    """`log_sum`, and the mean of the same scores over the `pulled` of each row, (A, C) bool; 0 where there are none.

    What an anchor pays for all its positives in one softmax is the first less the second over the temperature.
    """
    return _LogSum.apply(scores, taken, pulled, _of_rows(temperature, scores))


def _of_rows(temperature: Tensor | float, scores: Tensor) -> Tensor:
    tau = temperature if isinstance(temperature, Tensor) else scores.new_full((), temperature)
    return tau.to(scores.dtype).expand(len(scores))


class _LogSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, taken: Tensor | None, pulled: Tensor | None, tau: Tensor
    ) -> tuple[Tensor, Tensor]:
        share, nothing = torch.empty_like(scores), scores.new_full((), -torch.inf)
        top, total, count, mean = (torch.zeros_like(tau) for _ in range(4))
        for here in _blocks(scores):
            block, rows = share[here], scores[here]
            if taken is None:
                torch.div(rows, tau[here, None], out=block)
            else:
                torch.where(taken[here], rows, nothing, out=block).div_(tau[here, None])
            top[here] = block.amax(dim=1).clamp_min_(torch.finfo(block.dtype).min)
            total[here] = block.sub_(top[here, None]).exp_().sum(dim=1)
            if pulled is not None:
                chosen = pulled[here].to(rows.dtype)
                count[here] = chosen.sum(dim=1).clamp_min_(1)
                mean[here] = chosen.mul_(rows).sum(dim=1) / count[here]
        kept = scores if ctx.needs_input_grad[3] else None
        ctx.save_for_backward(kept, pulled, tau, share, total.clamp_min(1), count)
        return total.log_().add_(top), mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_sum: Tensor, by_mean: Tensor) -> tuple[Tensor, None, None, Tensor | None]:
        scores, pulled, tau, share, total, count = ctx.saved_tensors
        force, weight = torch.empty_like(share), by_sum / (tau * total)
        of_tau = torch.zeros_like(tau)
        for here in _blocks(share):
            block = torch.mul(share[here], weight[here, None], out=force[here])
            if scores is not None:
                of_tau[here] = -(block * scores[here]).sum(dim=1) / tau[here]
            if pulled is not None:
                block.addcmul_(pulled[here].to(block.dtype), (by_mean[here] / count[here])[:, None])
        return force, None, None, None if scores is None else of_tau


def _blocks(scores: Tensor) -> list[slice]:
    height = max(1, BLOCK // max(scores.shape[1], 1))
    return [slice(first, first + height) for first in range(0, len(scores), height)]
