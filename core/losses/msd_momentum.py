"""MSD: two modalities meet a slow teacher's keys, and the teacher says how far each of them is a match."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from core.losses.banks import among_keys, softened_cost
from core.losses.fields import temperature
from core.losses.registry import Claims, loss
from core.paid import Paid, Term
from core.params import Params

SOFT = Claims(
    pulls="a positive is pushed once it has more than its share of the softmax",
    pushes="what the teacher takes for a match as well is pulled",
    margin="it takes no margin of its own",
)


class MSDMomentum(Params):
    kind: Literal["msd_momentum"] = "msd_momentum"
    temperature: float = temperature(0.1)
    distillation: float = Field(
        0.4, ge=0, le=1, title="Distillation λ", description="The teacher's share in the targets; 0 leaves its keys."
    )


@loss(
    MSDMomentum,
    title="MSD (momentum self-distillation)",
    source="Pham et al. 2026, arXiv:2512.02438; reconstructed after Li et al. 2021, arXiv:2107.07651, eq. 6",
    origin="designed",
    papers=("msd_momentum",),
    family="none",
    formula=r"-\tfrac12\sum_jq_{ij}\log P(t^b_j\mid a_i)-\tfrac12\sum_jq'_{ij}\log P(t^a_j\mid b_i),\quad "
    r"q_{ij}=\lambda P(t^b_j\mid t^a_i)+(1-\lambda)[j=i],\ q'_{ij}=\lambda P(t^a_j\mid t^b_i)+(1-\lambda)[j=i],\quad "
    r"P(t\mid x)=\frac{e^{\langle x,t\rangle/\tau}}{\sum_ke^{\langle x,t_k\rangle/\tau}}",
    relations={
        "clip": "against a teacher's keys, with targets that it softens",
        "moco": "across modalities both ways, with targets that the teacher softens",
    },
    claims=SOFT,
    variants=({}, {"temperature": 0.5, "distillation": 1.0}),
)
def msd_momentum(
    a: Tensor,
    b: Tensor,
    teacher: Tensor,
    other_teacher: Tensor,
    p: MSDMomentum,
    *,
    bank: Tensor | None = None,
    other_bank: Tensor | None = None,
) -> Paid:
    """Matches each modality to the teacher's keys of the other one, with targets that are partly the teacher's own.

    Args:
        a: (B, D) items in one modality.
        b: (B, D) the same items in the other.
        teacher: (B, D) the teacher's embeddings of a, without gradient.
        other_teacher: (B, D) those of b.
        p: temperature, which the targets share, and the teacher's share in them.
        bank: (K, D) the teacher's embeddings of further items in the modality of a: more keys for b.
        other_bank: (K, D) those in the modality of b.

    Returns:
        Two terms per anchor, each worth half of its mean; (B, B + K) pairs of a with keys of b, then of b with keys
        of a.
    """
    terms, shown = {}, []
    ways = (("a_to_b", a, teacher, other_teacher, other_bank), ("b_to_a", b, other_teacher, teacher, bank))
    for name, anchors, own, keys, kept in ways:
        pairs, taught = (among_keys(z, keys, kept) for z in (anchors, own))
        cost = softened_cost(pairs, taught.scores, p.distillation, p.temperature, p.temperature)
        terms[name] = Term(cost).scaled(0.5)
        shown.append(pairs)
    return Paid(terms, tuple(shown))
