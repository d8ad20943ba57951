"""Paying for mixed pairs: which pairs there are, what they are asked, and who takes part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from core.encoders.bags import Bag
from core.losses.ranking import Ranking
from core.losses.registry import LOSSES, LossEntry
from core.mixing.registry import MIXINGS, Plan
from core.mixing.targets import kept, partner_pairs, weighted
from core.paid import Paid, Pairs, Role, Term, joined
from core.params import Params
from core.recipe import Recipe
from core.runs.mixture import Mixture
from core.runs.payment import Embedded, draws, equally, given_to, modality_pairs, of_pairs, pair_inputs, whole

Pay = Callable[..., Paid]


@dataclass(frozen=True)
class MixedPair:
    """One side mixed against the other: `a` and `b` (n, D), which of them `side` says, and the plan.

    `extra` (n, D): negatives of the mixed items, one each, from the bank. `bags` and `other_bags`: the members of a and
    of b, where there are any.
    """

    a: Tensor
    b: Tensor
    side: str
    plan: Plan
    extra: Tensor | None = None
    bags: Bag | None = None
    other_bags: Bag | None = None

    def turned(self) -> "MixedPair":
        """The mixed side against what its partners are paired with."""
        partner = self.plan.partner

        def of_partner(bag: Bag | None) -> Bag | None:
            return None if bag is None else Bag(*(x[partner] for x in bag))

        if self.side == "b":
            return replace(self, a=self.a[partner], bags=of_partner(self.bags))
        return replace(self, b=self.b[partner], other_bags=of_partner(self.other_bags))


def asked_loss(recipe: Recipe) -> Params:
    """The params of the loss that the mixed pairs pay."""
    same = getattr(recipe.mixing, "asks", "same") == "same" or isinstance(recipe.loss, Ranking)
    return recipe.loss if same else Ranking()


def one_sided(recipe: Recipe) -> bool:
    """Whether the loss of the mixed pairs takes one of their sides alone."""
    entry = LOSSES.of(asked_loss(recipe))
    return of_pairs(entry) and "b" not in entry.taken


def with_margin(entry: LossEntry, margin: Tensor | None) -> dict[str, Any]:
    """The margin by name, for a loss that knows one."""
    return {"margin": margin} if "margin" in entry.inputs and margin is not None else {}


def _options(recipe: Recipe, pair: MixedPair) -> dict[str, Any]:
    masked = getattr(recipe.mixing, "target", "hard") == "mask_partner"
    return {"exclude": partner_pairs(pair.plan, pair.side)} if masked else {}


def _with_extra(pay: Pay, pair: MixedPair, **given: Any) -> Paid:
    """The payment with one more negative for each mixed item, which nobody else meets.

    The batch is doubled: the new rows meet nothing but their own copy, so they pay nothing, and only the items of the
    batch are kept. A term's weight is the one it has without them.
    """
    assert pair.extra is not None
    n, extra = len(pair.a), pair.extra.to(pair.a.dtype)
    no = torch.ones((2 * n, 2 * n), dtype=torch.bool, device=extra.device).fill_diagonal_(False)
    no[:n, :n] = given.pop("exclude", False)
    own = torch.arange(n, device=extra.device)
    place = (n + own, own) if pair.side == "b" else (own, n + own)
    no[place] = False
    margin = {name: torch.cat([value, value]) for name, value in given.items() if name == "margin"}
    twice = replace(pair, a=torch.cat([pair.a, extra]), b=torch.cat([pair.b, extra]))
    doubled = pay(twice, exclude=no, **given | margin)
    with torch.no_grad():
        usual = pay(pair, **given)
    terms = {
        name: Term(term.per[:n], term.axis, usual.terms[name].weight) for name, term in doubled.terms.items()
    }  # fmt: skip
    return Paid(terms, tuple(_own_rows(pairs, n, pair.side, place) for pairs in doubled.pairs))


def _own_rows(pairs: Pairs, n: int, side: str, place: tuple[Tensor, Tensor]) -> Pairs:
    """(n, 2n) the pairs of the mixed items, the partner's positive among them."""
    role = pairs.role.clone()
    role[place] = int(Role.PARTNER)
    scores = pairs.scores
    return Pairs(scores.T[:n], role.T[:n]) if side == "b" else Pairs(scores[:n], role[:n])


def _by_share(recipe: Recipe, pay: Pay, pair: MixedPair, given: Mapping[str, Any], asked: Mapping[str, Any]) -> Paid:
    """What the mixed anchor pays for its own positive, and what for its partner's, each by its share."""
    plan = pair.plan
    of_partner = {name: given[name][plan.partner] for name in ("labels", "clusters") if name in given}
    margin = {"margin": plan.partner_margin} if "margin" in asked else {}
    own = pay(pair, **given, **asked)
    other = pay(pair.turned(), **{**given, **of_partner}, **margin)
    return joined([("own", weighted(own, plan.lam)), ("partner", weighted(other, 1 - plan.lam))])


