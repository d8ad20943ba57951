"""A pasted loss as an entry like any other, which pays by asking the process that runs it.

It stands aside in the registry: found by its key, and in no list, since no contract holds what a user wrote.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.losses.registry import LOSSES, Claims, LossEntry
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.params import Params
from core.pasted import kept
from core.pasted.calls import call

UNKNOWN = "it is your own, and nobody has proved it"


class Pasted(Params):
    kind: Literal["pasted"] = "pasted"
    code: str = Field(
        "", pattern=r"^([0-9a-f]{64})?$", title="Function", description="Hash of a text that this machine holds."
    )


class _Elsewhere(torch.autograd.Function):
    """What a text makes of its inputs, and its gradient, both computed in the text's own process."""

    @staticmethod
    def forward(ctx: Any, key: str, names: Sequence[str], *given: Tensor) -> Tensor:
        ctx.key, ctx.names = key, names
        ctx.save_for_backward(*given)
        return call(kept.find(key), dict(zip(names, given, strict=True))).paid

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, None, *tuple[Tensor, ...]]:
        given = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        slopes = call(kept.find(ctx.key), given, upstream).slopes
        return None, None, *(slopes.get(name, torch.zeros_like(value)) for name, value in given.items())


def pasted(a: Tensor, b: Tensor, p: Pasted) -> Paid:
    """Your own function of the scores, or of both embeddings.

    Args:
        a: (B, D) unit anchors.
        b: (B, D) unit positives, row by row.
        p: which text.

    Returns:
        One term, per anchor where the text returns one number for each; the (B, B) matrix of pairs where it takes
        scores, and none where it takes embeddings.

    Raises:
        Refusal: if the text may not be run here, or does not give what a loss gives.
    """
    if kept.find(p.code).form == "pairs":
        return _paid(_Elsewhere.apply(p.code, ("a", "b"), a, b))
    scores = similarity(a, b)
    pairs = Pairs(scores, diagonal_roles(len(a), len(b), a.device))
    return _paid(_Elsewhere.apply(p.code, ("scores",), scores), pairs)


def _paid(per: Tensor, *pairs: Pairs) -> Paid:
    return Paid({"": Term(per, axis="anchor" if per.ndim else "batch")}, pairs)


LOSSES.stand_aside(
    LossEntry(
        title="Your own loss",
        params=Pasted,
        call=pasted,
        source="pasted on this machine",
        family="none",
        formula=r"\text{as you wrote it}",
        claims=Claims(permutation=UNKNOWN, pulls=UNKNOWN, margin=UNKNOWN),
    )
)
