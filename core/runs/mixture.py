"""The mixed half of a step: the plans that are drawn, and the mixed embeddings that they make."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from core.encoders.bags import Bag, unpacked
from core.losses.ranking import Ranking
from core.losses.registry import LOSSES
from core.mixing.dmm import side_at
from core.mixing.registry import MIXINGS, Known, Memory, Plan, Side, Step
from core.recipe import Recipe
from core.runs.networks import Networks, on_sphere
from core.runs.payment import Embedded, modality_pairs, takes_bags
from core.streams import stream

APART = " to "
MEMBERS = ".members"
BAG = ("bags", "bag_mask")
Parts = Callable[[Tensor], dict[str, Tensor]]
STORED = ("lam", "margin", "partner", "from_bank", "partner_margin")


@dataclass(frozen=True)
class Mixture:
    """What a step mixed.

    `plans` modality -> its plan, the same for all unless each side has its own. `z` modality -> (n, D) mixed
    embeddings; empty where negatives are mixed. `positives` (mixed, other) modality -> (n, D) what the partners from
    the bank are paired with in the other, where that counts as a negative. `sources` name -> (n, ...) what a bank
    would keep of this step. `bags` modality -> its mixed members, for a loss that takes them.
    """

    plans: Mapping[str, Plan]
    z: Mapping[str, Tensor]
    positives: Mapping[tuple[str, str], Tensor] = field(default_factory=dict)
    sources: Mapping[str, Tensor] = field(default_factory=dict)
    bags: Mapping[str, Bag] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan of all, or of the first modality."""
        return next(iter(self.plans.values()))


def own_margin(recipe: Recipe) -> float:
    """The margin of the loss that mixed pairs pay, for a mixing that has none of its own."""
    asks = getattr(recipe.mixing, "asks", "same")
    return getattr(recipe.loss if asks == "same" else Ranking(), "margin", 0.0)


def mixed_names(recipe: Recipe, names: Mapping[str, object], side: str) -> list[str]:
    """The modalities that a step mixes: one side of every pair, or all of them."""
    pairs = modality_pairs(names)
    if recipe.encoder.joint or side in ("both", "each"):
        return list(names)
    return list(dict.fromkeys(pair[1 if side == "b" else 0] for pair in pairs))


def _side(recipe: Recipe, step: int) -> Side:
    return side_at(getattr(recipe.mixing, "side", "a"), step)


def draw_plans(recipe: Recipe, batch: Embedded, clock: Step, memory: Memory) -> dict[str, Plan]:
    """Modality -> the plan of this step, drawn on the CPU from the step's address.

    Args:
        recipe: of the run.
        batch: the encoded clean batch, for partners that are chosen by similarity or class.
        clock: the step.
        memory: what lasted from the steps before.
    """
    p, entry = recipe.mixing, MIXINGS.of(recipe.mixing)
    mixing, learned = entry.call(), {name: batch.learned[name] for name in entry.learned(recipe.mixing)}
    assert mixing is not None

    def draw(z: Tensor, *own: str) -> Plan:
        g = stream(recipe.seed, "mixing", clock.index, *own)
        known = Known(own_margin(recipe), z.detach(), batch.labels, clock.index, memory, learned)
        return mixing.plan(len(z), p, g, known)

    side = _side(recipe, clock.index)
    names = mixed_names(recipe, batch.z, side)
    if side != "each":
        return dict.fromkeys(names, draw(torch.cat([batch.z[name] for name in names], dim=-1)))
    plans = {name: draw(batch.z[name], name) for name in names}
    if getattr(p, "margin_of", "own") == "last":
        plans = {name: replace(plan, margin=plans[names[-1]].margin) for name, plan in plans.items()}
    return plans


class _Mixing:
    """Mixes each modality by its plan, members with their masks, and keeps what it was given."""

    def __init__(self, recipe: Recipe, plans: Mapping[str, Plan], memory: Memory, bags: Container[str]) -> None:
        self.p, self.plans, self.memory, self.bags = recipe.mixing, plans, memory, bags
        self.call = MIXINGS.of(recipe.mixing).call()
        self.seen: dict[str, Tensor] = {}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """Inputs or activations (n, ...) of a modality, mixed; those of bags are packed."""
        if name not in self.plans:
            return x
        return self.members(name, name, x) if name in self.bags else self.whole(name, x)

    def whole(self, name: str, x: Tensor) -> Tensor:
        return self._apply(name, name, x, lambda values: {"a": values})["a"]

    def members(self, name: str, kept: str, x: Tensor) -> Tensor:
        """Packed bags (n, k, 1 + D) of a modality, mixed; the bank holds them as `kept`."""
        mixed = self._apply(name, kept, x, lambda values: dict(zip(BAG, unpacked(values), strict=True)))
        return Bag(*(mixed[part] for part in BAG)).packed()

    def _apply(self, name: str, kept: str, x: Tensor, parts: Parts) -> Mapping[str, Tensor]:
        assert self.call is not None
        self.seen[kept] = x.detach()
        given = parts(x)
        if (bank := self.memory.get(f"bank.{kept}")) is not None:
            given |= {f"bank.{part}": value for part, value in parts(bank).items()}
        return self.call.apply(given, replace(self.plans[name], side="a"), self.p)


