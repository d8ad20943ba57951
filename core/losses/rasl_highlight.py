"""RASL: the strong moments of two sequences are told from their other steps, and clips are found by their partners.

A reconstruction of the idea, the equations are not the authors'.
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import exactly
from core.losses.clip import Clip, clip
from core.losses.fields import lead, temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.paid import Paid, Pairs, Role, Term
from core.params import Params
from core.procedures.activation import SOURCE, Activation, StrongestSteps, activation, moments


class RASLPoints(StrongestSteps):
    kind: Literal["rasl_points"] = "rasl_points"
    temperature: float = temperature(0.5)
    normalise: bool = Field(
        False, title="Unit length", description="Compares steps by their cosine; then 0.1 is a usual temperature."
    )


def _plan(given: Mapping[str, Tensor], p: RASLPoints, g: Generator) -> dict[str, Tensor]:
    return {"moments": moments(given["sequence"], given["other_sequence"], p)}


@loss(
    RASLPoints,
    title="RASL (contrast of k points)",
    source=SOURCE,
    origin="designed",
    papers=("rasl_highlight",),
    family="softmax",
    formula=r"-\frac1k\sum_{i\in P}\log\frac{\sum_{j\in P,j\neq i}e^{s_{ij}/\tau}}"
    r"{\sum_{j\in P,j\neq i}e^{s_{ij}/\tau}+\sum_{j\in Q}e^{s_{ij}/\tau}},\quad s_{ij}=\frac{R_i\cdot R_j}{\sqrt D}",
    claims=Claims(margin="it takes no margin of its own"),
    relations={"simctg": "of the strong steps alone, which are drawn together", "rasl_clips": "within each clip"},
    variants=(
        {},
        {"normalise": True, "temperature": 0.1, "guided": "own"},
        {"against": "weakest", "share": 0.4},
    ),
    plan=_plan,
    planned=("moments",),
)
def rasl_points(sequence: Tensor, other_sequence: Tensor, moments: Tensor, p: RASLPoints) -> Paid:
    """Draws the strongest steps of each sequence together and pushes its other steps from them.

    A reconstruction of the idea, the equations are not the authors'. Products of the steps as they stand train their
    lengths too, which are the activations. Where both sequences share their points, either learns to stand out
    where only the other did.

    Args:
        sequence: (B, T, D) features of each step, of any length.
        other_sequence: (B, T, D) those of the other modality at the same times.
        moments: (2, B, T) for either sequence 1 for a point, -1 for what it is told from, 0 for neither.
        p: temperature, unit length, and how the points are picked.

    Returns:
        `sequence` and `other`, (T B,) each, step by step, one share of the clip's points each; a (T B, T) matrix of
        pairs for either. Steps that are no points, and a point that is alone, pay nothing.
    """
    terms, shown = {}, []
    for name, x, role in zip(("sequence", "other"), (sequence, other_sequence), moments, strict=True):
        pairs, cost = _told_apart(exactly(x), role, p)
        count = (role == 1).sum(dim=1).clamp_min(1).repeat(x.shape[1]) * len(x)
        terms[name] = Term(cost, weight=1 / count.to(cost.dtype))
        shown.append(pairs)
    return Paid(terms, tuple(shown))


def _told_apart(x: Tensor, role: Tensor, p: RASLPoints) -> tuple[Pairs, Tensor]:
    """(T B, T) pairs of the steps of each sequence (B, T, D), and what each step pays, (T B,)."""
    size, steps = role.shape
    z = F.normalize(x, dim=-1) if p.normalise else x / x.shape[2] ** 0.25
    scores = torch.einsum("btd,bsd->tbs", z, z).reshape(steps * size, steps)
    point = (role == 1).T[:, :, None]
    itself = torch.eye(steps, dtype=torch.bool, device=x.device)[:, None, :]
    near = (point & (role == 1) & ~itself).reshape(scores.shape)
    far = (point & (role == -1)).reshape(scores.shape)
    paying = near.any(dim=1) & far.any(dim=1)
    gap = log_sum(scores, far, p.temperature) - log_sum(scores, near, p.temperature)
    kinds = near.to(torch.int8) * int(Role.POSITIVE) + far.to(torch.int8) * int(Role.NEGATIVE)
    return Pairs(scores, kinds), F.softplus(torch.where(paying, gap, -torch.inf))


class RASLClips(Params):
    kind: Literal["rasl_clips"] = "rasl_clips"
    temperature: float = temperature(0.1)
    margin: float = lead()


@loss(
    RASLClips,
    title="RASL (symmetric contrast of clips)",
    source=SOURCE,
    origin="designed",
    papers=("rasl_highlight",),
    family="softmax",
    formula=r"\begin{aligned}&-\tfrac12\log\frac{e^{(s_{ii}-m)/\tau}}{\sum_je^{(s_{ij}-m[i=j])/\tau}}"
    r"-\tfrac12\log\frac{e^{(s_{ii}-m)/\tau}}{\sum_je^{(s_{ji}-m[i=j])/\tau}},\\"
    r"&s_{ij}=\cos\Big(\sum_t\sigma(a_i)_tR_{it},\sum_t\sigma(a'_j)_tR'_{jt}\Big)\end{aligned}",
    relations={"clip": "of whole clips, each step counted by its activation", "rasl_points": "between clips"},
    variants=({}, {"temperature": 0.5, "margin": 0.2}),
)
def rasl_clips(sequence: Tensor, other_sequence: Tensor, p: RASLClips, *, margin: Tensor | None = None) -> Paid:
    """Finds each clip by its other modality, its strong steps counting most.

    A reconstruction of the idea, the equations are not the authors'.

    Args:
        sequence: (B, T, D) features of each step, of any length.
        other_sequence: (B, T, D) those of the other modality.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to clip i in both directions.

    Returns:
        What `clip` asks of the clips: two terms, (B,) each, worth half of their means, and (B, B) pairs.
    """
    a, b = (F.normalize(_pooled(x), dim=-1) for x in (sequence, other_sequence))
    return clip(a, b, Clip(temperature=p.temperature, margin=p.margin), margin=margin)


def _pooled(sequence: Tensor) -> Tensor:
    """(B, D) mean over the steps, weighted by the softmax of their activations."""
    share = activation(sequence, Activation()).softmax(dim=1)
    return torch.einsum("bt,btd->bd", share, exactly(sequence))
