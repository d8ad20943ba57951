"""MoCHi: MoCo with harder negatives, mixed for each anchor from the bank's hardest and from the anchor itself."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import beside, exactly, first_cost
from core.losses.fields import lead, temperature
from core.losses.registry import loss
from core.losses.scores import similarity
from core.paid import Paid, Pairs, Role, Term
from core.params import Params


class MoCHi(Params):
    kind: Literal["mochi"] = "mochi"
    temperature: float = temperature(0.2)
    margin: float = lead()
    hardest: int = Field(64, ge=1, le=4096, title="Hardest N", description="How many of the bank are mixed from.")
    pairs: int = Field(32, ge=0, le=1024, title="Pairs s", description="Mixtures of two hard negatives per anchor.")
    own: int = Field(16, ge=0, le=1024, title="With the anchor s'", description="Mixtures of one with the anchor.")


def _plan(given: Mapping[str, Tensor], p: MoCHi, g: Generator) -> dict[str, Tensor]:
    a, bank = given["a"], given["bank"]
    hard = similarity(a, bank).topk(min(p.hardest, len(bank)), dim=1).indices

    def picks(count: int) -> Tensor:
        return hard.gather(1, torch.randint(hard.shape[1], (len(a), count), generator=g).to(a.device))

    return {
        "picks": picks(p.pairs),
        "other_picks": picks(p.pairs),
        "pick_share": torch.rand((len(a), p.pairs), generator=g).to(a),
        "own_picks": picks(p.own),
        "own_share": (torch.rand((len(a), p.own), generator=g) / 2).to(a),
        "fixed": a,
    }


@loss(
    MoCHi,
    title="MoCHi (mixed hard negatives)",
    source="Kalantidis et al. 2020, arXiv:2010.01028, sec. 3; against an unofficial implementation",
    origin="recalled",
    papers=("mochi",),
    family="softmax",
    formula=r"-\log\frac{e^{(s_i-m)/\tau}}{e^{(s_i-m)/\tau}+\sum_{k\in Q\cup H_i\cup H_i'}e^{s_{ik}/\tau}},\quad "
    r"h=\frac{\alpha n_u+(1-\alpha)n_v}{\|\cdot\|},\;h'=\frac{\beta a_i+(1-\beta)n_u}{\|\cdot\|}",
    relations={"moco": "with mixtures of the hardest negatives beside the bank"},
    variants=({}, {"temperature": 0.5, "margin": 0.2, "hardest": 2, "own": 0}),
    plan=_plan,
    planned=("picks", "other_picks", "pick_share", "own_picks", "own_share", "fixed"),
    work="Each of N anchors makes mixtures of its own, s + s' of D numbers, beside its scores with a bank of K.",
)
def mochi(
    a: Tensor,
    teacher: Tensor,
    bank: Tensor,
    picks: Tensor,
    other_picks: Tensor,
    pick_share: Tensor,
    own_picks: Tensor,
    own_share: Tensor,
    fixed: Tensor,
    p: MoCHi,
    *,
    margin: Tensor | None = None,
) -> Paid:
    """Pushes each anchor from the bank and from synthetic negatives mixed out of its hardest ones.

    No gradient flows through a mixture, not even through the anchor's share in it.

    Args:
        a: (B, D) embedding of each anchor.
        teacher: (B, D) its key, without gradient.
        bank: (K, D) keys of earlier batches, without gradient.
        picks: (B, s) places in the bank of what is mixed in pairs.
        other_picks: (B, s) the second of each pair.
        pick_share: (B, s) share of the first.
        own_picks: (B, s') places of what is mixed with the anchor.
        own_share: (B, s') share of the anchor, below a half, so that it never prevails.
        fixed: (B, D) the anchors as they stand, without gradient.
        p: temperature, margin, and how many are drawn.
        margin: () or (B,), instead of `p.margin`.

    Returns:
        One term per anchor, (B,); (B, 1 + K + s + s') pairs: the key, the bank, and the mixtures as synthetic ones.
    """
    real = beside(a, teacher, bank)
    keys, anchors = exactly(bank), exactly(fixed)[:, None]
    made = torch.cat(
        [_mixed(keys[picks], keys[other_picks], pick_share), _mixed(anchors, keys[own_picks], own_share)], 1
    )
    hard = torch.einsum("bd,bnd->bn", exactly(a), made.to(real.scores.dtype))
    role = torch.cat([real.role, torch.full_like(hard, Role.SYNTHETIC, dtype=torch.int8)], dim=1)
    pairs = Pairs(torch.cat([real.scores, hard], dim=1), role)
    return Paid({"": Term(first_cost(pairs, p.temperature, p.margin if margin is None else margin))}, (pairs,))


def _mixed(x: Tensor, y: Tensor, share: Tensor) -> Tensor:
    """(B, N, D) unit mixtures of two, `share` (B, N) of the first."""
    return F.normalize(torch.lerp(y, x.expand_as(y), share.to(y.dtype)[..., None]), dim=-1)
