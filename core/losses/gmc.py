"""GMC: the embedding of each modality alone is to be found from that of all modalities together, and back."""

from typing import Literal

from torch import Tensor

from core.losses.fields import lead, temperature
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.registry import loss
from core.paid import Paid, joined
from core.params import Params


class GMC(Params):
    kind: Literal["gmc"] = "gmc"
    temperature: float = temperature(0.3)
    margin: float = lead()


@loss(
    GMC,
    title="GMC (joint against each modality)",
    source="Poklukar et al. 2022, arXiv:2202.03390; summed over the modalities as in the code of So et al. 2023 (DMM)",
    origin="code",
    papers=("dmm",),
    family="softmax",
    formula=r"-\sum_q\log\frac{e^{(s^q_{i,i'}-m)/\tau}}{e^{(s^q_{i,i'}-m)/\tau}+\sum_{k\neq i,i'}e^{s^q_{ik}/\tau}}",
    relations={"nt_xent": "between the joint embedding and each modality, summed over the modalities"},
    variants=({}, {"temperature": 0.1, "margin": 0.3}),
    work="NT-Xent for each of M modalities: M times (2N)² scores.",
)
def gmc(
    joint: Tensor, modalities: Tensor, p: GMC, *, margin: Tensor | None = None, exclude: Tensor | None = None
) -> Paid:
    """Draws each modality's embedding of an item to the item's joint embedding and pushes the other items away.

    Args:
        joint: (B, D) embeddings of all modalities together.
        modalities: (M, B, D) embeddings of each modality alone.
        p: temperature, margin.
        margin: () or (B,), instead of `p.margin`; entry i belongs to item i in every modality.
        exclude: (B, B) pairs (joint_i, modality_j) that take no part, whichever is the anchor; a positive always does.

    Returns:
        A term for each modality, named by its place: (2B,), first the joint anchors, then the modality's. A (2B, 2B)
        matrix of pairs for each.
    """
    asks = NTXent(temperature=p.temperature, margin=p.margin)
    return joined((str(q), nt_xent(joint, z, asks, margin=margin, exclude=exclude)) for q, z in enumerate(modalities))
