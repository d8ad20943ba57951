"""Cycle consistency: a member's soft neighbour in the other bag has to lead back to where it came from."""

from typing import Literal

import torch
from torch import Tensor

from core.losses.fields import temperature
from core.losses.registry import Claims, loss
from core.losses.scores import distance
from core.paid import Paid, Term
from core.params import Params


class Cycle(Params):
    kind: Literal["cycle"] = "cycle"
    temperature: float = temperature(1.0)


def soft_weights(x: Tensor, y: Tensor, tau: float, present: Tensor | None) -> Tensor:
    """(B, n, m) share of each member of y (B, m, D) in the soft neighbour of each of x (B, n, D); rows sum to 1.

    A softmax over minus the squared distance, averaged over the dimensions, of the members that are `present` (B, m).
    """
    logits = -distance(x, y, True) / (x.shape[-1] * tau)
    return torch.softmax(logits if present is None else logits.masked_fill(~present[:, None], -torch.inf), dim=-1)


def index_errors(x: Tensor, y: Tensor, tau: float, present: Tensor | None) -> Tensor:
    """(B, n) squared distance, in places, between where each member of x set out and where it comes back to."""
    neighbour = soft_weights(x, y, tau, present) @ y.to(torch.promote_types(y.dtype, torch.float32))
    place = torch.arange(x.shape[1], device=x.device)
    back = soft_weights(neighbour, x, tau, present) @ place.to(neighbour.dtype)
    return (back - place).square()


def _over_bag(errors: Tensor, present: Tensor | None, members: Tensor | None) -> Tensor:
    errors = errors if present is None else errors * present
    if members is not None:
        return errors.gather(1, members[:, None]).squeeze(1)
    return errors.mean(dim=1) if present is None else errors.sum(dim=1) / present.sum(dim=1)


@loss(
    Cycle,
    title="Cycle consistency",
    source="Ging et al. 2020 (COOT), arXiv:2011.00597, its released code; after Dwibedi et al. 2019, arXiv:1904.07846",
    origin="code",
    papers=("dmm",),
    family="none",
    formula=r"\begin{aligned}&\Big(\sum_kk\,\mathrm{softmax}_k\big(-\tfrac1{D\tau}\lVert\nu_i-x_k\rVert^2\big)-i\Big)^2,\\"
    r"&\nu_i=\sum_jy_j\,\mathrm{softmax}_j\big(-\tfrac1{D\tau}\lVert x_i-y_j\rVert^2\big)\end{aligned}",
    claims=Claims(
        pulls="it pays for the order within a bag and shows no pairs",
        pushes="it pays for the order within a bag and shows no pairs",
        margin="it knows no margin",
    ),
)
def cycle(
    bags: Tensor, other_bags: Tensor, p: Cycle, *, bag_mask: Tensor | None = None, members: Tensor | None = None
) -> Paid:
    """Sends each member over to the other bag and back, and pays the squared number of places by which it misses.

    Args:
        bags: (B, n, D) ordered members of each bag, such as the clips of a video.
        other_bags: (B, n, D) their counterparts in the same order, such as its sentences.
        p: temperature.
        bag_mask: (B, n) which members are present in both, at least one a bag; without it, all.
        members: (2, B) the one member that is sent, from `bags` and from `other_bags`; an absent one pays nothing.
            Without it, the mean over all that are present.

    Returns:
        Two terms with an entry for each bag, named by the side that the cycle sets out from.
    """
    each = (None, None) if members is None else members.unbind()
    out = index_errors(bags, other_bags, p.temperature, bag_mask)
    back = index_errors(other_bags, bags, p.temperature, bag_mask)
    paid = {"bags": _over_bag(out, bag_mask, each[0]), "other_bags": _over_bag(back, bag_mask, each[1])}
    return Paid({name: Term(per, axis="item") for name, per in paid.items()})
