"""Hinges over a square score matrix in both directions, without a second matrix of that size in the forward pass.

Three passes over the scores instead of about twenty: the sums are taken over blocks of rows that fit the cache, and the
backward pass forms the gradient of each block from the scores themselves.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 2**18  # scores in a block: 1 MB of float32


def hinge_sums(scores: Tensor, lead: Tensor | float) -> tuple[Tensor, Tensor]:
    """What is short of the lead, summed over all rivals.

    Args:
        scores: (B, B), pair i on the diagonal; minus infinity where a pair takes no part.
        lead: a number, () or (B,): the lead that pair i is asked to have.

    Returns:
        (B,) sum over j != i of [m_i + s_ij - s_ii]_+ and (B,) of [m_i + s_ji - s_ii]_+. Their gradient has no gradient
        of its own: a second derivative is refused by torch. At the kink it is 0.
    """
    each = lead if isinstance(lead, Tensor) else scores.new_full((), lead)
    return _HingeSums.apply(scores, each.to(scores.dtype).expand(len(scores)))


def hinge_worst(scores: Tensor, lead: Tensor | float) -> tuple[Tensor, Tensor]:
    """As `hinge_sums`, over the worst rival of each pair alone."""
    asked = scores.diagonal() - lead
    rivals = scores.masked_fill(torch.eye(len(scores), dtype=torch.bool, device=scores.device), -torch.inf)
    return torch.relu(rivals.amax(dim=1) - asked), torch.relu(rivals.amax(dim=0) - asked)


def _blocks(scores: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """First row, rows, and a buffer of their shape, block by block."""
    height = max(1, BLOCK // scores.shape[1])
    buffer = scores.new_empty(min(height, len(scores)), scores.shape[1])
    for first in range(0, len(scores), height):
        rows = scores[first : first + height]
        yield first, rows, buffer[: len(rows)]


class _HingeSums(torch.autograd.Function):
    @staticmethod
    def forward(scores: Tensor, lead: Tensor) -> tuple[Tensor, Tensor]:
        asked = scores.diagonal() - lead
        by_row, by_column = torch.zeros_like(asked), torch.zeros_like(asked)
        for first, rows, cost in _blocks(scores):
            own = asked[first : first + len(rows), None]
            torch.sub(rows, own, out=cost).clamp_min_(0).diagonal(first).zero_()
            by_row[first : first + len(rows)] = cost.sum(dim=1)
            torch.sub(rows, asked, out=cost).clamp_min_(0).diagonal(first).zero_()
            by_column += cost.sum(dim=0)
        return by_row, by_column

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_row: Tensor, by_column: Tensor) -> tuple[Tensor, Tensor]:
        scores, lead = ctx.saved_tensors
        asked = scores.diagonal() - lead
        force, duty = torch.empty_like(scores), torch.zeros_like(asked)
        for first, rows, other in _blocks(scores):
            block, here = force[first : first + len(rows)], slice(first, first + len(rows))
            torch.gt(rows, asked[here, None], out=block).mul_(by_row[here, None]).diagonal(first).zero_()
            duty[here] += block.sum(dim=1)
            torch.gt(rows, asked, out=other).mul_(by_column).diagonal(first).zero_()
            duty += other.sum(dim=0)
            block += other
        force.diagonal().sub_(duty)
        return force, duty
