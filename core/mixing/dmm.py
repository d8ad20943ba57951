"""DMM, dynamic mixed margin: mix samples into harder pairs and ask of them a margin that follows the mixing ratio.

The canonical form. On top of the clean loss, the same loss is paid for anchors mixed with a partner's,
`lam * x_i + (1 - lam) * x_partner`, against unmixed candidates, with the margin `lam * m`, at a weight that grows
from 0 (So et al., IEEE Access 11, 2023, doi 10.1109/ACCESS.2023.3286931).
"""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from core.mixing.laws import draw_lam as draw_lam
from core.mixing.laws import shared_by_partners
from core.mixing.mixture import between, mixed_embedding, mixed_mask
from core.mixing.options import DMM as DMM
from core.mixing.options import MarginRule as MarginRule
from core.mixing.partners import bank_size, draw_from_bank, turned_members
from core.mixing.partners import draw_partner as draw_partner
from core.mixing.registry import Known, Memory, Mixes, Plan, Side, Step, mixing
from core.mixing.schedule import LEARNED, product_after
from core.mixing.schedule import mixed_margin as mixed_margin
from core.mixing.schedule import mixed_weight as mixed_weight
from core.paid import Paid, joined
from core.registry import Learned

MASKS = ("mask", "bag_mask")
BAGS = ("bags", "other_bags")
# What belongs to a side: its items, and where a loss has them, their members and their context.
PARTS: Mapping[str, tuple[str, ...]] = {
    "a": ("a", "bags", "context"),
    "b": ("b", "other_bags", "other_context"),
}
MIXED_SIDES: Mapping[Side, tuple[str, ...]] = {
    "a": ("a",),
    "b": ("b",),
    "alternate": ("a",),
    "both": ("a", "b"),
    "each": ("a", "b"),
}


def side_at(side: Side, step: int) -> Side:
    """The side that step `step` mixes: in turn, a first, where they alternate."""
    return ("a", "b")[step % 2] if side == "alternate" else side


def mixed_sides(plan: Plan, p: DMM) -> tuple[str, ...]:
    """The sides, "a" and "b", that the plan mixes."""
    return MIXED_SIDES[plan.side or p.side]


def _learned(p: DMM) -> Mapping[str, Learned]:
    return LEARNED if p.rule == "learned" else {}


@mixing(
    DMM,
    title="DMM (dynamic mixed margin)",
    source="So et al., IEEE Access 11 (2023), doi 10.1109/ACCESS.2023.3286931; the released code's retrieval form",
    origin="code",
    papers=("dmm",),
    formula=r"L_m(x,y)+w_t\,L_{\lambda m}\big(\lambda x+(1-\lambda)x_\pi,\;y\big)",
    learned=_learned,
)
class DynamicMixedMargin:
    """Mixes each anchor with a partner and asks the mixed pair for a margin that follows the mixing ratio."""

    mixes: Mixes = "sides"

    def plan(self, n: int, p: DMM, g: Generator, known: Known) -> Plan:
        """Draw lambda, partner and margin for a batch of n.

        Args:
            n: items in the batch, at least 2 for a mixture.
            p: the params.
            g: a CPU generator, fresh for this step.
            known: of the batch and of the run; its margin is used where `p.margin` is None.
        """
        lam = draw_lam(n, p, g)
        held = bank_size(known.memory) if p.partner == "bank" else 0
        partner = draw_from_bank(n, held, g) if held else draw_partner(n, p, g, z=known.z, labels=known.labels)
        if p.share == "pair" and not held:
            lam = shared_by_partners(lam, partner)
        m = known.margin if p.margin is None else p.margin
        asks = {"learned": known.learned, "before": known.memory.get("product")}
        where = next((value.device for value in known.learned.values()), lam.device)
        lam = lam.to(where) if p.rule == "learned" else lam
        asked = mixed_margin(p.rule, lam, m, **asks)
        return Plan(
            lam,
            partner,
            asked,
            from_bank=torch.full((n,), bool(held)) if p.partner == "bank" else None,
            side=side_at(p.side, known.step),
            partner_margin=mixed_margin(p.rule, 1 - lam, m, **asks) if p.target == "soft" else None,
            penalty=p.prior * (asked - lam * m).square().mean() if p.rule == "learned" else None,
        )

    def apply(self, inputs: Mapping[str, Tensor], plan: Plan, p: DMM) -> Mapping[str, Tensor]:
        """The inputs with the planned sides mixed, (n, ...) each.

        Args:
            inputs: "a" and "b" (n, ...), either may be missing, and what belongs to a side (`PARTS`); "bank.a" and
                "bank.b" (K, ...), and so on, for partners from the bank; "mask" or "bag_mask" (n, T), true where a step
                of the mixed sequence is present. Others stay.
            plan: as drawn.
            p: the params; embeddings are renormalised as `p.renormalise` says.
        """
        mixed = {}
        for name in (name for side in mixed_sides(plan, p) for name in PARTS[side] if name in inputs):
            x = inputs[name]
            if name in BAGS and p.members == "turned":
                other = self._turned(x, inputs.get("bag_mask"))
            else:
                other = self._other(x, inputs.get(f"bank.{name}"), plan)
            at_end = p.level == "embedding"
            mixed[name] = mixed_embedding(x, other, plan.lam, p.renormalise) if at_end else between(x, other, plan.lam)
        own = ("bag_mask",) if p.members == "turned" else ()
        masks = {
            name: mixed_mask(
                inputs[name],
                self._other(inputs[name], inputs.get(f"bank.{name}"), plan),
                "keep" if name in own else p.sequence,
            )
            for name in MASKS
            if name in inputs
        }
        return {**inputs, **mixed, **masks}

    @staticmethod
    def _turned(x: Tensor, present: Tensor | None) -> Tensor:
        """(n, k, ...) what is mixed into each member, where all members of the batch are turned round."""
        here = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if present is None else present
        return x.flatten(0, 1)[turned_members(here)].unflatten(0, x.shape[:2])

    @staticmethod
    def _other(x: Tensor, bank: Tensor | None, plan: Plan) -> Tensor:
        """(n, ...) what is mixed in: rows of the batch, or of the bank."""
        if plan.from_bank is None or bank is None or not len(bank):
            return x[plan.partner]
        own, kept = (source[plan.partner.clamp(max=len(source) - 1)] for source in (x, bank))
        return torch.where(plan.from_bank.reshape(-1, *[1] * (x.ndim - 1)), kept.to(x.dtype), own)

    def remember(self, memory: Memory, plan: Plan, inputs: Mapping[str, Tensor], p: DMM) -> dict[str, Tensor]:
        """The memory after this step: the product of all lambdas so far, and the newest items of the bank.

        Args:
            memory: the one before.
            plan: of this step.
            inputs: name -> (n, ...) what may be mixed in later.
            p: the params.
        """
        after = dict(memory)
        if p.rule == "released_decay":
            after["product"] = product_after(memory.get("product"), plan.lam)
        if p.partner == "bank":
            for name, values in inputs.items():
                kept = memory.get(f"bank.{name}", values[:0].detach())
                after[f"bank.{name}"] = torch.cat([kept, values.detach()])[-p.bank :].clone()
        return after

    def combine(self, clean: Paid, mixed: Paid, step: Step, p: DMM) -> Paid:
        """What is paid in all: the clean loss and the weighted mixed one, kept apart as terms."""
        return joined([("clean", clean), ("mixed", mixed.scaled(mixed_weight(p, step)))])
