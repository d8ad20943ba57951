"""One training run in memory: a recipe becomes networks, and each step a record of what was paid."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.registry import DataSet
from core.losses.registry import LOSSES
from core.methods.registry import METHODS
from core.mixing.registry import MIXINGS, Plan, Step
from core.optimisers import AdamW
from core.paid import Paid
from core.recipe import Recipe
from core.runs.companion import build_companion
from core.runs.fit import Unfit as Unfit
from core.runs.fit import check_fit
from core.runs.learned import LearnedScalars
from core.runs.mixed_payment import pay_mixed
from core.runs.mixture import Mixture, draw_plans, mix, stored
from core.runs.networks import Encoded, Networks, prepared
from core.runs.payment import Embedded, modality_pairs, pay_all, takes_bags
from core.runs.teacher import RememberingTeacher, Teacher, taught_arrays
from core.streams import stream

PROBE = 256
PLANNED = ("lam", "margin")


def choose_device() -> torch.device:
    """CUDA where there is one, then MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@dataclass(frozen=True)
class Paying:
    """One payment: what is paid for which batch, the plans of its mixing if there was one, and what lasts."""

    paid: Paid
    batch: Embedded
    plans: tuple[Plan, ...] = ()
    memory: Mapping[str, Tensor] | None = None

    @property
    def plan(self) -> Plan | None:
        """The plan of all modalities, or of the first."""
        return self.plans[0] if self.plans else None