def pay_pair(recipe: Recipe, batch: Embedded, pair: MixedPair) -> Paid:
    """What one mixed pair of modalities pays, under the mixing's target."""
    p, loss = recipe.mixing, asked_loss(recipe)
    entry = LOSSES.of(loss)
    given, asked = given_to(entry, batch), with_margin(entry, pair.plan.margin)

    def pay(pair: MixedPair, **more: Any) -> Paid:
        inputs = pair_inputs(entry, pair.a, pair.b, pair.bags, pair.other_bags)
        return kept(entry.pay(inputs | more, loss, draws(recipe, batch, "mixed"), batch.companion), p.terms)

    if pair.extra is not None:
        paid = _with_extra(pay, pair, **given, **asked, **_options(recipe, pair))
    elif p.target == "soft":
        paid = _by_share(recipe, pay, pair, given, asked)
    else:
        paid = pay(pair, **given, **asked, **_options(recipe, pair))
    return weighted(paid, ~pair.plan.alone) if p.alone == "leave_out" else paid


def _pairs(recipe: Recipe, batch: Embedded, mixture: Mixture) -> dict[str, MixedPair]:
    """Name -> mixed pair: one of two modalities against the other, or each against the joint embedding.

    A loss that takes the a alone is handed the mixed side as its a.
    """
    alone = one_sided(recipe)
    if batch.joint is not None:
        return {q: MixedPair(z, batch.joint, "a", mixture.plans[q]) for q, z in mixture.z.items()}

    def pair(m: str, n: str, side: str, *mixed: str) -> MixedPair:
        z = {**batch.z, **{q: mixture.z[q] for q in mixed}}
        bags = {**batch.bags, **{q: mixture.bags[q] for q in mixed if q in mixture.bags}}
        own, other = (n, m) if side == "b" else (m, n)
        extra = mixture.positives.get((own, other))
        if side == "b" and alone:
            m, n, side = n, m, "a"
        return MixedPair(z[m], z[n], side, mixture.plans[own], extra, bags.get(m), bags.get(n))

    found: dict[str, MixedPair] = {}
    for m, n in modality_pairs(batch.z):
        side, name = mixture.plan.side, f"{m}_{n}"
        if side == "each":
            found |= {f"{name}.a": pair(m, n, "a", m), f"{name}.b": pair(m, n, "b", n)}
        elif side == "b":
            found[name] = pair(m, n, "b", n)
        else:
            found[name] = pair(m, n, "a", m, n) if side == "both" else pair(m, n, "a", m)
    return found


def _pay_whole(recipe: Recipe, batch: Embedded, mixture: Mixture) -> Paid:
    """What a loss over all modalities at once asks of the mixed ones, each by its own plan."""
    entry, p = LOSSES.of(recipe.loss), recipe.mixing
    parts = {}
    for q, z in mixture.z.items():
        plan = mixture.plans[q]
        options: dict[str, Any] = with_margin(entry, plan.margin)
        if p.target == "mask_partner":
            options["exclude"] = partner_pairs(plan, "b")
        given = whole(entry, batch, {q: z}) | given_to(entry, batch) | options
        paid = entry.pay(given, recipe.loss, draws(recipe, batch, "mixed", q), batch.companion)
        parts[q] = weighted(paid, ~plan.alone) if p.alone == "leave_out" else paid
    return joined(parts.items())


def _pay_negatives(recipe: Recipe, batch: Embedded, mixture: Mixture) -> Paid:
    """What each pair of modalities pays against mixed negatives."""
    entry, mixing = LOSSES.of(recipe.loss), MIXINGS.of(recipe.mixing).call()
    assert mixing is not None
    given = given_to(entry, batch) | with_margin(entry, mixture.plan.margin)
    parts = {}
    for m, n in modality_pairs(batch.z):
        made = mixing.apply({"a": batch.z[m], "b": batch.z[n]}, mixture.plan, recipe.mixing)
        parts[f"{m}_{n}"] = entry.pay(
            {**made, **given}, recipe.loss, draws(recipe, batch, "mixed", m, n), batch.companion
        )
    return equally(parts)


def pay_mixed(recipe: Recipe, batch: Embedded, mixture: Mixture) -> Paid:
    """What the mixed pairs pay, and what the margin rule does where it is learned.

    Args:
        recipe: of the run.
        batch: the clean batch, encoded.
        mixture: what was mixed of it.
    """
    paid = _paid(recipe, batch, mixture)
    prices = [plan.penalty for plan in mixture.plans.values() if plan.penalty is not None]
    if not prices:
        return paid
    prior = Paid({"prior": Term(torch.stack(prices).mean(), axis="batch")})
    return joined([("", paid), ("", prior)])


def _paid(recipe: Recipe, batch: Embedded, mixture: Mixture) -> Paid:
    if not mixture.z:
        return _pay_negatives(recipe, batch, mixture)
    if not of_pairs(LOSSES.of(asked_loss(recipe))):
        return _pay_whole(recipe, batch, mixture)
    return equally({name: pay_pair(recipe, batch, pair) for name, pair in _pairs(recipe, batch, mixture).items()})
