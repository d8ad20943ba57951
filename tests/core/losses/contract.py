"""The contract of a loss, as checks that raise AssertionError, so that a wrong twin can be held to them as well.

Every check takes a registry entry and one of its variants. Nothing here names a loss.
"""

import copy
import itertools
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck
from torch.testing import assert_close

from core.losses.registry import LossEntry
from core.paid import Paid, Role
from core.params import Params
from core.streams import stream
from core.vocabulary import SMALL, VOCABULARY
from tests.core.losses.batches import Batch, batches, example, extremes, hard, has_gradient, leaves, with_learned_ends
from tests.core.losses.meta import OnlyMeta
from tests.core.losses.references import REFERENCES

Variant = Mapping[str, object]
Check = Callable[[LossEntry, Variant], None]
SEEDS = (0, 1)
SHORT = (torch.float32, torch.bfloat16, torch.float16)
EACH, NUDGE = 200, 1e-6
FLAT = {**SMALL, "D": 3}


def plain(batch: Batch) -> dict[str, Any]:
    return {name: value.tolist() for name, value in batch.items()}


def compare(entry: LossEntry, p: Params, batch: Batch) -> None:
    """What is paid, by whom and for which pairs, equals the slow loops."""
    paid, slow = entry.call(p=p, **batch), REFERENCES[entry.key](plain(batch), p)
    exact = {"rtol": 1e-9, "atol": 1e-10}
    assert set(paid.terms) == set(slow.per)
    for name, term in paid.terms.items():
        assert_close(numbers(term.per.tolist()), numbers(slow.per[name]), **exact)
    assert_close(paid.total().item(), slow.total, **exact)
    expected = [(slow.scores, slow.roles), *slow.more] if slow.scores else []
    assert len(paid.pairs) == len(expected)
    for pairs, (scores, roles) in zip(paid.pairs, expected, strict=True):
        assert_close(numbers(pairs.scores.tolist()), numbers(scores), **exact)
        assert pairs.role.tolist() == roles


def numbers(nested: Any) -> Tensor:
    return torch.tensor(nested, dtype=torch.float64)


def check_reference(entry: LossEntry, variant: Variant) -> None:
    """It equals a slow loop in plain Python."""
    for seed in SEEDS:
        for batch in batches(entry, seed):
            compare(entry, entry.params(**variant), batch)


def check_gradients(entry: LossEntry, variant: Variant) -> None:
    """Its gradients with respect to every floating input equal finite differences, term by term and in all.

    Along random directions first, which finds a wrong one soonest; then number by number, in fewer dimensions, where
    there were at most `EACH` numbers.
    """
    p = entry.params(**variant)
    for usual, flat in zip(batches(entry), batches(entry, sizes=FLAT), strict=True):
        try:
            pay, inputs = paying(entry, p, usual)
            compare_along_directions(pay, inputs)
            if sum(each.numel() for each in inputs) <= EACH:
                gradcheck(*paying(entry, p, flat))
        except (AssertionError, GradcheckError) as error:
            raise AssertionError(f"with {', '.join(usual)}: {error}") from error