class Trainer:
    """Networks, optimiser and step counter of one recipe on one device.

    Everything random is drawn from an address (seed, purpose, step), so the state is the parameters, the optimiser's,
    the step, what the mixing remembers and what the method keeps: nothing else has to be restored.
    """

    def __init__(self, recipe: Recipe, data: DataSet, device: torch.device) -> None:
        check_fit(recipe, data)
        self.recipe, self.data, self.device, self.step = recipe, data, device, 0
        self.loss = LOSSES.of(recipe.loss)
        self.mixing = MIXINGS.of(recipe.mixing).call()
        self.method = METHODS.of(recipe.method).call()
        self.inputs = {m.name: prepared(recipe, m).to(device) for m in data.modalities}
        self.labels = data.labels.to(device)
        self.train_items = data.split.train.to(device)
        self.rows = torch.full_like(self.labels, -1).index_copy(
            0, self.train_items, torch.arange(len(self.train_items), device=device)
        )
        self.pairs = modality_pairs(self.inputs)
        self.model = Networks(recipe, data, self.inputs).to(device)
        scalars = {**self.loss.learned(recipe.loss), **MIXINGS.of(recipe.mixing).learned(recipe.mixing)}
        self.learned = LearnedScalars(scalars).to(device)
        companion = build_companion(recipe, data)
        self.companion = None if companion is None else companion.to(device)
        self.memory: dict[str, Tensor] = {}
        self.kept: dict[str, Tensor] = {}
        self.teacher = self._teacher() if self.method.teaches else None
        self.optimiser = self._optimiser()
        self._epoch, self._order = -1, torch.empty(0)
        self._made: dict[str, Tensor] = {}

    def _teacher(self) -> Teacher:
        order = torch.randperm(len(self.train_items), generator=stream(self.recipe.seed, "bank"))
        first = self.train_items[order[: self.recipe.method.size].to(self.device)]
        seen = {name: values[first] for name, values in self.inputs.items()}
        given = (self.model, self.recipe.method, seen, self.labels[first])
        remembers = "memory" in self.method.gives
        return (RememberingTeacher(*given, len(order)) if remembers else Teacher(*given)).to(self.device)

    def _optimiser(self) -> torch.optim.Optimizer:
        settings = self.recipe.optimiser
        networks = [self.model, *([] if self.companion is None else [self.companion])]
        weights = [each for network in networks for each in network.parameters()]
        groups = [
            {"params": weights, "weight_decay": settings.weight_decay},
            {"params": list(self.learned.parameters()), "weight_decay": 0.0},
        ]
        used = [group for group in groups if group["params"]]
        return AdamW(used, lr=settings.lr, fused=self.device.type in ("cpu", "cuda"))

    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to hold."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "learned": self.learned.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "memory": dict(self.memory),
            "kept": dict(self.kept),
            "teacher": self.teacher.state_dict() if self.teacher else {},
            "companion": {} if self.companion is None else self.companion.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`, as `state()` gave it; nothing of it is shared afterwards."""
        self.model.load_state_dict(state["model"])
        self.learned.load_state_dict(state["learned"])
        if self.companion is not None:
            self.companion.load_state_dict(state["companion"])
        self.optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
        self.memory = {name: self._kept(name, value) for name, value in state["memory"].items()}
        self.kept = dict(state["kept"])
        if self.teacher and not state["teacher"]:
            self.teacher = self._teacher()
        elif self.teacher:
            self.teacher.load_state_dict(state["teacher"])
        self.step, self._epoch = state["step"], -1

    def _kept(self, name: str, value: Tensor) -> Tensor:
        """A remembered tensor in its place: a bank where the networks are, a product on the CPU."""
        return value.to(self.device) if name.startswith("bank.") else value.cpu()

    def encode(self, inputs: Mapping[str, Tensor], items: Tensor) -> Embedded:
        """The items of a batch, encoded, each modality and where there is a joint encoder all together."""
        joint = self.model.encode_jointly(inputs)
        z, bags = self.model.encode(inputs)
        labels, clusters = self._classes(items)
        learned, own = self.learned(), self.companion
        batch = Embedded(z, labels, learned, joint, bags, self.step, clusters=clusters, companion=own)
        return self.teacher.teach(batch, inputs, self.rows[items]) if self.teacher else batch

    def _mixed(self, x: Mapping[str, Tensor], batch: Embedded, clock: Step) -> tuple[Mixture, dict[str, Tensor]]:
        """The mixture of a batch, and what its mixing remembers after it."""
        mixing = self.mixing
        assert mixing is not None
        plans = draw_plans(self.recipe, batch, clock, self.memory)
        moved = {id(plan): plan.to(self.device) for plan in plans.values()}
        if getattr(self.recipe.mixing, "dropout", "own") == "shared":
            self._seed_dropout()
        on_device = {name: moved[id(plan)] for name, plan in plans.items()}
        mixture = mix(self.recipe, self.model, x, batch, on_device, self.memory)
        first = next(iter(plans.values()))
        return mixture, mixing.remember(self.memory, first, mixture.sources, self.recipe.mixing)

    def clock(self, step: int) -> Step:
        """The step and its epoch."""
        return Step(step, step // self.method.steps(len(self.train_items), self.recipe.method))

    def _begin(self, clock: Step) -> None:
        """Enter the epoch of a step; within it the method looks only where it has kept nothing, as a branch has."""
        if clock.epoch == self._epoch:
            return
        p: Any = self.recipe.method
        n, train = len(self.train_items), self.data.split.train
        first = clock.index % self.method.steps(n, p) == 0
        if self.method.looks and (not self.kept or (first and clock.epoch % p.every == 0)):
            z = {name: value.cpu() for name, value in self.embed(self.train_items).items()}
            self.kept = self.method.keep(z, self.data.labels[train], p, self.recipe.seed, clock.epoch)
            if isinstance(self.teacher, RememberingTeacher):
                self.teacher.remember(z, self.kept["memory_clusters"])
        self._made = {name: self.kept[name].to(self.device) for name in ("labels", "clusters") if name in self.kept}
        order = self.method.epoch(n, p, self.recipe.seed, clock.epoch, self.kept)
        self._epoch, self._order = clock.epoch, order.to(self.device)

    def _classes(self, items: Tensor) -> tuple[Tensor, Tensor | None]:
        """What a loss is handed as the labels and the clusters of training items."""
        self._begin(self.clock(self.step))
        labels, clusters = self._made.get("labels"), self._made.get("clusters")
        rows = self.rows[items]
        return self.labels[items] if labels is None else labels[rows], None if clusters is None else clusters[rows]

    def _items(self, clock: Step) -> Tensor:
        self._begin(clock)
        return self.train_items[self._order[clock.index % len(self._order)]]

    def _batch(self, items: Tensor, step: int) -> dict[str, Tensor]:
        x = {name: values[items] for name, values in self.inputs.items()}
        if self.data.augment is None:
            return x
        forms = {m.name: m.form for m in self.data.modalities}
        return {
            name: self.data.augment(name, values, stream(self.recipe.seed, "augment", name, step))
            if forms[name] != "text"
            else values
            for name, values in x.items()
        }

    def payment(self) -> Paying:
        """What the batch of the present step pays, with its graph."""
        clock = self.clock(self.step)
        items = self._items(clock)
        self.model.train()
        self._seed_dropout()
        x = self._batch(items, self.step)
        batch = self.encode(x, items)
        clean = pay_all(self.recipe, batch)
        if self.mixing is None:
            return Paying(clean, batch)
        mixture, memory = self._mixed(x, batch, clock)
        mixed = pay_mixed(self.recipe, batch, mixture)
        plans = tuple({id(plan): plan for plan in mixture.plans.values()}.values())
        return Paying(self.mixing.combine(clean, mixed, clock, self.recipe.mixing), batch, plans, memory)

    def _seed_dropout(self) -> None:
        """Let the masks of this step depend on its address alone."""
        seed = stream(self.recipe.seed, "dropout", self.step).initial_seed()
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def record(self, paying: Paying) -> dict[str, Tensor]:
        """Column -> () value of the present step, still on the device."""
        total = paying.paid.total()
        columns = {"loss": total}
        if len(paying.paid.terms) > 1:
            columns |= {f"term.{name}": term.value() for name, term in paying.paid.terms.items()}
        columns |= {f"learned.{name}": value for name, value in self.learned().items()}
        if paying.plans:
            lam, margin = (torch.stack([getattr(plan, name).detach() for plan in paying.plans]) for name in PLANNED)
            columns |= {"lam": lam.mean(), "margin": margin.mean()}
            columns |= {"margin.low": margin.min(), "margin.high": margin.max()}
        return columns

    def rate(self) -> float:
        """The learning rate of the present step."""
        settings = self.recipe.optimiser
        if settings.schedule == "constant":
            return settings.lr
        return settings.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self.recipe.steps)))

    def advance(self) -> dict[str, Tensor]:
        """Pay for the present step, take it, and return its record, as it was before the step."""
        paying = self.payment()
        rows = self.rows[self._items(self.clock(self.step))]
        columns = self.record(paying)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.zero_grad(set_to_none=True)
        columns["loss"].backward()
        self._keep_turns()
        self.optimiser.step()
        self.memory = dict(paying.memory or {})
        if self.teacher:
            self.teacher.follow(self.model, paying.batch, rows)
        self.step += 1
        return {name: value.detach() for name, value in columns.items()}

    def _keep_turns(self) -> None:
        """Where networks and companion learn in turn, leave those out of this step whose turn it is not."""
        entry = self.loss.companion
        if entry is None or self.companion is None or not entry.turns(self.recipe.loss):
            return
        still = self.companion if self.step % 2 == 0 else self.model
        for weights in still.parameters():
            weights.grad = None

    def look(self, items: Tensor | None = None) -> Encoded:
        """The items (all by default) and their members, encoded without augmentation or dropout."""
        return self.model.look(
            self.inputs, torch.arange(len(self.data), device=self.device) if items is None else items
        )

    def embed(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Modality -> (n, D) unit embeddings of the items (all by default), without augmentation or dropout."""
        return self.look(items).z

    @torch.no_grad()
    def embed_jointly(self, items: Tensor) -> Tensor | None:
        """(n, D) unit embeddings of the items by the joint encoder, or None where there is none."""
        self.model.eval()
        chunks = ({name: x[part] for name, x in self.inputs.items()} for part in items.split(512))
        parts = [part for part in map(self.model.encode_jointly, chunks) if part is not None]
        return torch.cat(parts) if parts else None

    def probe(self) -> Tensor:
        """(P,) the items that snapshots show: the training items, or a fixed draw of them where there are many."""
        if len(self.train_items) <= PROBE:
            return self.train_items
        order = torch.randperm(len(self.train_items), generator=stream(self.recipe.seed, "probe"))
        return self.train_items[order[:PROBE].sort().values.to(self.device)]

    @torch.no_grad()
    def snapshot(self) -> dict[str, np.ndarray]:
        """Arrays of the present state on the probe items: `z.<modality>` (P, D), learned scalars, and the mixing.

        With a joint encoder also `joint` (P, D); for a loss of members `bags.<modality>` (P, n, 1 + D), packed. With a
        mixing `mixed.<modality>` (P, D), `mixed_bags.<modality>` (P, n, 1 + D) of bags, `lam`, `margin` and `partner`,
        each (P,), drawn for the probe from this step's address: where lambda is one a batch, it is the very one of
        this step. Where each modality has a plan of its own, also `lam.<modality>` and so on. Where the method makes
        labels or clusters, `given.labels` or `given.clusters` (P,). The state of a companion is `companion.<its name>`.
        """
        items = self.probe()
        z, bags = self.look(items)
        labels, clusters = self._classes(items)
        batch = Embedded(z, labels, self.learned(), self.embed_jointly(items), bags, clusters=clusters)
        weights = {} if self.companion is None else self.companion.state_dict()
        arrays = {f"z.{name}": value for name, value in batch.z.items()}
        arrays |= {f"learned.{name}": value for name, value in batch.learned.items()}
        arrays |= {f"companion.{name}": value for name, value in weights.items()}
        arrays |= {"joint": batch.joint} if batch.joint is not None else {}
        if self.teacher:
            x = {name: values[items] for name, values in self.inputs.items()}
            batch = self.teacher.teach(batch, x, self.rows[items])
            arrays |= taught_arrays(batch)
        made = {"labels": batch.labels if "labels" in self.kept else None, "clusters": batch.clusters}
        arrays |= {f"given.{name}": value for name, value in made.items() if value is not None}
        if takes_bags(self.loss):
            arrays |= {f"bags.{name}": bag.packed() for name, bag in bags.items()}
        if self.mixing is not None:
            x = {name: values[items] for name, values in self.inputs.items()}
            arrays |= stored(self._mixed(x, batch, self.clock(self.step))[0])
        return {"items": items.cpu().numpy()} | {name: value.cpu().numpy() for name, value in arrays.items()}
