"""Wrong twins: mutations that any loss can suffer, each with the checks that have to notice."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from core.losses.registry import LossEntry
from core.paid import Paid, Role, Term
from core.vocabulary import VOCABULARY
from tests.core.losses.batches import batches, leaves
from tests.core.losses.contract import Check, check_gradients, check_margin, check_pulls, check_pushes, check_reference

Call = Callable[..., Paid]
ROLE_MAKERS = ("diagonal_roles", "all_pairs")


@dataclass(frozen=True)
class Mutation:
    """`twin` spoils a loss; `caught_by` have to fail; `fits` says whether the loss has what is spoilt."""

    twin: Callable[[Call], Call]
    caught_by: tuple[Check, ...]
    fits: Callable[[LossEntry], bool] = lambda entry: True


def on_result(change: Callable[[Paid], Paid]) -> Callable[[Call], Call]:
    def twin(call: Call) -> Call:
        @wraps(call)
        def spoilt(**given: Any) -> Paid:
            return change(call(**given))

        return spoilt

    return twin


def on_inputs(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Call], Call]:
    def twin(call: Call) -> Call:
        @wraps(call)
        def spoilt(**given: Any) -> Paid:
            return call(**change(given))

        return spoilt

    return twin


def sign_turned(paid: Paid) -> Paid:
    return replace(paid, terms={name: replace(term, per=-term.per) for name, term in paid.terms.items()})


def summed(paid: Paid) -> Paid:
    def larger(term: Term) -> Term:
        return replace(term, weight=1.0 if term.weight is None else term.weight * term.per.numel())

    return replace(paid, terms={name: larger(term) for name, term in paid.terms.items()})


def one_exempt(paid: Paid) -> Paid:
    """The last of those who pay in each term is let off."""

    def spared(term: Term) -> Term:
        per = term.per.reshape(-1)
        kept = torch.cat([per[:-1], per[-1:] * 0]) if len(per) > 1 else per * 0
        return replace(term, per=kept.reshape(term.per.shape))

    return replace(paid, terms={name: spared(term) for name, term in paid.terms.items()})


def pull_removed(paid: Paid) -> Paid:
    for pairs in paid.pairs:
        if pairs.scores.requires_grad:
            pairs.scores.register_hook(lambda g, role=pairs.role: g.masked_fill(role == Role.POSITIVE, 0))
    return paid


def margin_turned(given: dict[str, Any]) -> dict[str, Any]:
    p = given["p"]
    turned = {"p": p.model_copy(update={"margin": -p.margin})}
    return given | turned | ({"margin": -given["margin"]} if "margin" in given else {})


def temperature_doubled(given: dict[str, Any]) -> dict[str, Any]:
    p = given["p"]
    own = {"p": p.model_copy(update={"temperature": 2 * p.temperature})}
    return given | own | ({"temperature": 2 * given["temperature"]} if "temperature" in given else {})


def first_input(names: Iterable[str]) -> str:
    """The first input that has a gradient."""
    return next(name for name in names if name in VOCABULARY and not VOCABULARY[name].constant)


def scaled_input(given: dict[str, Any]) -> dict[str, Any]:
    name = first_input(given)
    return given | {name: given[name] * 1.5}


def sized(entry: LossEntry) -> bool:
    """Whether the length of the first input matters; to cosines it does not."""
    given = next(batches(entry))
    return not torch.allclose(
        *(entry.call(p=entry.params(), **batch).total() for batch in (given, scaled_input(given))), rtol=1e-9
    )


def side(names: Iterable[str]) -> str | None:
    """The input that stands on the other side of a pair."""
    return next((name for name in names if name in ("b", "joint", "other_bags")), None)


def no_gradient_to_a_side(given: dict[str, Any]) -> dict[str, Any]:
    name = side(given)
    assert name
    return given | {name: given[name].detach()}


def without_exclusion(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "exclude"}


def without_its_mask(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "bag_mask"}


def pulled_by_pairs(entry: LossEntry) -> bool:
    """Whether it shows pairs and some positive among them has a pull to be removed."""
    paid = entry.call(p=entry.params(), **leaves(next(batches(entry))))
    for pairs in paid.pairs:
        (force,) = torch.autograd.grad(paid.total(), pairs.scores, retain_graph=True, allow_unused=True)
        if force is not None and force[pairs.role == Role.POSITIVE].abs().sum() > 0:
            return True
    return False


def _everyone_negative(made: Any) -> Any:
    role = made if isinstance(made, Tensor) else made.role
    role = role.clone().fill_diagonal_(Role.NEGATIVE)
    return role if isinstance(made, Tensor) else replace(made, role=role)


def own_place_negative(call: Call) -> Call:
    """What stands on the diagonal (the positive, or the anchor itself) takes part as a negative."""
    inside = call.__globals__

    @wraps(call)
    def spoilt(**given: Any) -> Paid:
        makers = {name: inside[name] for name in ROLE_MAKERS if name in inside}
        wrong = {name: lambda *args, make=make: _everyone_negative(make(*args)) for name, make in makers.items()}
        with patch.dict(inside, wrong):
            return call(**given)

    return spoilt


MUTATIONS: Mapping[str, Mutation] = {
    "sign turned": Mutation(on_result(sign_turned), (check_reference, check_pushes)),
    "positive's pull removed": Mutation(on_result(pull_removed), (check_gradients, check_pulls), pulled_by_pairs),
    "sum for a mean": Mutation(on_result(summed), (check_reference,)),
    "one let off": Mutation(on_result(one_exempt), (check_reference,)),
    "first input half as large again": Mutation(on_inputs(scaled_input), (check_reference,), sized),
    "temperature doubled": Mutation(
        on_inputs(temperature_doubled), (check_reference,), lambda entry: "temperature" in entry.params.model_fields
    ),
    "margin of the wrong sign": Mutation(
        on_inputs(margin_turned), (check_reference, check_margin), lambda entry: "margin" in entry.inputs
    ),
    "one side without gradient": Mutation(
        on_inputs(no_gradient_to_a_side), (check_gradients,), lambda entry: side(entry.inputs) is not None
    ),
    "excluded pairs counted": Mutation(
        on_inputs(without_exclusion), (check_reference,), lambda entry: "exclude" in entry.inputs
    ),
    "absent members counted": Mutation(
        on_inputs(without_its_mask), (check_reference,), lambda entry: "bag_mask" in entry.inputs
    ),
    "own place as a negative": Mutation(
        own_place_negative,
        (check_reference,),
        lambda entry: any(name in entry.call.__globals__ for name in ROLE_MAKERS),
    ),
}


def spoil(entry: LossEntry, mutation: Mutation) -> LossEntry:
    return replace(entry, call=mutation.twin(entry.call))
