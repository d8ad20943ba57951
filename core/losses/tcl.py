"""TCL: across modalities, within each of them, and between each item and the parts of it."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import among_keys, exactly, log_share, softened_cost
from core.losses.classes import mean_over
from core.losses.fields import temperature
from core.losses.learned_scale import learned, learned_temperature
from core.losses.log_sums import log_sum
from core.losses.msd_momentum import SOFT
from core.losses.registry import loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


def _share(title: str, what: str) -> Any:
    return Field(1, ge=0, le=1, title=title, description=f"Weight of {what}.")


class TCL(Params):
    kind: Literal["tcl"] = "tcl"
    temperature: float = temperature(0.07)
    distillation: float = Field(
        0.4, ge=0, le=1, title="Distillation α", description="The teacher's share in the targets across modalities."
    )
    across: float = _share("Across (CMA)", "what modalities pay to find each other")
    within: float = _share("Within (IMC)", "what each modality pays to find its own keys")
    local: float = _share("Parts (LMI)", "what each item pays to find its own parts")
    learned: bool = learned()


def _plan(given: Mapping[str, Tensor], p: TCL, g: Generator) -> dict[str, Tensor]:
    start = exactly(given["a"]).new_tensor(p.temperature)
    return {"target_temperature": given.get("temperature", start)}


@loss(
    TCL,
    title="TCL (triple contrastive learning)",
    source="Yang et al. 2022, arXiv:2202.10401; the released code, without its terms of matching and masked words",
    origin="code",
    papers=("tcl",),
    family="none",
    formula=r"\tfrac16\sum_{(a,b),(b,a)}\Big[-\sum_jq_{ij}\log P(t^b_j\mid a_i)-\log P(t^a_i\mid a_i)"
    r"-\tfrac1R\sum_r\log\frac{e^{\langle a_i,l_{ir}\rangle/\tau}}"
    r"{e^{\langle a_i,l_{ir}\rangle/\tau}+\sum_{m\neq i}\sum_ue^{\langle a_i,l_{mu}\rangle/\tau}}\Big],\quad "
    r"q_{ij}=\alpha P(t^b_j\mid t^a_i)+(1-\alpha)[j=i],\ P(t\mid x)\propto e^{\langle x,t\rangle/\tau}",
    relations={
        "msd_momentum": "and the same within each modality, and against parts of the items",
        "clip": "with a teacher's keys, soft targets, and what each modality is to keep for itself",
    },
    claims=SOFT,
    learned=learned_temperature,
    variants=({}, {"temperature": 0.5, "distillation": 1.0, "within": 0.5, "local": 0.25}, {"learned": True}),
    plan=_plan,
    planned=("target_temperature",),
)
def tcl(
    a: Tensor,
    b: Tensor,
    teacher: Tensor,
    other_teacher: Tensor,
    parts: Tensor,
    other_parts: Tensor,
    part_mask: Tensor,
    target_temperature: Tensor,
    p: TCL,
    *,
    bank: Tensor | None = None,
    other_bank: Tensor | None = None,
    temperature: Tensor | None = None,
) -> Paid:
    """Matches items across modalities, to the teacher's keys of their own modality, and to their own parts.

    Args:
        a: (B, D) items in one modality (images).
        b: (B, D) the same items in the other (texts).
        teacher: (B, D) the teacher's embeddings of other views of a, without gradient.
        other_teacher: (B, D) those of b.
        parts: (B, N, D) the teacher's embeddings of the parts of a, such as `patch_pooling` makes, without gradient.
        other_parts: (B, T, D) those of the parts of b (tokens).
        part_mask: (B, T) which parts of b are present; the others take no part on either side.
        target_temperature: () temperature of the targets, without gradient.
        p: temperature, the teacher's share, and the weights of the three kinds of terms.
        bank: (K, D) the teacher's embeddings of earlier items in the modality of a, without gradient.
        other_bank: (K, D) those in the modality of b.
        temperature: () learned temperature, instead of `p.temperature`.

    Returns:
        Six terms, (B,) each, and each worth a sixth of its mean by its weight: "a.across", "a.within", "a.local", and
        the same of b. For each a matrix of pairs: (B, B + K), (B, B + K), (B, B * N), and the same of b.
    """
    tau = p.temperature if temperature is None else temperature
    present = torch.ones(parts.shape[:2], dtype=torch.bool, device=parts.device)
    sides = {
        "a": (a, teacher, other_teacher, bank, other_bank, parts, present),
        "b": (b, other_teacher, teacher, other_bank, bank, other_parts, part_mask.bool()),
    }
    terms, shown = {}, []
    for side, (x, own, keys, own_bank, key_bank, pieces, there) in sides.items():
        across, taught = (among_keys(z, keys, key_bank) for z in (x, own))
        within = among_keys(x, own, own_bank)
        local = _with_parts(x, pieces, there)
        paid = {
            "across": softened_cost(across, taught.scores, p.distillation, tau, target_temperature),
            "within": -log_share(within, tau)[:, : len(x)].diagonal(),
            "local": _own_parts(local, tau),
        }
        terms |= {f"{side}.{name}": Term(cost).scaled(getattr(p, name) / 6) for name, cost in paid.items()}
        shown += [across, within, local]
    return Paid(terms, tuple(shown))


def _with_parts(x: Tensor, parts: Tensor, there: Tensor) -> Pairs:
    """(B, B * N) scores of each item (B, D) with the parts (B, N, D) of all; its own are positives."""
    size, count = there.shape
    own = torch.eye(size, dtype=torch.bool, device=x.device).repeat_interleave(count, dim=1)
    role = torch.full(own.shape, Role.NEGATIVE, dtype=torch.int8, device=x.device).masked_fill(own, int(Role.POSITIVE))
    role = role.masked_fill(~there.flatten(), int(Role.EXCLUDED))
    return Pairs(similarity(exactly(x), parts.flatten(0, 1).to(exactly(x).dtype)), role)


def _own_parts(pairs: Pairs, tau: Tensor | float) -> Tensor:
    """(B,) what each item pays on average to find one of its parts among those of the others."""
    logits = pairs.scores / tau
    rest = log_sum(logits, pairs.role == Role.NEGATIVE)[:, None]
    return mean_over(F.softplus(rest - logits), pairs.role == Role.POSITIVE)