def paying(entry: LossEntry, p: Params, given: Batch) -> tuple[Callable[..., tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """What is paid in all and in each term, as a function of the inputs that have a gradient, and these."""
    batch = leaves(given)
    floating = [name for name, value in batch.items() if value.requires_grad]

    def pay(*values: Tensor) -> tuple[Tensor, ...]:
        paid = entry.call(p=p, **batch | dict(zip(floating, values, strict=True)))
        return (paid.total(), *(term.per for term in paid.terms.values()))

    return pay, tuple(batch[name] for name in floating)


def compare_along_directions(pay: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]) -> None:
    """The change of what is paid along a random direction of each input alone, and of all together."""
    g = stream(0, "directions")
    ways = [torch.randn(x.shape, generator=g, dtype=x.dtype) for x in inputs]
    steps = [[way * (k in (n, len(inputs))) for k, way in enumerate(ways)] for n in range(len(inputs))]
    weights = [torch.randn(each.shape, generator=g, dtype=each.dtype) for each in pay(*inputs)]

    def weighed(*values: Tensor) -> Tensor:
        return torch.stack([(each * w).sum() for each, w in zip(pay(*values), weights, strict=True)])

    with torch.no_grad():
        changes = [
            [weighed(*(x + sign * NUDGE * way for x, way in zip(inputs, step, strict=True))) for sign in (1, -1)]
            for step in [*steps, ways]
        ]
    for row, one in enumerate(weighed(*inputs)):
        slopes = (
            torch.autograd.grad(one, inputs, retain_graph=True, allow_unused=True, materialize_grads=True)
            if one.requires_grad
            else [torch.zeros_like(x) for x in inputs]
        )
        for step, (ahead, behind) in zip([*steps, ways], changes, strict=True):
            along = sum(((slope * way).sum() for slope, way in zip(slopes, step, strict=True)), torch.tensor(0.0))
            assert_close((ahead[row] - behind[row]) / (2 * NUDGE), along.to(ahead), rtol=1e-4, atol=1e-6)


def check_shapes(entry: LossEntry, variant: Variant) -> None:
    """Each term has its axis's length; scores, roles and anchors agree; scores are in the graph.

    The first matrix has a row for each anchor; further ones may have several, where an anchor has members.
    """
    anchors: set[int] = set()
    for batch in batches(entry):
        paid = entry.call(p=entry.params(**variant), **leaves(batch))
        for term in paid.terms.values():
            assert term.per.ndim == (term.axis != "batch")
            if term.axis == "anchor":
                anchors |= {len(term.per)} | {len(pairs.scores) for pairs in paid.pairs[:1]}
            elif term.axis in ("item", "dimension"):
                assert len(term.per) == (items(entry) if term.axis == "item" else SMALL["D"])
        for pairs in paid.pairs:
            assert len(pairs.scores) % len(paid.pairs[0].scores) == 0
            assert pairs.scores.shape == pairs.role.shape
            assert pairs.scores.requires_grad
            assert pairs.role.dtype == torch.int8
    assert len(anchors) <= 1, f"terms and pairs disagree about the number of anchors: {anchors}"
    assert all(n % items(entry) == 0 for n in anchors)


def check_purity(entry: LossEntry, variant: Variant) -> None:
    """It changes no input, draws nothing, and says the same twice."""
    for batch in batches(entry):
        before = {name: value.clone() for name, value in batch.items()}
        state = torch.get_rng_state()
        first, again = (entry.call(p=entry.params(**variant), **batch).total() for _ in range(2))
        assert torch.equal(first, again)
        assert torch.equal(state, torch.get_rng_state())
        assert all(torch.equal(before[name], value) for name, value in batch.items())


def check_exclusion(entry: LossEntry, variant: Variant) -> None:
    """An excluded pair has no part in what is paid."""
    for batch in batches(entry):
        for gradient, role in forces(entry, variant, batch):
            assert gradient[role == Role.EXCLUDED].eq(0).all()


def check_permutation(entry: LossEntry, variant: Variant) -> None:
    """Claimed: when the items change places, what they pay goes with them."""
    if entry.claims.permutation is not True:
        return
    order = torch.randperm(items(entry), generator=torch.Generator().manual_seed(0))
    for batch in batches(entry):
        moved = {name: reordered(name, value, order) for name, value in batch.items()}
        paid, after = (entry.call(p=entry.params(**variant), **given) for given in (batch, moved))
        for name, term in paid.terms.items():
            by_item = term.axis in ("anchor", "item")
            views = term.per.unflatten(0, (-1, len(order)))[:, order].flatten() if by_item else term.per
            assert_close(after.terms[name].per, views)
        assert_close(after.total(), paid.total())


def check_pulls(entry: LossEntry, variant: Variant) -> None:
    """Claimed: no positive is pushed away, and some are pulled."""
    if entry.claims.pulls is True:
        held_to_direction(entry, variant, Role.POSITIVE, -1)


def check_pushes(entry: LossEntry, variant: Variant) -> None:
    """Claimed: no negative is pulled, and some are pushed."""
    if entry.claims.pushes is True:
        held_to_direction(entry, variant, Role.NEGATIVE, 1)


def check_margin(entry: LossEntry, variant: Variant) -> None:
    """Claimed: a larger margin never makes it cheaper for anyone, costs something, and is read the same either way."""
    if entry.claims.margin is not True:
        return
    assert "margin" in entry.inputs, "it claims a margin and takes none"
    for batch in batches(entry):
        values = [0.0, 0.1, 0.3, 0.6, 1.0]
        paid = [pay_for(entry, variant, batch, torch.tensor(m, dtype=torch.float64)) for m in values]
        for less, more in itertools.pairwise(paid):
            for name, term in less.terms.items():
                assert (more.terms[name].per - term.per >= -1e-12).all()
        assert paid[-1].total() > paid[0].total() + 1e-6
        each = pay_for(entry, variant, batch, torch.full((SMALL["B"],), 0.3, dtype=torch.float64))
        free = {name: value for name, value in batch.items() if name != "margin"}
        own = entry.call(p=entry.params(**{**variant, "margin": 0.3}), **free)
        assert_close(each.total(), paid[2].total(), rtol=1e-12, atol=1e-12)
        assert_close(own.total(), paid[2].total(), rtol=1e-12, atol=1e-12)


def check_finite(entry: LossEntry, variant: Variant) -> None:
    """Values and gradients are finite at the ends of every range, on the hardest batches, in short floats too.

    A variant meets every choice of inputs; the ends of the ranges, which are those of the loss and looked at once, meet
    the inputs that are required, and all inputs.
    """
    usual = entry.params(**variant)
    extreme = extremes(entry) if variant == entry.variants[0] else ()
    for dtype in SHORT:
        drawn = list(batches(entry, dtype=dtype))
        for p in [usual, *(p for p in dict.fromkeys(extreme) if p != usual)]:
            for chosen in drawn if p is usual else drawn[:: max(1, len(drawn) - 1)]:
                for given in with_learned_ends(entry, p, chosen):
                    for name, batch in hard(given).items():
                        finite(entry, p, leaves(batch), f"{p!r}, {dtype}, {', '.join(batch)}, {name}")


def finite(entry: LossEntry, p: Params, batch: Batch, where: str) -> None:
    paid = entry.call(p=p, **batch)
    paid.total().backward()
    assert all(term.per.isfinite().all() for term in paid.terms.values()), where
    for name, value in batch.items():
        if value.requires_grad:
            assert value.grad is not None, f"no gradient of {name}: {where}"
            assert value.grad.isfinite().all(), f"gradient of {name}: {where}"


def check_precision(entry: LossEntry, variant: Variant) -> None:
    """Short floats are only how the inputs are stored: the arithmetic is that of float32."""
    for dtype in (torch.bfloat16, torch.float16):
        for short in batches(entry, dtype=dtype):
            exact = {name: value.float() if value.is_floating_point() else value for name, value in short.items()}
            paid, meant = (entry.call(p=entry.params(**variant), **batch).total() for batch in (short, exact))
            assert_close(paid, meant, rtol=1e-6, atol=1e-6)


def check_meta(entry: LossEntry, variant: Variant) -> None:
    """It runs with backward on the meta device, and no tensor of another device takes part."""
    for given in batches(entry):
        batch = {name: value.to("meta").requires_grad_(has_gradient(name, value)) for name, value in given.items()}
        with OnlyMeta():
            entry.call(p=entry.params(**variant), **batch).total().backward()
        for name, value in batch.items():
            assert not value.requires_grad or (value.grad is not None and value.grad.is_meta), name


def check_plan(entry: LossEntry, variant: Variant) -> None:
    """Its plan makes what it says, in the vocabulary's shapes, without gradient, the same for the same draws."""
    if entry.plan is None:
        assert not entry.planned
        return
    p = entry.params(**variant)
    for batch in batches(entry):
        given = {name: value for name, value in leaves(batch).items() if name not in entry.planned}
        made, again = (entry.complete(given, p, stream(0, "plan")) for _ in range(2))
        assert set(made) == set(given) | set(entry.planned)
        for name in entry.planned:
            assert torch.equal(made[name], again[name])
            assert not made[name].requires_grad
            assert made[name].ndim == len(VOCABULARY[name].shape.split())
        assert entry.call(**made, p=p).total().isfinite()


def check_companion(entry: LossEntry, variant: Variant) -> None:
    """Its companion makes what it says, in the vocabulary's shapes, and learns by what is paid; on any device."""
    if entry.companion is None:
        return
    p, made = entry.params(**variant), entry.companion.makes
    assert set(made) <= {name for name, required in entry.inputs.items() if required and name not in entry.planned}
    assert set(entry.companion.eats) <= set(VOCABULARY)
    given = {name: example(name, 0) for name in entry.taken}
    for device, guard in (("cpu", nullcontext()), ("meta", OnlyMeta())):
        torch.manual_seed(0)
        network = entry.companion.build(p, SMALL).double().to(device)
        handed, before = {name: value.to(device) for name, value in given.items()}, copy.deepcopy(network.state_dict())
        completed = entry.complete(handed, p, stream(0, "plan"), network)
        assert set(completed) <= set(entry.inputs)
        assert device == "meta" or all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        assert all(completed[name].ndim == len(VOCABULARY[name].shape.split()) for name in made)
        with guard:
            entry.call(**completed, p=p).total().backward()
        for name, weights in network.named_parameters():
            assert weights.grad is not None, f"no gradient of {name}"
            assert weights.grad.device.type == device
            assert device == "meta" or weights.grad.abs().sum() > 0, f"nothing moves {name}"


def check_bounds(entry: LossEntry, variant: Variant) -> None:
    """Every knob has a domain that a slider can show, and the variant lies in it."""
    assert extremes(entry)
    entry.params(**variant)


def check_inputs(entry: LossEntry, variant: Variant) -> None:
    """Every input is in the vocabulary, and every parameter that the trainer has to own is an input."""
    assert set(entry.inputs) <= set(VOCABULARY)
    assert set(entry.learned(entry.params(**variant))) <= set(entry.inputs)


def forces(entry: LossEntry, variant: Variant, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """dL/ds with the roles, for each matrix of pairs."""
    paid = entry.call(p=entry.params(**variant), **leaves(batch))
    found = []
    for pairs in paid.pairs:
        (gradient,) = torch.autograd.grad(paid.total(), pairs.scores, retain_graph=True, allow_unused=True)
        assert gradient is not None, "the scores it shows are not those it pays for"
        found.append((gradient, pairs.role))
    return found


def held_to_direction(entry: LossEntry, variant: Variant, role: Role, sign: int) -> None:
    for seed in SEEDS:
        every = []
        for batch in batches(entry, seed):
            found = [sign * gradient[roles == role] for gradient, roles in forces(entry, variant, batch)]
            assert found, "a loss that shows no pairs gives a reason instead of this claim"
            assert torch.cat(found).min() >= -1e-12
            every += found
        assert torch.cat(every).max() > 1e-6


def pay_for(entry: LossEntry, variant: Variant, batch: Batch, margin: Tensor) -> Paid:
    return entry.call(p=entry.params(**variant), **{**batch, "margin": margin})


def items(entry: LossEntry) -> int:
    """How many items, or where a loss is of queries, how many of these, a small batch has."""
    symbols = {symbol for name in entry.inputs for symbol in VOCABULARY[name].shape.split()}
    return SMALL["B" if symbols & {"A", "B"} else "Q"]


def reordered(name: str, value: Tensor, order: Tensor) -> Tensor:
    """The input of the same items in another order; whole numbers that name items name their new places."""
    slot = VOCABULARY[name]
    for axis, symbol in enumerate(slot.shape.split()[: value.ndim]):
        value = value.index_select(axis, order) if symbol in "ABQ" else value
    return order.argsort()[value] if slot.places == "B" else value


CHECKS: tuple[Check, ...] = (
    check_reference,
    check_gradients,
    check_shapes,
    check_purity,
    check_exclusion,
    check_permutation,
    check_pulls,
    check_pushes,
    check_margin,
    check_finite,
    check_precision,
    check_meta,
    check_plan,
    check_companion,
    check_bounds,
    check_inputs,
)
