"""BECLR: views agree with the teacher's and with their neighbours in its memory, and all projections spread out."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import exactly
from core.losses.fields import temperature, weight
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params

_STUDENTS = {"SS": (1.0, 1.0), "ST": (1.0, 0.0), "TT": (0.0, 0.0)}


class BECLR(Params):
    kind: Literal["beclr"] = "beclr"
    temperature: float = temperature(2.0)
    repulsion: float = weight(0.1, "Repulsion λ", "what pushes different items apart")
    sides: Literal["SS", "ST", "TT"] = Field(
        "SS",
        title="Who is pushed",
        description="By whom the first view and the others are embedded, student or teacher.",
    )
    nearest: int = Field(5, ge=0, le=64, title="Neighbours k", description="Entries of the memory taken as positives.")


def _plan(given: Mapping[str, Tensor], p: BECLR, g: Generator) -> dict[str, Tensor]:
    teacher, bank = given["teacher_views"].flatten(0, 1), given["bank"]
    score = similarity(teacher, bank)
    count = min(p.nearest, len(bank))
    if "bank_labels" in given:
        member = given["bank_labels"][:, None] == given["bank_labels"][None, :]
        centres = (member.to(score.dtype) / member.sum(dim=1, keepdim=True)) @ bank.to(score.dtype)
        reach = torch.cdist(teacher.to(score.dtype), centres, compute_mode="donot_use_mm_for_euclid_dist")
        inside = member[reach.argmin(dim=1)]
        inside |= inside.sum(dim=1, keepdim=True) < count
        score = score.masked_fill(~inside, -torch.inf)
    return {"memory_neighbours": score.topk(count, dim=1).indices.unflatten(0, given["teacher_views"].shape[:2])}


@loss(
    BECLR,
    title="BECLR (memory of clusters)",
    source="Poulakakis-Daktylidis and Jamali-Rad 2024, arXiv:2402.02444; the released code",
    origin="code",
    papers=("beclr",),
    family="none",
    formula=r"-\tfrac1{1+k}\Big(\langle p_i,z^T_{i'}\rangle+\sum_{n\in N(i')}\langle p_i,n\rangle\Big)"
    r"+\lambda\log\underset{i,\;j\neq i,i'}{\mathrm{mean}}\,e^{\langle z_i,z_j\rangle/t}",
    claims=Claims(margin="it takes no margin of its own"),
    relations={"moco": "kept embeddings are positives, and the push is from the whole batch at once"},
    variants=({}, {"temperature": 0.5, "repulsion": 1.0, "sides": "ST", "nearest": 1}),
    plan=_plan,
    planned=("memory_neighbours",),
    work="Every view of N items meets all V, (VN)² scores, and the memory of K: VNK more to find neighbours.",
)
def beclr(
    views: Tensor,
    projections: Tensor,
    teacher_views: Tensor,
    bank: Tensor,
    memory_neighbours: Tensor,
    p: BECLR,
    *,
    bank_labels: Tensor | None = None,
) -> Paid:
    """Pulls each view to the teacher's other views and to their neighbours in memory, and spreads different items out.

    As the paper draws it, the live prediction is pulled to the neighbours. In the released code their rows carry no
    gradient, and they join the negatives too.

    Args:
        views: (V, B, D) the student's predictions, of V >= 2 views of B >= 2 items.
        projections: (V, B, D) the same before the predictor.
        teacher_views: (V, B, D) the teacher's projections, without gradient.
        bank: (K, D) the teacher's memory, without gradient.
        memory_neighbours: (V, B, k) places in the bank of what lies nearest to each view of the teacher.
        p: temperature, weight of the push, who is pushed, neighbours.
        bank_labels: (K,) cluster of each entry; neighbours come from the nearest cluster where it has enough.

    Returns:
        "attraction" (V B,), view by view, and "repulsion" () of the whole batch; (V B, V (1 + k)) pairs of predictions
        with the teacher's side, and (V B, V B) pairs of projections.
    """
    count, items = views.shape[:2]
    taught, student = exactly(teacher_views), exactly(projections)
    near = torch.cat([taught[:, :, None], exactly(bank)[memory_neighbours].to(taught.dtype)], dim=2)
    pull = torch.einsum("vbd,wbnd->vbwn", exactly(views), near)
    own = torch.eye(count, dtype=torch.bool, device=views.device)[:, None, :, None].expand(pull.shape)
    agreed = Pairs(pull.reshape(count * items, -1), _roles(own, Role.POSITIVE).reshape(count * items, -1))
    positive = agreed.role == Role.POSITIVE
    alike = agreed.scores.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)

    by_student = student.new_tensor([_STUDENTS[p.sides][min(v, 1)] for v in range(count)])[:, None, None]
    z = torch.lerp(taught, student, by_student).flatten(0, 1)
    same = torch.eye(items, dtype=torch.bool, device=views.device).repeat(count, count)
    spread = Pairs(similarity(z, z), _roles(same, Role.NEGATIVE))
    level = torch.logsumexp(log_sum(spread.scores, ~same, p.temperature), dim=0)
    crowding = level - math.log(count**2 * items * max(items - 1, 1))
    terms = {"attraction": Term(-alike), "repulsion": Term(crowding, "batch").scaled(p.repulsion)}
    return Paid(terms, (agreed, spread))


def _roles(out: Tensor, role: Role) -> Tensor:
    return torch.full(out.shape, role, dtype=torch.int8, device=out.device).masked_fill(out, Role.EXCLUDED)
