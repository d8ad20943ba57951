"""CWCL: in one direction, every candidate is a positive to the share that a frozen encoder finds it similar."""

from collections.abc import Mapping
from typing import Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.fields import temperature
from core.losses.learned_scale import learned, learned_temperature
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Term, diagonal_roles
from core.params import Params


class CWCL(Params):
    kind: Literal["cwcl"] = "cwcl"
    temperature: float = temperature(0.07)
    sharpness: float = Field(
        1, ge=1, le=50, title="Sharpness", description="Power of the weights; 1 is the paper's, more is our addition."
    )
    learned: bool = learned()


def locked(given: Mapping[str, Tensor], p: Any, g: Generator) -> dict[str, Tensor]:
    """Where no frozen features are handed in, the first side is taken for the frozen one."""
    return {"teacher": given["a"]}


@loss(
    CWCL,
    title="CWCL (continuously weighted)",
    source="Srinivasa et al. 2023, arXiv:2309.14580, as in the code of CellCLIP that cites it",
    papers=("cwcl",),
    origin="recalled",
    family="none",
    formula=r"-\sum_j\frac{w_{ij}}{\sum_kw_{ik}}\log\frac{e^{s_{ij}/\tau}}{\sum_ke^{s_{ik}/\tau}}"
    r"-\log\frac{e^{s_{ii}/\tau}}{\sum_je^{s_{ji}/\tau}},\quad w_{ij}=\tfrac12+\tfrac12\langle t_i,t_j\rangle",
    relations={"clip": "with every candidate a positive to some share, from the frozen side"},
    learned=learned_temperature,
    plan=locked,
    planned=("teacher",),
    variants=({}, {"temperature": 0.5, "sharpness": 4}, {"learned": True}),
    claims=Claims(
        pulls="a positive is pushed once it has more than its share of the softmax",
        pushes="every candidate is a positive to the share that the frozen side says",
        margin="it takes no margin of its own",
    ),
)
def cwcl(a: Tensor, b: Tensor, teacher: Tensor, p: CWCL, *, temperature: Tensor | None = None) -> Paid:
    """Pulls b to every a by how similar a frozen encoder finds the items, and finds each a's own b again.

    Args:
        a: (B, D) items on the side that has the frozen encoder.
        b: (B, D) the same items on the other side.
        teacher: (B, any) unit features of the items by the frozen encoder; without them, a as it is.
        p: temperature, sharpness, whether the temperature is learned.
        temperature: () learned temperature, instead of `p.temperature`.

    Returns:
        Two terms per anchor, each worth its mean: from a with the weights, from b without; one (B, B) matrix of pairs.
    """
    scores = similarity(a, b)
    logits = scores / (p.temperature if temperature is None else temperature)
    weight = (0.5 + 0.5 * similarity(teacher, teacher)).clamp(min=0) ** p.sharpness
    share = weight / weight.sum(dim=1, keepdim=True)
    return Paid(
        {
            "a_to_b": Term(-(share * F.log_softmax(logits, dim=1)).sum(dim=1)),
            "b_to_a": Term(-F.log_softmax(logits, dim=0).diagonal()),
        },
        (Pairs(scores, diagonal_roles(len(a), len(b), a.device)),),
    )