def mix(
    recipe: Recipe,
    networks: Networks,
    x: Mapping[str, Tensor],
    batch: Embedded,
    plans: Mapping[str, Plan],
    memory: Memory,
) -> Mixture:
    """Mix a batch at the level of the recipe.

    Args:
        recipe: of the run.
        networks: for mixtures of inputs and hidden layers.
        x: modality -> (n, ...) clean inputs.
        batch: the same, encoded.
        plans: as drawn, on the device.
        memory: what lasted from the steps before.
    """
    p, mixer = recipe.mixing, _Mixing(recipe, plans, memory, batch.bags)
    paid = [name for name in plans if name in batch.bags and takes_bags(LOSSES.of(recipe.loss))]
    if mixer.call is None or mixer.call.mixes == "negatives":
        return Mixture(plans, {})
    if p.level == "embedding":
        z = {name: mixer.whole(name, batch.z[name]) for name in plans}
        unit = {name: Bag(on_sphere(batch.bags[name].members), batch.bags[name].mask) for name in paid}
        bags = {name: unpacked(mixer.members(name, name + MEMBERS, bag.packed())) for name, bag in unit.items()}
    else:
        inputs = x if p.dropout == "shared" else {name: x[name] for name in plans}
        found = networks.encode(inputs, mixer, p.layer if p.level == "hidden" else 0)
        z = {name: found.z[name] for name in plans}
        bags = {name: found.bags[name] for name in paid}
    sources = mixer.seen | ({f"z.{name}": z.detach() for name, z in batch.z.items()} if p.append else {})
    return Mixture(plans, z, _positives(recipe, batch, plans, memory), sources, bags)


def _positives(
    recipe: Recipe, batch: Embedded, plans: Mapping[str, Plan], memory: Memory
) -> dict[tuple[str, str], Tensor]:
    """(mixed, other) modality -> (n, D) embeddings in the other of the mixed one's bank partners, as they were kept."""
    if not recipe.mixing.append:
        return {}
    kept = {name: memory[f"bank.z.{name}"] for name in batch.z if f"bank.z.{name}" in memory}
    return {(m, n): values[plan.partner] for m, plan in plans.items() for n, values in kept.items() if m != n}


def _named(plans: Mapping[str, Plan]) -> Iterator[tuple[str, Plan]]:
    """Suffix -> plan: one without a suffix, or the first one without and each with its modality's name."""
    first = next(iter(plans.values()))
    yield "", first
    if any(plan is not first for plan in plans.values()):
        yield from ((f".{name}", plan) for name, plan in plans.items())


def stored(mixture: Mixture) -> dict[str, Tensor]:
    """What a snapshot keeps of a mixture, so that `restored` makes it again."""
    arrays = {f"mixed.{name}": value for name, value in mixture.z.items()}
    arrays |= {f"mixed_bags.{name}": bag.packed() for name, bag in mixture.bags.items()}
    arrays |= {f"positives.{m}{APART}{n}": value for (m, n), value in mixture.positives.items()}
    for suffix, plan in _named(mixture.plans):
        values = {name: getattr(plan, name) for name in STORED}
        arrays |= {f"{name}{suffix}": value for name, value in values.items() if value is not None}
    return arrays


def restored(recipe: Recipe, names: Mapping[str, object], step: int, arrays: Mapping[str, np.ndarray]) -> Mixture:
    """The mixture that a snapshot recorded; its embeddings need gradients.

    Args:
        recipe: of the run.
        names: its modalities.
        step: the recorded step.
        arrays: as the trainer's snapshot made them.
    """

    def starting_with(prefix: str) -> dict[str, Tensor]:
        found = {name: array for name, array in arrays.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): torch.from_numpy(array) for name, array in found.items()}

    side = _side(recipe, step)
    plans = {}
    for name in mixed_names(recipe, names, side):
        suffix = f".{name}" if f"lam.{name}" in arrays else ""
        found = {key: torch.from_numpy(arrays[f"{key}{suffix}"]) for key in STORED if f"{key}{suffix}" in arrays}
        plans[name] = Plan(**found, side=side)
    z = {name: value.requires_grad_() for name, value in starting_with("mixed.").items()}
    positives = {(m, n): value for key, value in starting_with("positives.").items() for m, n in [key.split(APART)]}
    bags = {name: unpacked(value.requires_grad_()) for name, value in starting_with("mixed_bags.").items()}
    return Mixture(plans, z, positives, bags=bags)
