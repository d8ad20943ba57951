"""SupReMix: SupCon for continuous targets, in which distance in the target weighs a negative and mixtures join in."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from core.losses.candidates import exact
from core.losses.fields import temperature
from core.losses.registry import Claims, loss
from core.losses.scores import without
from core.losses.two_views import all_pairs
from core.paid import Paid, Pairs, Role, Term
from core.procedures.supremix import MixtureSettings, supremix_mixtures


class SupReMix(MixtureSettings):
    kind: Literal["supremix"] = "supremix"
    temperature: float = temperature(0.5)
    distance: bool = Field(
        True, title="Weigh by distance", description="A candidate counts 1 plus the distance of its target."
    )
    own: int = Field(
        2, ge=1, le=20, title="Own part", description="First number of the beta law of the anchor's share."
    )
    other: int = Field(
        8, ge=1, le=20, title="Other part", description="Second number of the beta law of the anchor's share."
    )
    as_released: bool = Field(
        False,
        title="As released",
        description="Mixtures are scaled anew by how far their best score lies below the best of the others.",
    )


def draw_shares(size: int, own: int, other: int, g: Generator) -> Tensor:
    """(size, size) draws from Beta(own, other): which is the law of a uniform draw of that rank among all of them."""
    return torch.rand((size, size, own + other - 1), generator=g).kthvalue(own, dim=2).values


def mix(given: Mapping[str, Tensor], p: SupReMix, g: Generator) -> dict[str, Tensor]:
    """The mixtures of all anchors of both views."""
    z, targets = torch.cat([exact(given["a"]), exact(given["b"])]), exact(given["targets"]).repeat(2)
    share, order = draw_shares(len(z), p.own, p.other, g), torch.rand((len(z), len(z)), generator=g)
    mixed, mixed_targets, role = supremix_mixtures(z, targets.to(z), share.to(z), order.to(z), p)
    shift = released_shift(z, mixed, p) if p.as_released else z.new_zeros(len(z))
    made = {
        "synthetic": mixed,
        "synthetic_targets": mixed_targets,
        "synthetic_role": role,
        "synthetic_shift": shift,
    }
    return {name: value.unflatten(0, (2, -1)) for name, value in made.items()}


def released_shift(z: Tensor, mixed: Tensor, p: SupReMix) -> Tensor:
    """(A,) what the released code adds to an anchor's mixtures: it takes the best of each block off that block."""
    best = torch.einsum("ad,akd->ak", z, mixed)
    return ((z @ z.T).amax(dim=1) - best.amax(dim=1)) / p.temperature if best.shape[1] else z.new_zeros(len(z))


@loss(
    SupReMix,
    title="SupReMix (mixed pairs for regression)",
    source="Wu et al. 2023, arXiv:2309.16633",
    origin="code",
    papers=("supremix",),
    family="softmax",
    formula=r"\log\sum_{a\in A_i}(1+|y_i-y_a|)\,e^{s_{ia}/\tau}-\frac1{|P_i|}\sum_{q\in P_i}\frac{s_{iq}}\tau",
    claims=Claims(
        pulls="a positive that already leads the others of its target shares the softmax with them and is pushed",
        margin="it takes no margin of its own: distance in the target weighs the negatives",
    ),
    relations={"supcon": "for continuous targets: far ones weigh more, and mixtures are candidates too"},
    variants=({}, {"distance": False, "temperature": 0.2, "as_released": True}),
    plan=mix,
    planned=("synthetic", "synthetic_targets", "synthetic_role", "synthetic_shift"),
    work="Both views are anchors among both, (2N)² scores, and each mixes couples drawn from all (2N)².",
)
def supremix(
    a: Tensor,
    b: Tensor,
    targets: Tensor,
    synthetic: Tensor,
    synthetic_targets: Tensor,
    synthetic_role: Tensor,
    synthetic_shift: Tensor,
    p: SupReMix,
) -> Paid:
    """Pulls items of one target together, pushes others the more the further their targets are, and mixes hard ones.

    Args:
        a: (B, D) first view of each item.
        b: (B, D) second view.
        targets: (B,) target of each item.
        synthetic: (2, B, K, D) mixtures for each anchor, without gradient, K >= 0.
        synthetic_targets: (2, B, K) their targets.
        synthetic_role: (2, B, K) 1 for a positive, 0 for a negative, -1 where there is none.
        synthetic_shift: (2, B) what is added to the logits of an anchor's mixtures; 0, but as released.
        p: temperature, whether distance weighs; the rest is for the mixtures.

    Returns:
        One term per anchor, (2B,): first all of a, then all of b. One (2B, 2B + K) matrix of pairs, the mixtures last.
    """
    real = all_pairs(a, b, targets)
    mixed, kind = exact(synthetic).flatten(0, 1), synthetic_role.flatten(0, 1)
    z = torch.cat([exact(a), exact(b)])
    scores = torch.cat([real.scores, torch.einsum("ad,akd->ak", z, mixed.to(z))], dim=1)
    absent = torch.full_like(kind, Role.SYNTHETIC).masked_fill(kind < 0, Role.EXCLUDED).to(torch.int8)
    role = torch.cat([real.role, absent], dim=1)
    positive = torch.cat([real.role == Role.POSITIVE, kind == 1], dim=1)
    shift = exact(synthetic_shift).reshape(-1, 1).expand_as(kind)
    logits = scores / p.temperature + torch.cat([torch.zeros_like(real.scores), shift], dim=1)
    y = exact(targets).repeat(2)
    far = torch.cat([y.expand(len(y), -1), exact(synthetic_targets).flatten(0, 1)], dim=1) - y[:, None]
    weight = torch.log1p(far.abs()) * float(p.distance)
    every = torch.logsumexp(without(logits + weight, role == Role.EXCLUDED), dim=1)
    pulled = logits.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return Paid({"": Term(every - pulled)}, (Pairs(scores, role),))
